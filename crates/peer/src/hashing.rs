//! Reading files and computing their piece hashes, on all cores.
//!
//! Small files are hashed side by side, large ones piece by piece side by side; both are work for
//! one pool of threads, each with one buffer that stays in its core's cache. Files are read, never
//! mapped: a file that shrinks while it is hashed is an error here, not the end of the process.

use std::cell::RefCell;
use std::fs::File;
use std::io;

use convite_core::{ErrorCode, PieceGeometry, PieceHash, PieceHasher, PieceHashes, Problem};
use rayon::prelude::*;
use tokio_util::sync::CancellationToken;

use crate::beneath::{self, Identity};
use crate::positioned::read_exact_at;
use crate::scan::{self, Found};

/// Bytes read at once: small enough to be hashed out of a core's second-level cache.
const READ: usize = 256 << 10;
/// From this size on, in bytes, a file's pieces are hashed side by side.
const LARGE: u64 = 4 << 20;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The threads that hash.
pub struct Hashing {
    pool: rayon::ThreadPool,
}

impl Hashing {
    /// One thread for each core.
    ///
    /// # Errors
    /// `internal` if the system gives no threads.
    pub fn new() -> Result<Self, Problem> {
        let pool = rayon::ThreadPoolBuilder::new()
            .thread_name(|n| format!("hash-{n}"))
            .build()
            .map_err(|e| Problem::new(ErrorCode::Internal, format!("cannot hash: {e}")))?;
        Ok(Self { pool })
    }

    /// Hashes `files` and gives each result to `each` as soon as it is there, in no order, with
    /// the file's place in `files`. Blocks until all are done or `stop` is cancelled, after which
    /// no further file is begun.
    ///
    /// A file that is not what it was when it was found, before or after it was read, is
    /// `content_changed`; one that cannot be read is `unavailable`, or `overloaded` if that is because
    /// too many files are open.
    pub fn hash_all(
        &self,
        files: &[Found],
        stop: &CancellationToken,
        each: impl Fn(usize, Result<PieceHashes, Problem>) + Sync,
    ) {
        self.pool.install(|| {
            // One at a time to each thread: sizes differ too much for runs of files.
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

fn hash(found: &Found, stop: &CancellationToken) -> Result<PieceHashes, Problem> {
    let unreadable = |error: io::Error| {
        let code = match scan::is_starved(&error) {
            true => ErrorCode::Overloaded,
            false => ErrorCode::Unavailable,
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
        beneath::open(&found.root, scan::inner(&found.path)).map_err(unreadable)?;
    let geometry = PieceGeometry::new(identity.size).ok_or_else(changed)?;
    if identity != found.identity {
        return Err(changed());
    }
    let one = |index| hash_piece(&file, &geometry, index, stop);
    let hashes: Result<Vec<PieceHash>, io::Error> = if identity.size >= LARGE {
        read_in_order(&file);
        (0..geometry.piece_count())
            .into_par_iter()
            .map(one)
            .collect()
    } else {
        (0..geometry.piece_count()).map(one).collect()
    };
    let hashes = hashes.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => changed(),
        _ => unreadable(error),
    })?;
    let after = Identity::of(&file).map_err(unreadable)?;
    if after != found.identity {
        return Err(changed());
    }
    PieceHashes::fold(geometry, hashes)
}

fn hash_piece(
    file: &File,
    geometry: &PieceGeometry,
    index: u32,
    stop: &CancellationToken,
) -> io::Result<PieceHash> {
    BUFFER.with_borrow_mut(|buffer| {
        let range = geometry.piece_range(index);
        let size = READ.min((range.end - range.start) as usize);
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        let mut hasher = PieceHasher::new(geometry, index);
        let mut at = range.start;
        while at < range.end {
            if stop.is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let part = &mut buffer[..READ.min((range.end - at) as usize)];
            read_exact_at(file, part, at)?;
            hasher.update(part);
            at += part.len() as u64;
        }
        Ok(hasher.finish())
    })
}

/// Tells the system that a file will be read from its beginning to its end.
pub(crate) fn read_in_order(file: &File) {
    // Only advice: a file system that does not take it is read all the same.
    #[cfg(target_os = "linux")]
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::Sequential);
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}

#[cfg(test)]
mod tests {
    use super::*;
    use convite_core::ContentHash;
    use proptest::prelude::*;
    use std::path::Path;
    use std::sync::Mutex;

    fn found(folder: &Path, name: &str, bytes: &[u8]) -> Found {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        Found {
            path: format!("s/{name}").parse().unwrap(),
            root: folder.into(),
            space: None,
            identity: Identity::of(&File::open(&path).unwrap()).unwrap(),
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

    fn results(files: &[Found]) -> Vec<Result<PieceHashes, Problem>> {
        let results = Mutex::new(vec![None; files.len()]);
        let hashing = Hashing::new().unwrap();
        hashing.hash_all(files, &CancellationToken::new(), |at, result| {
            results.lock().unwrap()[at] = Some(result);
        });
        let results = results.into_inner().unwrap();
        results.into_iter().map(Option::unwrap).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn hashes_are_the_plain_hash(
            sizes in proptest::collection::vec(prop_oneof![0usize..3_000, 0usize..9_000_000], 1..5),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let files: Vec<_> = sizes
                .iter()
                .enumerate()
                .map(|(at, size)| found(folder.path(), &at.to_string(), &contents(*size)))
                .collect();
            for (size, result) in sizes.iter().zip(results(&files)) {
                prop_assert_eq!(result.unwrap().content(), ContentHash::of(&contents(*size)));
            }
        }
    }

    #[test]
    fn what_changed_or_went_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let mut changed = found(folder.path(), "changed", b"old");
        changed.identity.modified_ns -= 1;
        let gone = found(folder.path(), "gone", b"x");
        std::fs::remove_file(folder.path().join("gone")).unwrap();
        let codes: Vec<_> = results(&[changed, gone])
            .into_iter()
            .map(|result| result.unwrap_err().code)
            .collect();
        assert_eq!(codes, [ErrorCode::ContentChanged, ErrorCode::Unavailable]);
    }
}
