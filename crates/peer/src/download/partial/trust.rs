//! Which pieces of contents on disk are trusted: those that are noted of these very contents, and
//! those whose hash is right.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::Path;

use convite_client::home::write_private;
use convite_core::verify::hash_piece;
use convite_core::{ContentHash, PieceGeometry, PieceHashes};
use convite_swarm::PieceSet;

use crate::positioned::read_exact_at;

/// Which file a note is about: its name, which has a random part, and what the file system calls
/// it. A note about another one says nothing. If a device is called otherwise after a restart,
/// pieces are hashed once more, and nothing is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity(String);

impl Identity {
    /// # Errors
    /// As the file system has them.
    pub(super) fn of(file: &File, path: &Path) -> io::Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        #[cfg(unix)]
        let (device, inode) = {
            use std::os::unix::fs::MetadataExt;
            let about = file.metadata()?;
            (about.dev(), about.ino())
        };
        #[cfg(not(unix))]
        let (device, inode) = (0, file.metadata()?.len());
        Ok(Self(format!("{device} {inode} {name}\n")))
    }

    /// Notes pieces of this file, which are synced.
    ///
    /// # Errors
    /// As the file system has them.
    pub(super) fn note(&self, path: &Path, verified: &PieceSet) -> io::Result<()> {
        let mut bytes = self.0.clone().into_bytes();
        bytes.extend_from_slice(&verified.to_bytes());
        write_private(path, &bytes)
    }

    /// The pieces that are noted, if the note is about this file.
    pub(super) fn noted(&self, path: &Path, count: u32) -> Option<PieceSet> {
        let bytes = fs::read(path).ok()?;
        PieceSet::from_bytes(count, bytes.strip_prefix(self.0.as_bytes())?)
    }
}

/// The piece hashes that an earlier run learned, if they are right.
pub(super) fn read_hashes(
    path: &Path,
    hash: ContentHash,
    geometry: PieceGeometry,
) -> Option<PieceHashes> {
    let bytes = fs::read(path).ok()?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() {
        return None;
    }
    PieceHashes::verify(geometry, hash, hashes.to_vec()).ok()
}

/// Adds to `verified` the pieces that are in `from` and whose hash is right; each goes through
/// `keep` before. Holes are passed over.
///
/// # Errors
/// Those of `keep`.
pub(super) fn find_right(
    from: &File,
    hashes: &PieceHashes,
    verified: &mut PieceSet,
    mut keep: impl FnMut(&[u8], u64) -> io::Result<()>,
) -> io::Result<()> {
    let geometry = hashes.geometry();
    let mut buffer = Vec::new();
    for index in 0..geometry.piece_count() {
        let range = geometry.piece_range(index);
        if verified.contains(index) || !holds_data(from, &range) {
            continue;
        }
        buffer.resize((range.end - range.start) as usize, 0);
        // What cannot be read has to be fetched again, and that is all.
        if read_exact_at(from, &mut buffer, range.start).is_ok()
            && hashes.matches(index, &hash_piece(&geometry, index, &buffer))
        {
            keep(&buffer, range.start)?;
            verified.insert(index);
        }
    }
    Ok(())
}

/// Whether a run of the file is more than a hole, as far as the file system tells.
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
