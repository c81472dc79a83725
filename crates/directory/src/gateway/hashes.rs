//! Piece hashes of files in transfer: a cache, and a bound on their memory.

use std::collections::VecDeque;
use std::sync::Arc;

use convite_core::piece::PIECE_MAX;
use convite_core::{ContentHash, ErrorCode, PieceHashes, Problem};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::AGAIN;

/// Maximum number of piece hashes in the cache (32 bytes each).
const HASHES_KEPT: usize = 512 << 10;
/// Maximum number of files in the cache.
const FILES_KEPT: usize = 256;
/// Maximum number of pieces of a file: 2 TiB.
const PIECES_MAX: u32 = 512 << 10;
/// Maximum number of pieces of all large files in transfer. Each takes 32 bytes, and up to 192 more
/// while its hash is received from two providers.
const PIECES_OPEN: usize = 1 << 20;
/// Files with up to this number of pieces (32 GiB) do not count as large: each takes up to 1 MiB,
/// and the number of transfers is limited.
const PIECES_FREE: u32 = 8 << 10;

/// Piece hashes of recently read files, so that a reader of many ranges fetches them once. They
/// were verified against the content hash; access is checked before the lookup.
#[derive(Default)]
pub(super) struct PieceHashCache {
    kept: Mutex<VecDeque<Arc<PieceHashes>>>,
}

impl PieceHashCache {
    pub(super) fn get(&self, hash: &ContentHash, size: u64) -> Option<Arc<PieceHashes>> {
        let kept = self.kept.lock();
        let found = kept
            .iter()
            .find(|known| known.content() == *hash && known.geometry().file_size() == size);
        found.cloned()
    }

    pub(super) fn keep(&self, hashes: &Arc<PieceHashes>) {
        let count = hashes.as_slice().len();
        if count <= 1 || count > HASHES_KEPT {
            return;
        }
        let mut kept = self.kept.lock();
        kept.push_back(Arc::clone(hashes));
        let mut total: usize = kept.iter().map(|known| known.as_slice().len()).sum();
        while total > HASHES_KEPT || kept.len() > FILES_KEPT {
            let Some(oldest) = kept.pop_front() else {
                return;
            };
            total -= oldest.as_slice().len();
        }
    }
}

/// Memory for the piece hashes of large files in transfer. It is bounded, because the size of a
/// file is a claim of its providers.
pub(super) struct HashMemory(Arc<Semaphore>);

/// The memory of one file; released when dropped.
pub(super) type HashMemoryPermit = OwnedSemaphorePermit;

impl Default for HashMemory {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PIECES_OPEN)))
    }
}

impl HashMemory {
    /// Reserves memory for this number of pieces; none is necessary for a small number.
    ///
    /// # Errors
    /// Returns `too_large` if the file exceeds the maximum; `overloaded` if others use the memory.
    pub(super) fn take(&self, pieces: u32) -> Result<Option<HashMemoryPermit>, Problem> {
        if pieces <= PIECES_FREE {
            return Ok(None);
        }
        if pieces > PIECES_MAX {
            return Err(Problem::new(
                ErrorCode::TooLarge,
                format!(
                    "the file is larger than {} TiB, the maximum for transfers through the directory",
                    (u64::from(PIECES_MAX) * PIECE_MAX) >> 40
                ),
            )
            .hint("fetch it from its peers with `convite get`"));
        }
        let permit = Arc::clone(&self.0).try_acquire_many_owned(pieces);
        permit.map(Some).map_err(|_| {
            Problem::new(
                ErrorCode::Overloaded,
                "the directory has reached its limit of concurrent transfers of large files",
            )
            .hint("try again in a moment, or fetch the file from its peers with `convite get`")
            .retry_after(AGAIN)
        })
    }
}

#[cfg(test)]
mod tests {
    use convite_core::{PieceGeometry, PieceHash};

    use super::*;

    fn hashes(pieces: u64, seed: u8) -> Arc<PieceHashes> {
        let geometry = PieceGeometry::new(pieces * (4 << 20)).unwrap();
        let hashes: Vec<PieceHash> = vec![[seed; 32]; geometry.piece_count() as usize];
        Arc::new(PieceHashes::fold(geometry, hashes).unwrap())
    }

    #[test]
    fn the_hash_cache_is_bounded_and_keeps_the_newest() {
        let kept = PieceHashCache::default();
        let large: Vec<_> = (0..4).map(|seed| hashes(200_000, seed)).collect();
        for known in &large {
            kept.keep(known);
        }
        let found = |known: &Arc<PieceHashes>| {
            kept.get(&known.content(), known.geometry().file_size())
                .is_some()
        };
        assert_eq!(
            large.iter().map(found).collect::<Vec<_>>(),
            [false, false, true, true]
        );
        for seed in 0..=255 {
            kept.keep(&hashes(2048, seed));
        }
        assert!(kept.kept.lock().len() <= FILES_KEPT);
        assert!(!found(&large[3]));
        let newest = hashes(2048, 255);
        assert!(kept.get(&newest.content(), 1).is_none(), "another size");
        assert!(found(&newest));
    }

    #[test]
    fn hash_memory_is_shared_and_the_largest_files_are_refused() {
        let memory = HashMemory::default();
        let code = |pieces| memory.take(pieces).err().map(|problem| problem.code);
        assert_eq!(code(PIECES_MAX + 1), Some(ErrorCode::TooLarge));
        let first = memory.take(PIECES_MAX).unwrap();
        let _second = memory.take(PIECES_MAX).unwrap();
        assert_eq!(code(PIECES_FREE + 1), Some(ErrorCode::Overloaded));
        assert_eq!(code(PIECES_FREE), None);
        drop(first);
        assert_eq!(code(PIECES_MAX), None);
    }
}
