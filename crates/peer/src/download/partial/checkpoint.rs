//! Checkpoints: which pieces on disk are used after a restart. They are those of the last
//! checkpoint if the file has not changed since, and otherwise those with a correct hash.
//!
//! A checkpoint identifies the file by its random name and its metadata: inode number, length,
//! modification time, and change time, which programs cannot set. Any write after the checkpoint,
//! by this program or another, changes one of them; then every piece is hashed again.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use convite_client::home::write_private;
use convite_core::verify::hash_piece;
use convite_core::{ContentHash, PieceGeometry, PieceHashes, PieceIndex};
use convite_swarm::PieceSet;
use rayon::prelude::*;
use tokio_util::sync::CancellationToken;

use crate::fs::positioned_io::read_exact_at;
use crate::fs::stamp::FileStamp;

/// The number of pieces hashed between two checks for cancellation.
const BATCH: usize = 64;

/// Whether a checkpoint waits until its stamp is reliable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamping {
    /// Does not wait: more data is written soon, followed by another checkpoint.
    Immediate,
    /// Waits for a moment: this is the last checkpoint.
    Reliable,
}

/// Writes a checkpoint with synced pieces of the file named `name`.
///
/// # Errors
/// Fails as the file system does.
pub(crate) fn write_checkpoint(
    path: &Path,
    name: &str,
    file: &File,
    verified: &PieceSet,
    stamping: Stamping,
) -> io::Result<()> {
    let mut stamp = FileStamp::of(file)?;
    let unsettled = |stamp: &Option<FileStamp>| stamp.map_or(Duration::ZERO, |s| s.unsettled_for());
    if stamping == Stamping::Reliable && !unsettled(&stamp).is_zero() {
        sleep(unsettled(&stamp));
        stamp = FileStamp::of(file)?;
    }
    // A stamp that is not reliable yet is not stored.
    let stamp = stamp.filter(|stamp| stamp.unsettled_for().is_zero());
    let stamp = stamp.map_or_else(|| "-".to_owned(), |stamp| stamp.text());
    let mut bytes = format!("{name}\n{stamp}\n").into_bytes();
    bytes.extend_from_slice(&verified.to_bytes());
    write_private(path, &bytes)
}

/// A checkpoint.
pub(crate) struct Checkpoint {
    stamp: String,
    pub(crate) pieces: PieceSet,
}

impl Checkpoint {
    /// Reads the checkpoint of the file named `name`; `None` if it belongs to another file.
    pub(crate) fn read(path: &Path, name: &str, count: u32) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        let rest = bytes.strip_prefix(name.as_bytes())?.strip_prefix(b"\n")?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        Some(Self {
            stamp: String::from_utf8_lossy(&rest[..end]).into_owned(),
            pieces: PieceSet::from_bytes(count, &rest[end + 1..])?,
        })
    }

    /// Returns whether the file is unchanged since the checkpoint.
    ///
    /// # Errors
    /// Fails as the file system does.
    pub(crate) fn is_valid(&self, file: &File) -> io::Result<bool> {
        let now = FileStamp::of(file)?;
        Ok(now.is_some_and(|now| now.text() == self.stamp))
    }
}

/// Reads and verifies the piece hashes stored by an earlier run.
pub(crate) fn read_hashes(
    path: &Path,
    hash: ContentHash,
    geometry: PieceGeometry,
) -> Option<PieceHashes> {
    if geometry.piece_count() == 1 {
        return PieceHashes::verify(geometry, hash, vec![*hash.as_bytes()]).ok();
    }
    let bytes = fs::read(path).ok()?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() {
        return None;
    }
    PieceHashes::verify(geometry, hash, hashes.to_vec()).ok()
}

/// Searches contents for correct pieces.
pub(crate) struct PieceSearch<'a> {
    pub(crate) from: &'a File,
    pub(crate) hashes: &'a PieceHashes,
    /// Cancels the search.
    pub(crate) stop: &'a CancellationToken,
    /// Called with the size in bytes of each correct piece.
    pub(crate) found: &'a (dyn Fn(u64) + Sync),
}

impl PieceSearch<'_> {
    /// Adds the pieces with a correct hash to `verified`. Holes in the file are skipped.
    ///
    /// # Errors
    /// Returns `Interrupted` if it was cancelled.
    pub(crate) fn find(&self, verified: &mut PieceSet) -> io::Result<()> {
        let wanted: Vec<PieceIndex> = self.unknown(verified).collect();
        for batch in wanted.chunks(BATCH) {
            self.go_on()?;
            let right: Vec<PieceIndex> = batch
                .par_iter()
                .map_init(Vec::new, |buffer, index| {
                    self.is_right(*index, buffer).then_some(*index)
                })
                .flatten()
                .collect();
            for index in right {
                verified.insert(index);
                (self.found)(self.hashes.geometry().piece_len(index));
            }
        }
        Ok(())
    }

    /// Same as [`Self::find`], and passes each correct piece to `keep` first.
    ///
    /// # Errors
    /// Returns the errors of `keep`, and `Interrupted` if it was cancelled.
    pub(crate) fn carry(
        &self,
        verified: &mut PieceSet,
        mut keep: impl FnMut(&[u8], u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut buffer = Vec::new();
        let wanted: Vec<PieceIndex> = self.unknown(verified).collect();
        for index in wanted {
            self.go_on()?;
            if self.is_right(index, &mut buffer) {
                let geometry = self.hashes.geometry();
                keep(&buffer, geometry.piece_range(index).start)?;
                verified.insert(index);
                (self.found)(geometry.piece_len(index));
            }
        }
        Ok(())
    }

    fn go_on(&self) -> io::Result<()> {
        if self.stop.is_cancelled() {
            Err(io::ErrorKind::Interrupted.into())
        } else {
            Ok(())
        }
    }

    fn unknown<'s>(&'s self, verified: &'s PieceSet) -> impl Iterator<Item = PieceIndex> + 's {
        let geometry = self.hashes.geometry();
        let holds = move |index: &PieceIndex| holds_data(self.from, &geometry.piece_range(*index));
        let all = 0..geometry.piece_count();
        all.filter(|index| !verified.contains(*index)).filter(holds)
    }

    /// Reads a piece into `buffer` and returns whether it is correct. A piece that cannot be read
    /// is downloaded again.
    fn is_right(&self, index: PieceIndex, buffer: &mut Vec<u8>) -> bool {
        let geometry = self.hashes.geometry();
        let range = geometry.piece_range(index);
        buffer.resize((range.end - range.start) as usize, 0);
        read_exact_at(self.from, buffer, range.start).is_ok()
            && self
                .hashes
                .matches(index, &hash_piece(&geometry, index, buffer))
    }
}

/// Returns whether a range of the file contains data, as far as the file system reports holes.
fn holds_data(file: &File, range: &Range<u64>) -> bool {
    #[cfg(target_os = "linux")]
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(range.start)) {
        Ok(data) => return data < range.end,
        Err(rustix::io::Errno::NXIO) => return false,
        Err(_) => {}
    }
    let _ = (file, range);
    true
}
