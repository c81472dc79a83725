//! The content hash of a file in a target.

use std::fs::File;
use std::io;

use convite_core::ContentHash;
use tokio_util::sync::CancellationToken;

use crate::fs::positioned_io::read_exact_at;

/// Bytes per read.
const READ_SIZE: u64 = 256 << 10;

/// Returns the hash of the first `size` bytes of a file.
///
/// # Errors
/// Returns `Interrupted` if `stop` is cancelled, and `UnexpectedEof` if the file is shorter. Fails
/// otherwise as the file system does.
pub(super) fn hash_contents(
    file: &File,
    size: u64,
    stop: &CancellationToken,
) -> io::Result<ContentHash> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_SIZE.min(size) as usize];
    let mut at = 0;
    while at < size {
        if stop.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let part = &mut buffer[..READ_SIZE.min(size - at) as usize];
        read_exact_at(file, part, at)?;
        hasher.update(part);
        at += part.len() as u64;
    }
    Ok(ContentHash::from_bytes(*hasher.finalize().as_bytes()))
}
