//! An unfinished download on disk.
//!
//! ```text
//! HOME/downloads/HASH-SIZE/lock         held while somebody works on it
//! HOME/downloads/HASH-SIZE/where        where the contents are, see `whereabouts`
//! HOME/downloads/HASH-SIZE/left         contents that are to be carried over
//! HOME/downloads/HASH-SIZE/hashes       the piece hashes, verified
//! HOME/downloads/HASH-SIZE/pieces       of which contents which pieces are verified and synced
//! HOME/downloads/HASH-SIZE/contents-ID  the file as far as it has come
//! ```
//!
//! What is fetched within one space is kept apart, as `HASH-SIZE@SPACE` (`HASH-SIZE@` for that of
//! everyone): pieces that came out of one must not end in a copy that lies in another.
//!
//! The contents are on the file system they will be renamed on: here if that is the target's, else
//! in a hidden file beside the target. If the next target is on another one, what is right of them
//! is carried over. Order of durability: contents, sync, `pieces`. What was written after the last
//! sync is not lost by a kill: on resuming, pieces that are on disk but not in `pieces` are hashed
//! again and kept if they are right. `pieces` says of which contents it speaks, and of any others
//! nothing is taken from it (`trust`).

mod trust;
mod whereabouts;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use convite_client::Home;
use convite_client::home::write_private;
use convite_core::{ContentHash, ErrorCode, PieceGeometry, PieceHashes, Problem, Within};
use convite_swarm::PieceSet;

use super::place::{Target, disk_problem, on_blocking_thread};
use crate::contents::Contents;
use crate::positioned::write_all_at;
use trust::Identity;
use whereabouts::{Opened, Whereabouts};

/// An unfinished download, locked for this process.
pub(crate) struct Partial {
    folder: PathBuf,
    path: PathBuf,
    contents: Arc<Contents>,
    identity: Identity,
    geometry: PieceGeometry,
    /// The pieces that were found verified when it was opened.
    verified: PieceSet,
    hashes: Option<Arc<PieceHashes>>,
    /// Held until this is dropped.
    _lock: Arc<File>,
}

impl Partial {
    /// Opens what an earlier run left, or begins anew.
    ///
    /// # Errors
    /// `no_space` if the file system of the target has not enough room for what is missing, or
    /// takes no file as large; `in_use` if another process is fetching the same file; those
    /// of the file system.
    pub(crate) async fn open(
        home: &Home,
        hash: ContentHash,
        geometry: PieceGeometry,
        target: &Target,
        within: &Within,
    ) -> Result<Self, Problem> {
        let mut name = format!("{hash}-{}", geometry.file_size());
        if let Some(space) = within.sent() {
            name = format!("{name}@{space}");
        }
        let folder = home.downloads().join(name);
        let target = target.clone();
        on_blocking_thread(move || {
            fs::create_dir_all(target.folder())
                .map_err(|error| disk_problem("make", target.folder(), &error))?;
            let lock = Arc::new(whereabouts::lock(&folder)?);
            let places = Whereabouts::new(&folder, &hash, geometry.file_size());
            let is_new = places.is_empty();
            let opened = Self::open_locked(folder.clone(), lock.clone(), hash, geometry, &target);
            if opened.is_err() && is_new {
                let _ = fs::remove_dir_all(&folder);
            }
            opened
        })
        .await
    }

    fn open_locked(
        folder: PathBuf,
        lock: Arc<File>,
        hash: ContentHash,
        geometry: PieceGeometry,
        target: &Target,
    ) -> Result<Self, Problem> {
        let size = geometry.file_size();
        let places = Whereabouts::new(&folder, &hash, size);
        let hashes = trust::read_hashes(&folder.join("hashes"), hash, geometry).map(Arc::new);
        let noted = folder.join("pieces");
        let failed = |error: io::Error| disk_problem("use", &folder, &error);
        let (opened, existed) = match places.current()? {
            Some(current) if Whereabouts::suit(&current.path, target) => (current, true),
            current => {
                if let Some(current) = &current {
                    let mut all = PieceSet::empty(geometry.piece_count());
                    carry_over(&places, current, hashes.as_deref(), &mut all)?;
                }
                let path = places.choose(target).map_err(failed)?;
                check_room(path.parent().unwrap_or(&path), size, target)?;
                // Closed, and with that unlocked, before it is opened to be carried over.
                let old = current.map(|current| current.path);
                places.begin(&path, old.as_deref()).map_err(failed)?;
                (whereabouts::create(path)?, false)
            }
        };
        let Opened { path, file } = &opened;
        let write_failed = |error: io::Error| disk_problem("write", path, &error);
        let about = file.metadata().map_err(write_failed)?;
        if existed {
            check_room(path, size.saturating_sub(on_disk(&about)), target)?;
        }
        if let Err(error) = file.set_len(size) {
            if !existed {
                let _ = fs::remove_file(path);
            }
            return Err(write_failed(error));
        }

        let identity = Identity::of(file, path).map_err(write_failed)?;
        let count = geometry.piece_count();
        let is_whole = existed && about.len() == size;
        let trusted = is_whole.then(|| identity.noted(&noted, count)).flatten();
        if trusted.is_none() {
            // It speaks of contents that are no more.
            remove_if_there(&noted).map_err(failed)?;
        }
        let mut verified = trusted.unwrap_or_else(|| PieceSet::empty(count));
        if let Some(hashes) = hashes.as_deref().filter(|_| existed) {
            trust::find_right(file, hashes, &mut verified, |_, _| Ok(())).map_err(write_failed)?;
        }
        carry_over(&places, &opened, hashes.as_deref(), &mut verified)?;
        let Opened { path, file } = opened;
        Ok(Self {
            folder,
            contents: Arc::new(Contents::new(file, &path, size)),
            identity,
            path,
            geometry,
            verified,
            hashes,
            _lock: lock,
        })
    }

    /// The contents, to be written at the offsets of verified pieces.
    pub(crate) fn contents(&self) -> &Arc<Contents> {
        &self.contents
    }

    /// How the file is divided.
    pub(crate) fn geometry(&self) -> PieceGeometry {
        self.geometry
    }

    /// The pieces that were there when it was opened.
    pub(crate) fn verified(&self) -> &PieceSet {
        &self.verified
    }

    /// The piece hashes, if an earlier run learned them.
    pub(crate) fn hashes(&self) -> Option<Arc<PieceHashes>> {
        self.hashes.clone()
    }

    /// Keeps the piece hashes for a resume. Losing them costs only the chance to keep unsynced
    /// pieces, so that a failure is no reason to stop.
    pub(crate) fn keep_hashes(&self, hashes: &PieceHashes) {
        if let Err(error) = write_private(
            &self.folder.join("hashes"),
            hashes.as_slice().as_flattened(),
        ) {
            tracing::warn!(%error, "cannot keep the piece hashes");
        }
    }

    /// A job that makes `pieces` last: syncs the contents, then notes what is verified.
    pub(crate) fn checkpoint(
        &self,
        verified: &PieceSet,
    ) -> impl FnOnce() -> io::Result<()> + use<> {
        let (file, path) = (self.contents.file().clone(), self.folder.join("pieces"));
        let (identity, verified) = (self.identity.clone(), verified.clone());
        move || {
            file.sync_data()?;
            identity.note(&path, &verified)
        }
    }

    /// Removes everything, of a download that has nothing worth keeping.
    pub(crate) async fn abandon(&self) {
        let (folder, path) = (self.folder.clone(), self.path.clone());
        let removed = on_blocking_thread(move || {
            if folder.join("left").exists() {
                return Ok(());
            }
            remove_if_there(&path)
                .and_then(|()| fs::remove_dir_all(&folder))
                .map_err(|error| disk_problem("remove", &folder, &error))
        });
        if let Err(problem) = removed.await {
            tracing::debug!("{problem}");
        }
    }

    /// Syncs the whole file, moves it to its place and forgets the rest.
    ///
    /// # Errors
    /// `file_exists` if something appeared there meanwhile; those of the file system. The contents
    /// are kept then.
    pub(crate) async fn put_in_place(self, target: &Target) -> Result<PathBuf, Problem> {
        let target = target.clone();
        on_blocking_thread(move || {
            let file = self.contents.file();
            file.sync_all()
                .map_err(|error| disk_problem("sync", &self.path, &error))?;
            target.receive(&self.path)?;
            // It is the user's now, also while it is still provided.
            let _ = file.unlock();
            // What is open keeps its place in a folder there, which then stays.
            #[cfg(windows)]
            drop(self._lock);
            if let Err(error) = fs::remove_dir_all(&self.folder) {
                tracing::warn!(%error, "cannot remove the state of a finished download");
            }
            Ok(target.path)
        })
        .await
    }
}

/// Copies what is right of contents on another file system into those that took their place, and
/// removes them. What a kill leaves undone is done at the next start.
fn carry_over(
    places: &Whereabouts<'_>,
    into: &Opened,
    hashes: Option<&PieceHashes>,
    verified: &mut PieceSet,
) -> Result<(), Problem> {
    let Some(old) = places.left()? else {
        return Ok(());
    };
    let failed = |error: io::Error| disk_problem("write", &into.path, &error);
    if let Some(hashes) = hashes {
        let copy = |piece: &[u8], offset| write_all_at(&into.file, piece, offset);
        trust::find_right(&old.file, hashes, verified, copy).map_err(failed)?;
        into.file.sync_data().map_err(failed)?;
    }
    if let Err(error) = places.forget_left(old) {
        tracing::warn!(%error, "cannot remove what was carried over");
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Bytes that a file takes up on its disk.
fn on_disk(about: &fs::Metadata) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::blocks(about).saturating_mul(512);
    #[cfg(not(unix))]
    return about.len();
}

/// Refuses to begin what cannot be finished: `wanted` bytes more, on the file system of `place`.
fn check_room(place: &Path, wanted: u64, target: &Target) -> Result<(), Problem> {
    let Ok(free) = fs4::available_space(place) else {
        return Ok(());
    };
    if wanted <= free {
        return Ok(());
    }
    let bytes = convite_core::display::bytes;
    Err(Problem::new(
        ErrorCode::NoSpace,
        format!(
            "{} has no room for the file: {} are wanted, {} are free",
            target.folder().display(),
            bytes(wanted),
            bytes(free)
        ),
    )
    .hint("make room, or choose another place with -o PATH"))
}

#[cfg(test)]
mod tests;
