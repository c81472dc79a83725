//! Opens an unfinished download: finds or creates its contents, allocates disk space, and verifies
//! the pieces of an earlier run.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use convite_client::Home;
use convite_core::{ContentHash, PieceGeometry, PieceHashes, Problem, SearchScope};
use convite_swarm::PieceSet;
use tokio_util::sync::CancellationToken;

use super::super::disk_space::{DiskSpaceCheck, Headroom};
use super::super::target::{Target, disk_problem};
use super::super::unfinished::{DownloadRecord, absolute, seconds};
use super::checkpoint::{self, Checkpoint, PieceSearch};
use super::location::{LockedContents, PartialLocation};
use super::summary::name_of;
use crate::fs::fallbacks::{self, ExtendMethod};
use crate::fs::positioned_io::write_all_at;

/// Called with the size in bytes of each verified piece of an earlier run.
pub(crate) type PieceFound = Arc<dyn Fn(u64) + Send + Sync>;

/// Parameters of opening a download.
#[derive(Clone)]
pub(crate) struct Opening {
    pub(crate) home: Home,
    pub(crate) hash: ContentHash,
    pub(crate) geometry: PieceGeometry,
    pub(crate) target: Target,
    pub(crate) within: SearchScope,
    /// The file name for display.
    pub(crate) name: String,
    /// How long it is kept if it is not resumed.
    pub(crate) retention: Duration,
    /// The disk space that it may use.
    pub(crate) headroom: Headroom,
    /// Cancels the verification of the pieces of an earlier run.
    pub(crate) stop: CancellationToken,
    pub(crate) found: PieceFound,
}

impl Opening {
    /// Returns the folder of its state.
    pub(crate) fn folder(&self) -> PathBuf {
        let mut name = format!("{}-{}", self.hash, self.geometry.file_size());
        if let Some(space) = self.within.as_wire() {
            name = format!("{name}@{space}");
        }
        self.home.downloads().join(name)
    }

    fn about(&self) -> DownloadRecord {
        DownloadRecord {
            hash: self.hash,
            size: self.geometry.file_size(),
            name: self.name.clone(),
            target: absolute(&self.target.path),
            within: self.within.as_wire().map(|space| space.to_string()),
            begun: seconds(SystemTime::now()),
            retention: self.retention.as_secs(),
        }
    }
}

/// Contents with disk space for the whole file, and their verified pieces.
pub(super) struct VerifiedContents {
    pub(super) opened: LockedContents,
    pub(super) verified: PieceSet,
    pub(super) hashes: Option<PieceHashes>,
    pub(super) extended: ExtendMethod,
}

/// Finds or creates the contents and allocates disk space, while `turn` is held; then verifies
/// their pieces.
///
/// # Errors
/// Returns the errors of [`UnfinishedFile::open`](super::UnfinishedFile::open).
pub(super) fn open(
    opening: &Opening,
    folder: &Path,
    places: &PartialLocation<'_>,
    turn: Option<File>,
) -> Result<VerifiedContents, Problem> {
    let begun = AllocatedContents::begin(opening, folder, places)?;
    drop(turn);
    begun.verify(opening, folder, places)
}

/// Contents that were found or created, with disk space for the whole file.
struct AllocatedContents {
    opened: LockedContents,
    existed: bool,
    /// The last checkpoint, if it belongs to this file.
    noted: Option<Checkpoint>,
    /// Whether the checkpoint is valid.
    is_believed: bool,
}

impl AllocatedContents {
    fn begin(
        opening: &Opening,
        folder: &Path,
        places: &PartialLocation<'_>,
    ) -> Result<Self, Problem> {
        let (target, size) = (&opening.target, opening.geometry.file_size());
        let failed = |error: io::Error| disk_problem("use", folder, &error);
        let room = DiskSpaceCheck {
            home: &opening.home,
            folder,
            target,
            headroom: opening.headroom,
        };
        let (opened, existed) = match places.current()? {
            Some(current) if PartialLocation::suit(&current.path, target) => (current, true),
            current => {
                if let Some(current) = &current {
                    let hashes = read_hashes(folder, opening);
                    let mut all = PieceSet::empty(opening.geometry.piece_count());
                    move_pieces(places, current, hashes.as_ref(), &mut all, opening)?;
                }
                let path = places.choose(target).map_err(failed)?;
                room.check(path.parent().unwrap_or(&path), size)?;
                // Closed, and so unlocked, before it is opened again to be moved.
                let old = current.map(|current| current.path);
                (places.create(path, old.as_deref())?, false)
            }
        };
        opening.about().write(folder).map_err(failed)?;
        Self::allocate(opening, folder, &room, opened, existed)
    }

    fn allocate(
        opening: &Opening,
        folder: &Path,
        room: &DiskSpaceCheck<'_>,
        opened: LockedContents,
        existed: bool,
    ) -> Result<Self, Problem> {
        let LockedContents { path, file } = &opened;
        let size = opening.geometry.file_size();
        let write_failed = |error: io::Error| disk_problem("write", path, &error);
        // Checked before anything changes the file.
        let count = opening.geometry.piece_count();
        let noted = existed
            .then(|| Checkpoint::read(&folder.join("pieces"), &name_of(path), count))
            .flatten();
        let is_believed = match &noted {
            Some(noted) => noted.is_valid(file).map_err(write_failed)?,
            None => false,
        };
        if existed {
            let about = file.metadata().map_err(write_failed)?;
            room.check(path, size.saturating_sub(fallbacks::on_disk(&about)))?;
        }
        if let Err(error) = fallbacks::reserve(file, size) {
            if !existed {
                let _ = fs::remove_file(path);
            }
            return Err(write_failed(error));
        }
        Ok(Self {
            opened,
            existed,
            noted,
            is_believed,
        })
    }

    /// Verifies the pieces of the contents.
    fn verify(
        self,
        opening: &Opening,
        folder: &Path,
        places: &PartialLocation<'_>,
    ) -> Result<VerifiedContents, Problem> {
        let size = opening.geometry.file_size();
        let extended = self.extend(size)?;
        let LockedContents { path, file } = &self.opened;
        let write_failed = |error: io::Error| disk_problem("write", path, &error);
        let hashes = read_hashes(folder, opening);
        let mut verified = PieceSet::empty(opening.geometry.piece_count());
        match self.noted {
            Some(noted) if self.is_believed => {
                for index in noted.pieces.iter() {
                    (opening.found)(opening.geometry.piece_len(index));
                }
                verified = noted.pieces;
            }
            // The checkpoint does not match the contents.
            _ => fallbacks::remove_if_there(&folder.join("pieces"))
                .map_err(|error| disk_problem("use", folder, &error))?,
        }
        if let Some(hashes) = hashes.as_ref().filter(|_| self.existed) {
            let search = search(file, hashes, opening);
            search.find(&mut verified).map_err(write_failed)?;
        }
        move_pieces(
            places,
            &self.opened,
            hashes.as_ref(),
            &mut verified,
            opening,
        )?;
        Ok(VerifiedContents {
            opened: self.opened,
            verified,
            hashes,
            extended,
        })
    }

    fn extend(&self, size: u64) -> Result<ExtendMethod, Problem> {
        let LockedContents { path, file } = &self.opened;
        let extended = fallbacks::set_len(file, size);
        let failed = extended.as_ref().is_err_and(|error| {
            // A file that is too long and cannot be truncated is replaced.
            error.kind() == io::ErrorKind::Unsupported || !self.existed
        });
        if failed {
            let _ = fs::remove_file(path);
        }
        extended.map_err(|error| disk_problem("write", path, &error))
    }
}

fn read_hashes(folder: &Path, opening: &Opening) -> Option<PieceHashes> {
    checkpoint::read_hashes(&folder.join("hashes"), opening.hash, opening.geometry)
}

fn search<'a>(from: &'a File, hashes: &'a PieceHashes, opening: &'a Opening) -> PieceSearch<'a> {
    PieceSearch {
        from,
        hashes,
        stop: &opening.stop,
        found: &*opening.found,
    }
}

/// Copies the correct pieces of contents on another file system into the new contents, and removes
/// the old ones. After a kill this continues at the next start.
fn move_pieces(
    places: &PartialLocation<'_>,
    into: &LockedContents,
    hashes: Option<&PieceHashes>,
    verified: &mut PieceSet,
    opening: &Opening,
) -> Result<(), Problem> {
    let Some(old) = places.left()? else {
        return Ok(());
    };
    let failed = |error: io::Error| disk_problem("write", &into.path, &error);
    if let Some(hashes) = hashes {
        let copy = |piece: &[u8], offset| write_all_at(&into.file, piece, offset);
        let search = search(&old.file, hashes, opening);
        search.carry(verified, copy).map_err(failed)?;
        fallbacks::sync_data(&into.file).map_err(failed)?;
    }
    if let Err(error) = places.forget_left(old) {
        tracing::warn!(%error, "cannot remove moved contents");
    }
    Ok(())
}
