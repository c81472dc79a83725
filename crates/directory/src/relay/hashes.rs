//! The piece hashes of the files that are relayed: kept for a while, and never more than there is
//! room for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use convite_core::piece::PIECE_MAX;
use convite_core::{ContentHash, ErrorCode, PieceHashes, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::AGAIN;

/// Piece hashes kept, in all (32 bytes each), and of how many files.
const HASHES_KEPT: usize = 512 << 10;
const FILES_KEPT: usize = 256;
/// The pieces of the largest file that is relayed: 2 TiB.
const PIECES_MAX: u32 = 512 << 10;
/// The pieces of all large files that are relayed at once. For each, 32 bytes are held, and up to 128
/// more while its hash is on its way.
const PIECES_OPEN: usize = 1 << 20;
/// Files with no more pieces than this (up to 32 GiB) are not large: each takes up to 1 MiB, and the
/// relays are counted.
const PIECES_FREE: u32 = 8 << 10;

/// Piece hashes of files read lately, so that a reader of many ranges asks for them once. They are
/// known to fold to their content hash, and nobody gets here who may not read the file.
#[derive(Default)]
pub(super) struct KeptHashes {
    kept: Mutex<VecDeque<Arc<PieceHashes>>>,
}

impl KeptHashes {
    pub(super) fn get(&self, hash: &ContentHash, size: u64) -> Option<Arc<PieceHashes>> {
        let kept = self.kept();
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
        let mut kept = self.kept();
        kept.push_back(Arc::clone(hashes));
        let mut total: usize = kept.iter().map(|known| known.as_slice().len()).sum();
        while total > HASHES_KEPT || kept.len() > FILES_KEPT {
            let Some(oldest) = kept.pop_front() else {
                return;
            };
            total -= oldest.as_slice().len();
        }
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<PieceHashes>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Room in memory for the piece hashes of the files that are relayed, while they come and as long as
/// they are needed. A provider says how large a file is, and may say anything.
pub(super) struct Rooms(Arc<Semaphore>);

/// The room of one file; given back when dropped.
pub(super) type Room = OwnedSemaphorePermit;

impl Default for Rooms {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PIECES_OPEN)))
    }
}

impl Rooms {
    /// Room for so many pieces; none is needed for a few.
    ///
    /// # Errors
    /// `too_large` if there is never enough; `overloaded` if others have it.
    pub(super) fn take(&self, pieces: u32) -> Result<Option<Room>, Problem> {
        if pieces <= PIECES_FREE {
            return Ok(None);
        }
        if pieces > PIECES_MAX {
            return Err(Problem::new(
                ErrorCode::TooLarge,
                format!(
                    "the file is larger than the {} TiB that a directory hands on",
                    (u64::from(PIECES_MAX) * PIECE_MAX) >> 40
                ),
            )
            .hint("fetch it from its peers, with `convite get`"));
        }
        let room = Arc::clone(&self.0).try_acquire_many_owned(pieces);
        room.map(Some).map_err(|_| {
            Problem::new(
                ErrorCode::Overloaded,
                "the directory hands on as many large files as it may at once",
            )
            .hint("try again in a moment, or fetch from the peers with `convite get`")
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
    fn few_hashes_are_kept_and_the_newest_at_that() {
        let kept = KeptHashes::default();
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
        assert!(kept.kept().len() <= FILES_KEPT);
        assert!(!found(&large[3]));
        let newest = hashes(2048, 255);
        assert!(kept.get(&newest.content(), 1).is_none(), "another size");
        assert!(found(&newest));
    }

    #[test]
    fn large_files_share_a_room_and_the_largest_have_none() {
        let rooms = Rooms::default();
        let code = |pieces| rooms.take(pieces).err().map(|problem| problem.code);
        assert_eq!(code(PIECES_MAX + 1), Some(ErrorCode::TooLarge));
        let first = rooms.take(PIECES_MAX).unwrap();
        let _second = rooms.take(PIECES_MAX).unwrap();
        assert_eq!(code(PIECES_FREE + 1), Some(ErrorCode::Overloaded));
        assert_eq!(code(PIECES_FREE), None);
        drop(first);
        assert_eq!(code(PIECES_MAX), None);
    }
}
