//! Verification of pieces against the plain content hash.
//!
//! A piece is a subtree of the file's BLAKE3 tree. The chaining values of all pieces (the *piece
//! hashes*) fold to the content hash. So the sender of piece hashes need not be trusted: they are
//! accepted only if they fold to the requested hash.
//!
//! Source: the BLAKE3 paper, section 2.1 (tree structure) and 5.1.3 (incremental updates), through
//! [`blake3::hazmat`]. The only piece hash of a file of one piece is its content hash, because the
//! root of the tree is computed with a flag of its own; an empty file has no piece hashes.

use std::ops::Range;

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};

use crate::error::{ErrorCode, Problem};
use crate::hash::ContentHash;
use crate::piece::{PieceGeometry, PieceIndex};

/// The BLAKE3 chaining value of one piece: 32 bytes.
pub type PieceHash = [u8; 32];

/// A hasher for one piece, fed in order in parts of any length (64 KiB and more is fastest).
pub struct PieceHasher {
    hasher: blake3::Hasher,
    is_root: bool,
}

impl PieceHasher {
    /// Creates a hasher for piece `index` of a file of this geometry.
    pub fn new(geometry: &PieceGeometry, index: PieceIndex) -> Self {
        let mut hasher = blake3::Hasher::new();
        let is_root = geometry.piece_count() <= 1;
        if !is_root {
            hasher.set_input_offset(geometry.piece_range(index).start);
        }
        Self { hasher, is_root }
    }

    /// Creates a hasher for a larger part of a file of `file_size` bytes: the whole file, or an
    /// aligned power of two of bytes, of which the last one of the file may be shorter (see
    /// [`FolderPiece::Part`](crate::folder::FolderPiece::Part)).
    pub fn of_part(file_size: u64, range: &Range<u64>) -> Self {
        let mut hasher = blake3::Hasher::new();
        let is_root = *range == (0..file_size);
        if !is_root {
            hasher.set_input_offset(range.start);
        }
        Self { hasher, is_root }
    }

    /// Adds the next bytes of the piece. The total must not exceed the length of the piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// Returns the piece hash of the added bytes.
    pub fn finish(self) -> PieceHash {
        if self.is_root {
            *self.hasher.finalize().as_bytes()
        } else {
            self.hasher.finalize_non_root()
        }
    }
}

/// Returns the piece hash of a piece in memory.
pub fn hash_piece(geometry: &PieceGeometry, index: PieceIndex, piece: &[u8]) -> PieceHash {
    let mut hasher = PieceHasher::new(geometry, index);
    hasher.update(piece);
    hasher.finish()
}

/// The piece hashes of a whole file, known to fold to its content hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceHashes {
    geometry: PieceGeometry,
    content: ContentHash,
    hashes: Vec<PieceHash>,
}

impl PieceHashes {
    /// Folds locally computed piece hashes to the content hash.
    ///
    /// # Errors
    /// Returns `invalid_argument` unless there is exactly one hash for each piece.
    pub fn fold(geometry: PieceGeometry, hashes: Vec<PieceHash>) -> Result<Self, Problem> {
        if hashes.len() != geometry.piece_count() as usize {
            return Err(Problem::invalid(format!(
                "a file of {} bytes has {} piece hashes, not {}",
                geometry.file_size(),
                geometry.piece_count(),
                hashes.len()
            )));
        }
        let content = match hashes.as_slice() {
            [] => ContentHash::EMPTY,
            [only] => ContentHash::from_bytes(*only),
            many => ContentHash::from_bytes(root(&geometry, many)),
        };
        Ok(Self {
            geometry,
            content,
            hashes,
        })
    }

    /// Accepts piece hashes from another peer if they fold to `content`.
    ///
    /// This proves each hash and the number of pieces. The exact size of the file is proven when
    /// its last piece is verified.
    ///
    /// # Errors
    /// Returns `content_changed` if they fold to another hash, or if their number is wrong.
    pub fn verify(
        geometry: PieceGeometry,
        content: ContentHash,
        hashes: Vec<PieceHash>,
    ) -> Result<Self, Problem> {
        match Self::fold(geometry, hashes) {
            Ok(folded) if folded.content == content => Ok(folded),
            _ => Err(Problem::new(
                ErrorCode::ContentChanged,
                "the piece hashes do not match the content hash",
            )),
        }
    }

    /// Returns the content hash that the piece hashes fold to.
    pub fn content(&self) -> ContentHash {
        self.content
    }

    /// Returns the geometry of the file.
    pub fn geometry(&self) -> PieceGeometry {
        self.geometry
    }

    /// Returns the piece hashes in order.
    pub fn as_slice(&self) -> &[PieceHash] {
        &self.hashes
    }

    /// Returns the hash of a larger part of the file, folded from the hashes of its pieces; compare
    /// it with [`PieceHasher::of_part`]. `None` unless `range` is the whole file, or an aligned
    /// power of two of pieces, of which the last one of the file may be shorter.
    pub fn part(&self, range: &Range<u64>) -> Option<PieceHash> {
        let (piece_size, file_size) = (self.geometry.piece_size(), self.geometry.file_size());
        if *range == (0..file_size) {
            return Some(*self.content.as_bytes());
        }
        let len = range.end.checked_sub(range.start)?;
        let count = len.div_ceil(piece_size);
        let aligned = count.checked_next_power_of_two()?.checked_mul(piece_size)?;
        let is_whole = len == aligned || range.end == file_size;
        if len == 0 || range.end > file_size || !range.start.is_multiple_of(aligned) || !is_whole {
            return None;
        }
        let first = (range.start / piece_size) as usize;
        let hashes = self.hashes.get(first..first + count as usize)?;
        Some(subtree(piece_size, len, hashes))
    }

    /// Returns whether `hash` is the hash of piece `index`.
    pub fn matches(&self, index: PieceIndex, hash: &PieceHash) -> bool {
        self.hashes.get(index as usize) == Some(hash)
    }
}

/// Computes the root hash from the hashes of two or more pieces.
fn root(geometry: &PieceGeometry, hashes: &[PieceHash]) -> [u8; 32] {
    let size = geometry.piece_size();
    let (left, right) = split(size, geometry.file_size(), hashes);
    *merge_subtrees_root(
        &subtree(size, left.0, left.1),
        &subtree(size, right.0, right.1),
        Mode::Hash,
    )
    .as_bytes()
}

/// Computes the chaining value of a non-root subtree of `len` bytes from the hashes of its ranges
/// of `size` bytes. The recursion depth is the logarithm of their number.
pub(crate) fn subtree(size: u64, len: u64, hashes: &[PieceHash]) -> ChainingValue {
    if let [only] = hashes {
        return *only;
    }
    let (left, right) = split(size, len, hashes);
    merge_subtrees_non_root(
        &subtree(size, left.0, left.1),
        &subtree(size, right.0, right.1),
        Mode::Hash,
    )
}

type Subtree<'a> = (u64, &'a [PieceHash]);

/// Splits a subtree of `len` bytes as BLAKE3 does: always at a boundary between ranges of `size`
/// bytes, because these are power-of-two subtrees themselves.
fn split(size: u64, len: u64, hashes: &[PieceHash]) -> (Subtree<'_>, Subtree<'_>) {
    let left_len = left_subtree_len(len);
    let (left, right) = hashes.split_at((left_len / size) as usize);
    ((left_len, left), (len - left_len, right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn contents(len: usize, seed: u64) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.finalize_xof().fill(&mut bytes);
        bytes
    }

    fn piece_hashes(bytes: &[u8]) -> (PieceGeometry, Vec<PieceHash>) {
        let geometry = PieceGeometry::new(bytes.len() as u64).unwrap();
        let hashes = (0..geometry.piece_count())
            .map(|index| {
                let range = geometry.piece_range(index);
                hash_piece(
                    &geometry,
                    index,
                    &bytes[range.start as usize..range.end as usize],
                )
            })
            .collect();
        (geometry, hashes)
    }

    fn assert_folds_to_the_plain_hash(len: usize) {
        let bytes = contents(len, len as u64);
        let (geometry, hashes) = piece_hashes(&bytes);
        let folded = PieceHashes::fold(geometry, hashes).unwrap();
        assert_eq!(folded.content(), ContentHash::of(&bytes), "{len} bytes");
    }

    #[test]
    fn pieces_fold_to_the_plain_hash_at_every_border() {
        const P: usize = 64 << 10;
        for len in [
            0,
            1,
            1023,
            1024,
            1025,
            P - 1,
            P,
            P + 1,
            2 * P - 1,
            2 * P,
            2 * P + 1,
        ] {
            assert_folds_to_the_plain_hash(len);
        }
        for pieces in 2..=33 {
            assert_folds_to_the_plain_hash(pieces * P);
            assert_folds_to_the_plain_hash(pieces * P - 1);
            assert_folds_to_the_plain_hash(pieces * P + 1);
        }
    }

    #[test]
    fn pieces_larger_than_the_smallest_fold_too() {
        // One byte above 128 MiB the piece size doubles.
        assert_folds_to_the_plain_hash((128 << 20) + 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pieces_fold_to_the_plain_hash(len in 0usize..4_000_000) {
            assert_folds_to_the_plain_hash(len);
        }

        #[test]
        fn a_part_of_several_pieces_has_the_hash_of_its_bytes(
            len in 1usize..2_000_000, power in 0u32..6, at in any::<prop::sample::Index>(),
        ) {
            let bytes = contents(len, 5);
            let (geometry, hashes) = piece_hashes(&bytes);
            let hashes = PieceHashes::fold(geometry, hashes).unwrap();
            let part = (64u64 << 10) << power;
            let start = part * at.index(len.div_ceil(part as usize)) as u64;
            let range = start..(start + part).min(len as u64);
            let mut hasher = PieceHasher::of_part(len as u64, &range);
            hasher.update(&bytes[start as usize..range.end as usize]);
            prop_assert_eq!(hashes.part(&range), Some(hasher.finish()));
            prop_assert_eq!(hashes.part(&(start + 1..range.end)), None);
            prop_assert_eq!(hashes.part(&(start..len as u64 + 1)), None);
        }

        #[test]
        fn a_changed_byte_or_hash_is_noticed(
            len in 1usize..600_000, at in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            let bytes = contents(len, 7);
            let content = ContentHash::of(&bytes);
            let (geometry, hashes) = piece_hashes(&bytes);
            let good = PieceHashes::verify(geometry, content, hashes.clone()).unwrap();

            let mut wrong = bytes;
            let byte = at.index(len);
            wrong[byte] ^= 1 << bit;
            let (_, wrong_hashes) = piece_hashes(&wrong);
            let index = (byte as u64 / geometry.piece_size()) as u32;
            for (i, hash) in wrong_hashes.iter().enumerate() {
                prop_assert_eq!(good.matches(i as u32, hash), i as u32 != index);
            }
            prop_assert!(PieceHashes::verify(geometry, content, wrong_hashes).is_err());
            prop_assert!(PieceHashes::verify(geometry, content, hashes[1..].to_vec()).is_err());
        }

        #[test]
        fn a_hasher_may_be_fed_in_any_runs(len in 1usize..300_000, run in 1usize..100_000) {
            let bytes = contents(len, 3);
            let (geometry, hashes) = piece_hashes(&bytes);
            for (index, hash) in hashes.iter().enumerate() {
                let range = geometry.piece_range(index as u32);
                let mut hasher = PieceHasher::new(&geometry, index as u32);
                for part in bytes[range.start as usize..range.end as usize].chunks(run) {
                    hasher.update(part);
                }
                prop_assert_eq!(&hasher.finish(), hash);
            }
        }
    }
}
