//! Reads files and computes their piece hashes and CRC-32 on all cores.
//!
//! Small files are hashed in parallel, and so are the pieces of large files. Both run in one thread
//! pool, where each thread has a buffer that fits its core's cache. Files are read, not mapped: a
//! mapped file that shrinks while it is hashed would end the process with SIGBUS.

use std::cell::RefCell;
use std::fs::File;
use std::io;

use convite_core::{ErrorCode, PieceGeometry, PieceHash, PieceHasher, PieceHashes, Problem};
use crc32fast::Hasher as Crc32;
use rayon::prelude::*;
use tokio_util::sync::CancellationToken;

use crate::fs::fallbacks::is_too_many_open_files;
use crate::fs::identity::FileIdentity;
use crate::fs::open_beneath;
use crate::fs::positioned_io::read_exact_at;
use crate::sharing::scan::FoundFile;
use crate::sharing::shares::path_in_share;

/// Bytes per read: small enough to be hashed from a core's second-level cache.
const READ_SIZE: usize = 256 << 10;
/// The size in bytes from which a file's pieces are hashed in parallel.
const PARALLEL_SIZE_MIN: u64 = 4 << 20;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The hashes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileHashes {
    /// The piece hashes.
    pub pieces: PieceHashes,
    /// The CRC-32 of the contents (IEEE 802.3, as in ZIP).
    pub crc32: u32,
}

/// The hashing thread pool.
pub struct HashPool {
    pool: rayon::ThreadPool,
}

impl HashPool {
    /// Creates a pool with one thread per core.
    ///
    /// # Errors
    /// Returns `internal` if no threads can be created.
    pub fn new() -> Result<Self, Problem> {
        let pool = rayon::ThreadPoolBuilder::new()
            .thread_name(|n| format!("hash-{n}"))
            .build()
            .map_err(|e| {
                Problem::new(
                    ErrorCode::Internal,
                    format!("cannot start the hashing threads: {e}"),
                )
            })?;
        Ok(Self { pool })
    }

    /// Hashes `files` and passes each result to `each` as soon as it is ready, in any order, with
    /// the file's index in `files`. Blocks until all are done or `stop` is cancelled; no further
    /// file is started then.
    ///
    /// The result of a file is `content_changed` if the file changed since it was found or while it
    /// was read, `unavailable` if it cannot be read, `overloaded` if too many files are open, and
    /// `invalid_argument` if it yields another number of bytes than its size.
    pub fn hash_all(
        &self,
        files: &[&FoundFile],
        stop: &CancellationToken,
        each: impl Fn(usize, Result<FileHashes, Problem>) + Sync,
    ) {
        self.pool.install(|| {
            // One file at a time per thread: sizes differ too much for batches.
            files
                .par_iter()
                .with_max_len(1)
                .enumerate()
                .for_each(|(at, found)| {
                    if !stop.is_cancelled() {
                        each(at, hash(found, stop));
                    }
                });
        });
    }
}

fn hash(found: &FoundFile, stop: &CancellationToken) -> Result<FileHashes, Problem> {
    let unreadable = |error: io::Error| {
        let code = if is_too_many_open_files(&error) {
            ErrorCode::Overloaded
        } else {
            ErrorCode::Unavailable
        };
        Problem::new(
            code,
            format!(
                "cannot read {}: {error}",
                convite_core::display::escape(found.path.as_str())
            ),
        )
    };
    let changed = || {
        Problem::new(
            ErrorCode::ContentChanged,
            format!(
                "{} changed while it was hashed",
                convite_core::display::escape(found.path.as_str())
            ),
        )
    };
    let (file, identity) =
        open_beneath::open(&found.root, path_in_share(&found.path)).map_err(unreadable)?;
    let geometry = PieceGeometry::new(identity.size).ok_or_else(changed)?;
    if identity != found.identity {
        return Err(changed());
    }
    open_beneath::check_size(&file, identity.size).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => Problem::invalid(format!(
            "cannot share {}: {error}",
            convite_core::display::escape(found.path.as_str())
        )),
        _ => unreadable(error),
    })?;
    let hashes = hash_pieces(&file, &geometry, stop);
    let (hashes, crc32) = hashes.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => changed(),
        _ => unreadable(error),
    })?;
    let after = FileIdentity::of(&file).map_err(unreadable)?;
    if after != found.identity {
        return Err(changed());
    }
    Ok(FileHashes {
        pieces: PieceHashes::fold(geometry, hashes)?,
        crc32,
    })
}

/// Returns the piece hashes and the CRC-32 of a file.
fn hash_pieces(
    file: &File,
    geometry: &PieceGeometry,
    stop: &CancellationToken,
) -> io::Result<(Vec<PieceHash>, u32)> {
    let mut whole = Crc32::new();
    if geometry.file_size() < PARALLEL_SIZE_MIN {
        let pieces = 0..geometry.piece_count();
        let hashes = pieces.map(|index| hash_piece(file, geometry, index, stop, &mut whole));
        return Ok((hashes.collect::<io::Result<_>>()?, whole.finalize()));
    }
    advise_sequential(file);
    let hashed: io::Result<Vec<(PieceHash, Crc32)>> = (0..geometry.piece_count())
        .into_par_iter()
        .map(|index| {
            let mut crc32 = Crc32::new();
            let hash = hash_piece(file, geometry, index, stop, &mut crc32)?;
            Ok((hash, crc32))
        })
        .collect();
    let hashes = hashed?.into_iter().map(|(hash, crc32)| {
        whole.combine(&crc32);
        hash
    });
    Ok((hashes.collect(), whole.finalize()))
}

/// Returns the hash of a piece, and adds its bytes to `crc32`.
fn hash_piece(
    file: &File,
    geometry: &PieceGeometry,
    index: u32,
    stop: &CancellationToken,
    crc32: &mut Crc32,
) -> io::Result<PieceHash> {
    BUFFER.with_borrow_mut(|buffer| {
        let range = geometry.piece_range(index);
        let size = READ_SIZE.min((range.end - range.start) as usize);
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        let mut hasher = PieceHasher::new(geometry, index);
        let mut at = range.start;
        while at < range.end {
            if stop.is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let part = &mut buffer[..READ_SIZE.min((range.end - at) as usize)];
            read_exact_at(file, part, at)?;
            hasher.update(part);
            crc32.update(part);
            at += part.len() as u64;
        }
        Ok(hasher.finish())
    })
}

/// Advises the system that a file will be read sequentially.
pub(crate) fn advise_sequential(file: &File) {
    // Advice only; errors do not matter.
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Sequential);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

#[cfg(test)]
mod tests {
    use super::*;
    use convite_core::ContentHash;
    use parking_lot::Mutex;
    use proptest::prelude::*;
    use std::path::Path;
    use std::sync::Arc;

    use crate::fs::volume::Volume;

    fn found(folder: &Path, name: &str, bytes: &[u8]) -> FoundFile {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        FoundFile {
            path: format!("s/{name}").parse().unwrap(),
            root: folder.into(),
            space: None,
            identity: FileIdentity::of(&File::open(&path).unwrap()).unwrap(),
            volume: Arc::new(Volume::of(&path).unwrap()),
        }
    }

    fn contents(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new()
            .update(&len.to_le_bytes())
            .finalize_xof()
            .fill(&mut bytes);
        bytes
    }

    fn results(files: &[FoundFile]) -> Vec<Result<FileHashes, Problem>> {
        let results = Mutex::new(vec![None; files.len()]);
        let hashing = HashPool::new().unwrap();
        let files: Vec<&FoundFile> = files.iter().collect();
        hashing.hash_all(&files, &CancellationToken::new(), |at, result| {
            results.lock()[at] = Some(result);
        });
        let results = results.into_inner();
        results.into_iter().map(Option::unwrap).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn piece_hashes_fold_to_the_plain_hash(
            sizes in proptest::collection::vec(prop_oneof![0usize..3_000, 0usize..9_000_000], 1..5),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let files: Vec<_> = sizes
                .iter()
                .enumerate()
                .map(|(at, size)| found(folder.path(), &at.to_string(), &contents(*size)))
                .collect();
            for (size, result) in sizes.iter().zip(results(&files)) {
                let (hashes, contents) = (result.unwrap(), contents(*size));
                prop_assert_eq!(hashes.pieces.content(), ContentHash::of(&contents));
                prop_assert_eq!(hashes.crc32, crc32fast::hash(&contents));
            }
        }
    }

    #[test]
    fn changed_and_deleted_files_are_distinguished() {
        let folder = tempfile::tempdir().unwrap();
        let mut changed = found(folder.path(), "changed", b"old");
        changed.identity.changed_ns -= 1;
        let gone = found(folder.path(), "gone", b"x");
        std::fs::remove_file(folder.path().join("gone")).unwrap();
        let codes: Vec<_> = results(&[changed, gone])
            .into_iter()
            .map(|result| result.unwrap_err().code)
            .collect();
        assert_eq!(codes, [ErrorCode::ContentChanged, ErrorCode::Unavailable]);
    }
}
