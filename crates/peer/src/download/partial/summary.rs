//! Reads the state of an unfinished download that is not running, without changing it.

use std::fs::{self, TryLockError};
use std::path::{Path, PathBuf};

use convite_core::{ContentHash, PieceGeometry};

use super::checkpoint::Checkpoint;
use super::location::PartialLocation;

/// The state of an unfinished download on disk.
pub(crate) struct PartialSummary {
    /// The hidden files: the current one, then one to be moved.
    pub(crate) contents: Vec<PathBuf>,
    /// Bytes verified at the last checkpoint.
    pub(crate) verified: u64,
}

impl PartialSummary {
    /// Reads the download with its state in `folder`.
    pub(crate) fn of(folder: &Path, hash: &ContentHash, geometry: PieceGeometry) -> Self {
        let contents: Vec<PathBuf> = PartialLocation::new(folder, hash, geometry.file_size())
            .places()
            .collect();
        let name = contents.first().map(|path| name_of(path));
        let count = geometry.piece_count();
        let noted = name.and_then(|name| Checkpoint::read(&folder.join("pieces"), &name, count));
        let verified = noted.map_or(0, |noted| {
            let lengths = noted.pieces.iter().map(|index| geometry.piece_len(index));
            lengths.sum()
        });
        Self { contents, verified }
    }
}

/// Returns the name of a hidden file as stored in checkpoints.
pub(super) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Returns whether a process has locked the download with its state in `folder`.
pub(crate) fn is_locked(folder: &Path) -> bool {
    let Ok(file) = fs::File::open(folder.join("lock")) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}
