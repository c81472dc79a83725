//! Large files while they are received: each has a file of its own among the parts, with the verified
//! pieces at their places.
//!
//! ```text
//! HASH.part     the contents so far
//! HASH.hashes   the piece hashes
//! HASH.pieces   the last checkpoint, see `download::partial::checkpoint`
//! ```
//!
//! A checkpoint is used only if the file is unchanged since. Otherwise every piece on disk is hashed
//! again, so a kill loses nothing and no unverified byte is kept.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use convite_core::folder::FolderFile;
use convite_core::{FolderPieces, PieceGeometry, PieceHashes, PieceIndex};
use convite_swarm::PieceSet;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::download::partial::checkpoint::{
    Checkpoint, PieceSearch, Stamping, read_hashes, write_checkpoint,
};
use crate::fs::fallbacks::{remove_if_there, set_len};
use crate::fs::folder_handle::{FolderHandle, NewFileMode};

/// The maximum number of files that are kept open.
const OPEN_MAX: usize = 32;

/// The large files that are not complete.
pub(super) struct LargeFiles {
    /// The path of the parts, for checkpoints.
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The pieces on disk, by the index of the file; relative to its first piece.
    held: HashMap<u32, PieceSet>,
    /// Open files, the last used one at the end.
    open: Vec<(u32, Arc<File>)>,
    /// Files with pieces that no checkpoint covers.
    changed: Vec<FolderFile>,
}

impl State {
    fn forget(&mut self, file: &FolderFile) {
        let index = file.index as u32;
        self.held.remove(&index);
        self.open.retain(|(known, _)| *known != index);
        self.changed.retain(|known| known.index != file.index);
    }
}

/// Returns the name of the contents of a large file.
pub(super) fn part_name(file: &FolderFile) -> String {
    format!("{}.part", file.hash)
}

/// How a large file is resumed.
pub(super) struct Resuming<'a> {
    pub(super) parts: &'a FolderHandle,
    pub(super) pieces: &'a FolderPieces,
    pub(super) stop: &'a CancellationToken,
}

impl LargeFiles {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            state: Mutex::default(),
        }
    }

    fn sidecar(&self, file: &FolderFile, kind: &str) -> PathBuf {
        self.path.join(format!("{}.{kind}", file.hash))
    }

    /// Finds the verified pieces of `file` that an earlier run left. Returns them relative to the first
    /// piece of the file.
    ///
    /// # Errors
    /// Returns `Interrupted` if it was cancelled. Fails otherwise as the file system does.
    pub(super) fn resume(&self, file: &FolderFile, from: &Resuming<'_>) -> io::Result<PieceSet> {
        let held = match self.find(file, from)? {
            Some(held) => held,
            None => {
                // What cannot be verified is not kept.
                self.remove(file, from.parts)?;
                PieceSet::empty(piece_count(from.pieces, file))
            }
        };
        let index = file.index as u32;
        self.state.lock().held.insert(index, held.clone());
        Ok(held)
    }

    fn find(&self, file: &FolderFile, from: &Resuming<'_>) -> io::Result<Option<PieceSet>> {
        let name = part_name(file);
        let open = match from.parts.open_file_to_write(&name) {
            Ok(open) => open,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(geometry) = PieceGeometry::new(file.size) else {
            return Ok(None);
        };
        if open.metadata()?.len() != file.size {
            return Ok(None);
        }
        let count = piece_count(from.pieces, file);
        let checkpoint = Checkpoint::read(&self.sidecar(file, "pieces"), &name, count);
        if let Some(checkpoint) = checkpoint
            && checkpoint.is_valid(&open)?
        {
            return Ok(Some(checkpoint.pieces));
        }
        let Some(hashes) = read_hashes(&self.sidecar(file, "hashes"), file.hash, geometry) else {
            return Ok(None);
        };
        let mut right = PieceSet::empty(geometry.piece_count());
        let search = PieceSearch {
            from: &open,
            hashes: &hashes,
            stop: from.stop,
            found: &|_| {},
        };
        search.find(&mut right)?;
        Ok(Some(held_pieces(from.pieces, file, geometry, &right)))
    }

    /// Stores the piece hashes of a file for a resume. A failure is not an error: without them, only
    /// pieces of a checkpoint are kept.
    pub(super) fn store_hashes(&self, file: &FolderFile, hashes: &PieceHashes) {
        let stored = fs::write(
            self.sidecar(file, "hashes"),
            hashes.as_slice().as_flattened(),
        );
        if let Err(error) = stored {
            tracing::warn!(%error, "cannot store the piece hashes");
        }
    }

    /// Returns the open contents of a file, which are created if they do not exist.
    ///
    /// # Errors
    /// Fails as the file system does.
    pub(super) fn open(
        &self,
        parts: &FolderHandle,
        file: &FolderFile,
        mode: NewFileMode,
    ) -> io::Result<Arc<File>> {
        // The lock is held while the file is created, so that it is created once.
        let mut state = self.state.lock();
        let index = file.index as u32;
        if let Some(place) = state.open.iter().position(|(known, _)| *known == index) {
            let known = state.open.remove(place);
            let open = known.1.clone();
            state.open.push(known);
            return Ok(open);
        }
        let name = part_name(file);
        let open = match parts.open_file_to_write(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let new = parts.create_file(&name, mode)?;
                set_len(&new, file.size)?;
                new
            }
            open => open?,
        };
        let open = Arc::new(open);
        if state.open.len() >= OPEN_MAX {
            state.open.remove(0);
        }
        state.open.push((index, open.clone()));
        Ok(open)
    }

    /// Notes that `piece`, counted from the first piece of the file, is written. Returns whether it was
    /// the last missing one; `None` if it was written before.
    pub(super) fn wrote(&self, file: &FolderFile, piece: PieceIndex) -> Option<bool> {
        let mut state = self.state.lock();
        let index = file.index as u32;
        let held = state.held.get_mut(&index)?;
        if !held.insert(piece) {
            return None;
        }
        if held.is_full() {
            state.forget(file);
            return Some(true);
        }
        if !state.changed.iter().any(|known| known.index == file.index) {
            state.changed.push(file.clone());
        }
        Some(false)
    }

    /// Returns the pieces of a file, relative to its first one; `None` if nothing of it is received.
    pub(super) fn held(&self, index: usize) -> Option<PieceSet> {
        let index = u32::try_from(index).ok()?;
        self.state.lock().held.get(&index).cloned()
    }

    /// Forgets a file that is complete.
    pub(super) fn forget(&self, file: &FolderFile) {
        self.state.lock().forget(file);
    }

    /// Returns the files that changed since the last call, with the pieces that they hold. A sync
    /// after this call makes these pieces durable.
    pub(super) fn take_changed(&self) -> Vec<(FolderFile, PieceSet)> {
        let mut state = self.state.lock();
        let changed = std::mem::take(&mut state.changed);
        let held = |file: FolderFile| {
            let held = state.held.get(&(file.index as u32))?.clone();
            Some((file, held))
        };
        changed.into_iter().filter_map(held).collect()
    }

    /// Writes a checkpoint with synced pieces of a file. At the end of a download it waits until the
    /// stamp of the file is reliable.
    ///
    /// # Errors
    /// Fails as the file system does.
    pub(super) fn write_checkpoint(
        &self,
        parts: &FolderHandle,
        (file, held): &(FolderFile, PieceSet),
        is_last: bool,
    ) -> io::Result<()> {
        let name = part_name(file);
        let open = parts.open_file(&name)?;
        let stamping = match is_last {
            true => Stamping::Reliable,
            false => Stamping::Immediate,
        };
        write_checkpoint(&self.sidecar(file, "pieces"), &name, &open, held, stamping)
    }

    /// Removes the piece hashes and the checkpoint of a complete file.
    ///
    /// # Errors
    /// Fails as the file system does.
    pub(super) fn remove_state(&self, file: &FolderFile) -> io::Result<()> {
        remove_if_there(&self.sidecar(file, "hashes"))?;
        remove_if_there(&self.sidecar(file, "pieces"))
    }

    fn remove(&self, file: &FolderFile, parts: &FolderHandle) -> io::Result<()> {
        self.remove_state(file)?;
        match parts.remove_file(&part_name(file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Returns the number of pieces of a large file.
fn piece_count(pieces: &FolderPieces, file: &FolderFile) -> u32 {
    let own = pieces.pieces_of_file(file.index);
    own.end - own.start
}

/// Returns the pieces of the folder that consist of correct pieces of the file alone.
fn held_pieces(
    pieces: &FolderPieces,
    file: &FolderFile,
    geometry: PieceGeometry,
    right: &PieceSet,
) -> PieceSet {
    let own = pieces.pieces_of_file(file.index);
    let mut held = PieceSet::empty(own.end - own.start);
    for piece in own.clone() {
        let range = pieces.piece_range(piece);
        let (start, end) = (range.start - file.offset, range.end - file.offset);
        let first = start / geometry.piece_size();
        let after = end.div_ceil(geometry.piece_size());
        // Fits: a file has at most 2^32 pieces.
        if (first as u32..after as u32).all(|index| right.contains(index)) {
            held.insert(piece - own.start);
        }
    }
    held
}
