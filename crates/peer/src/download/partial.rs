//! Unfinished downloads on disk.
//!
//! ```text
//! HOME/downloads.lock                   locked while disk space is checked and allocated
//! HOME/downloads/HASH-SIZE/lock         locked by the process that downloads the file
//! HOME/downloads/HASH-SIZE/about        metadata and target, see `unfinished`
//! HOME/downloads/HASH-SIZE/where        the path of the contents, see `location`
//! HOME/downloads/HASH-SIZE/left         the path of contents to be moved to another file system
//! HOME/downloads/HASH-SIZE/hashes       the verified piece hashes
//! HOME/downloads/HASH-SIZE/pieces       the last checkpoint: verified pieces of a file, see
//! `checkpoint`
//! HOME/downloads/HASH-SIZE/contents-ID  the contents so far
//! ```
//!
//! Downloads within one space are separate, as `HASH-SIZE@SPACE` (`HASH-SIZE@` for the space of
//! everyone): pieces from one space must not end in a copy in another.
//!
//! The contents are on the file system of the target: in this folder if it is on the same one,
//! otherwise in a hidden file beside the target. If the next target is on another file system,
//! verified pieces are moved there. Order of durability: contents, sync, checkpoint. A checkpoint
//! is used only if the file has not changed since. After a kill it has changed: then every piece on
//! disk is hashed again, and correct pieces are kept, including those written after the checkpoint.

pub(crate) mod checkpoint;
pub(super) mod location;
mod opening;
pub(super) mod summary;

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use convite_client::home::write_private;
use convite_core::{ContentHash, ErrorCode, PieceGeometry, PieceHashes, Problem};
use convite_net::task::blocking;
use convite_swarm::PieceSet;
use tokio_util::sync::CancellationToken;

use super::disk_space;
use super::target::{Target, disk_problem};
use crate::fs::fallbacks::{self, ExtendMethod};
use crate::fs::piece_writer::PieceWriter;
use checkpoint::{PieceSearch, Stamping};
use location::{LockedContents, PartialLocation};
pub(crate) use opening::Opening;
use opening::VerifiedContents;
use summary::name_of;

/// An unfinished download, locked by this process.
pub(crate) struct UnfinishedFile {
    folder: PathBuf,
    path: PathBuf,
    contents: Arc<PieceWriter>,
    geometry: PieceGeometry,
    hash: ContentHash,
    /// The pieces that were verified when it was opened.
    verified: PieceSet,
    hashes: Option<Arc<PieceHashes>>,
    extended: ExtendMethod,
    /// Locked until this is dropped.
    _lock: Arc<File>,
}

impl UnfinishedFile {
    /// Opens the unfinished download of an earlier run, or begins a new one.
    ///
    /// # Errors
    /// Returns `no_space` if the target's file system has too little free space or does not support
    /// files of this size, and `in_use` if another process downloads the same file. Fails otherwise
    /// as the file system does.
    pub(crate) async fn open(opening: Opening) -> Result<Self, Problem> {
        blocking(move || {
            let folder = opening.folder();
            let target = &opening.target;
            fs::create_dir_all(target.folder())
                .map_err(|error| disk_problem("create", target.folder(), &error))?;
            let turn = disk_space::lock_allocation(&opening.home);
            let lock = Arc::new(location::lock(&folder)?);
            let places = PartialLocation::new(&folder, &opening.hash, opening.geometry.file_size());
            let is_new = places.is_empty();
            let opened = opening::open(&opening, &folder, &places, turn);
            if opened.is_err() && is_new {
                let _ = fs::remove_dir_all(&folder);
            }
            let VerifiedContents {
                opened: LockedContents { path, file },
                verified,
                hashes,
                extended,
            } = opened?;
            let size = opening.geometry.file_size();
            let partial = Self {
                contents: Arc::new(PieceWriter::new(file, &path, size)),
                folder,
                path,
                geometry: opening.geometry,
                hash: opening.hash,
                verified,
                hashes: hashes.map(Arc::new),
                extended,
                _lock: lock,
            };
            if !partial.verified.is_empty() {
                // So that it is not hashed again if this run makes no progress.
                partial.checkpoint_with(&partial.verified, Stamping::Reliable)()
                    .map_err(|error| disk_problem("write", &partial.path, &error))?;
            }
            Ok(partial)
        })
        .await
    }

    /// Returns the piece writer of the contents.
    pub(crate) fn contents(&self) -> &Arc<PieceWriter> {
        &self.contents
    }

    /// Returns the pieces of the file.
    pub(crate) fn geometry(&self) -> PieceGeometry {
        self.geometry
    }

    /// Returns the pieces that were verified when it was opened.
    pub(crate) fn verified(&self) -> &PieceSet {
        &self.verified
    }

    /// Returns the piece hashes, if an earlier run stored them.
    pub(crate) fn hashes(&self) -> Option<Arc<PieceHashes>> {
        self.hashes.clone()
    }

    /// Stores the piece hashes for a resume. A failure is not an error: without them, only unsynced
    /// pieces cannot be kept.
    fn keep_hashes(&self, hashes: &PieceHashes) {
        if let Err(error) = write_private(
            &self.folder.join("hashes"),
            hashes.as_slice().as_flattened(),
        ) {
            tracing::warn!(%error, "cannot store the piece hashes");
        }
    }

    /// Sets the piece hashes and stores them for a resume.
    pub(crate) fn set_hashes(&mut self, hashes: Arc<PieceHashes>) {
        self.keep_hashes(&hashes);
        self.hashes = Some(hashes);
    }

    /// Returns the job that makes `pieces` durable: it syncs the contents, then writes the
    /// checkpoint.
    pub(crate) fn checkpoint(
        &self,
        verified: &PieceSet,
    ) -> impl FnOnce() -> io::Result<()> + use<> {
        self.checkpoint_with(verified, Stamping::Immediate)
    }

    fn checkpoint_with(
        &self,
        verified: &PieceSet,
        stamping: Stamping,
    ) -> impl FnOnce() -> io::Result<()> + use<> {
        let (file, path) = (self.contents.file().clone(), self.folder.join("pieces"));
        let (name, verified) = (name_of(&self.path), verified.clone());
        move || {
            fallbacks::sync_data(&file)?;
            checkpoint::write_checkpoint(&path, &name, &file, &verified, stamping)
        }
    }

    /// Same as [`Self::checkpoint`], at the end of an unfinished download: unused disk space is
    /// released, and the checkpoint gets a reliable stamp.
    pub(crate) fn final_checkpoint(
        &self,
        verified: &PieceSet,
    ) -> impl FnOnce() -> io::Result<()> + use<> {
        let (file, geometry) = (self.contents.file().clone(), self.geometry);
        let missing = missing_runs(geometry, verified);
        let checkpoint = self.checkpoint_with(verified, Stamping::Reliable);
        move || {
            for run in missing {
                fallbacks::release(&file, &run)?;
            }
            checkpoint()
        }
    }

    /// Removes a download without verified pieces.
    pub(crate) async fn remove(&self) {
        let (folder, path) = (self.folder.clone(), self.path.clone());
        let removed = blocking(move || {
            if folder.join("left").exists() {
                return Ok(());
            }
            fallbacks::remove_if_there(&path)
                .and_then(|()| fs::remove_dir_all(&folder))
                .map_err(|error| disk_problem("remove", &folder, &error))
        });
        if let Err(problem) = removed.await {
            tracing::debug!("{problem}");
        }
    }

    /// Syncs the whole file, moves it to its target and removes the state. If another process put
    /// the same file there meanwhile, that file is used. Returns the file at the target.
    ///
    /// # Errors
    /// Returns `file_exists` if a different file appeared there meanwhile. Fails otherwise as the
    /// file system does. The contents are kept on failure.
    pub(crate) async fn put_in_place(self, target: &Target) -> Result<Arc<File>, Problem> {
        let target = target.clone();
        blocking(move || {
            let file = self.contents.file();
            fallbacks::sync_all(file).map_err(|error| disk_problem("sync", &self.path, &error))?;
            if self.extended == ExtendMethod::WriteZeros {
                self.verify_on_disk(&target)?;
            }
            let placed = match target.move_here(&self.path, file, &self.hash) {
                Err(problem)
                    if problem.code == ErrorCode::FileExists && target.holds(&self.hash) =>
                {
                    fallbacks::remove_if_there(&self.path)
                        .map_err(|error| disk_problem("remove", &self.path, &error))?;
                    let placed = File::open(&target.path);
                    placed
                        .map(Arc::new)
                        .map_err(|error| disk_problem("read", &target.path, &error))?
                }
                placed => placed?,
            };
            // The file belongs to the user now, even while it is still provided.
            let _ = file.unlock();
            // On Windows an open file keeps its folder from being removed.
            #[cfg(windows)]
            drop(self._lock);
            if let Err(error) = fs::remove_dir_all(&self.folder) {
                tracing::warn!(%error, "cannot remove the state of a finished download");
            }
            Ok(placed)
        })
        .await
    }

    /// Verifies the file on disk again, where the file system may lose data written beyond the end.
    fn verify_on_disk(&self, target: &Target) -> Result<(), Problem> {
        let file = self.contents.file();
        #[cfg(target_os = "linux")]
        {
            // Read from disk and not from the page cache. Only advice; errors do not matter.
            let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
        }
        let mut right = PieceSet::empty(self.geometry.piece_count());
        if let Some(hashes) = self.hashes.as_deref() {
            let search = PieceSearch {
                from: file,
                hashes,
                stop: &CancellationToken::new(),
                found: &|_| {},
            };
            search
                .find(&mut right)
                .map_err(|error| disk_problem("read", &self.path, &error))?;
        }
        if right.is_full() {
            return Ok(());
        }
        // The checkpoint must not be used by the next run.
        let _ = fallbacks::remove_if_there(&self.folder.join("pieces"));
        Err(Problem::new(
            ErrorCode::CorruptContents,
            format!(
                "the disk of {} lost written data",
                target.folder().display()
            ),
        )
        .hint("run the same command again, or choose another target with -o PATH"))
    }
}

/// Returns the byte ranges without verified pieces.
fn missing_runs(geometry: PieceGeometry, verified: &PieceSet) -> Vec<std::ops::Range<u64>> {
    let mut runs: Vec<std::ops::Range<u64>> = Vec::new();
    for index in (0..geometry.piece_count()).filter(|index| !verified.contains(*index)) {
        let piece = geometry.piece_range(index);
        match runs.last_mut() {
            Some(last) if last.end == piece.start => last.end = piece.end,
            _ => runs.push(piece),
        }
    }
    runs
}

#[cfg(test)]
mod tests;
