//! Checking pieces against the plain content hash.
//!
//! A piece is a subtree of the file's BLAKE3 tree, so its chaining value (the *piece hash*) folds
//! up with the others to the content hash. Whoever hands out piece hashes need not be trusted:
//! they either fold to the hash that was asked for, or are refused.
//!
//! Source: the BLAKE3 paper, section 2.1 (tree structure) and 5.1.3 (incremental updates), by
//! [`blake3::hazmat`]. A file of one piece has its content hash as its only piece hash, since the
//! root of the tree is computed with a flag of its own; an empty file has none.

use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};

use crate::error::{ErrorCode, Problem};
use crate::hash::ContentHash;
use crate::piece::{PieceGeometry, PieceIndex};

/// The BLAKE3 chaining value of one piece: 32 bytes.
pub type PieceHash = [u8; 32];

/// Hashes one piece, fed in order in runs of any length (64 KiB and more is fastest).
pub struct PieceHasher {
    hasher: blake3::Hasher,
    is_root: bool,
}

impl PieceHasher {
    /// A hasher for piece `index` of a file of this geometry.
    pub fn new(geometry: &PieceGeometry, index: PieceIndex) -> Self {
        let mut hasher = blake3::Hasher::new();
        let is_root = geometry.piece_count() <= 1;
        if !is_root {
            hasher.set_input_offset(geometry.piece_range(index).start);
        }
        Self { hasher, is_root }
    }

    /// Takes the next bytes of the piece; at most the piece's length in all.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The piece hash of what was taken.
    pub fn finish(self) -> PieceHash {
        if self.is_root {
            *self.hasher.finalize().as_bytes()
        } else {
            self.hasher.finalize_non_root()
        }
    }
}

/// The piece hash of a piece held in memory.
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
    /// Folds piece hashes that were computed here into the content hash.
    ///
    /// # Errors
    /// `invalid_argument` unless there is exactly one hash for each piece.
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
            [] => ContentHash::of_empty(),
            [only] => ContentHash::from_bytes(*only),
            many => ContentHash::from_bytes(root(&geometry, many)),
        };
        Ok(Self {
            geometry,
            content,
            hashes,
        })
    }

    /// Accepts piece hashes from a stranger if they fold to `content`.
    ///
    /// This proves each hash and the number of pieces; the exact size of the file is proven once
    /// its last piece is verified.
    ///
    /// # Errors
    /// `content_changed` if they fold to something else or are too many or too few.
    pub fn verify(
        geometry: PieceGeometry,
        content: ContentHash,
        hashes: Vec<PieceHash>,
    ) -> Result<Self, Problem> {
        match Self::fold(geometry, hashes) {
            Ok(folded) if folded.content == content => Ok(folded),
            _ => Err(Problem::new(
                ErrorCode::ContentChanged,
                "the piece hashes do not belong to the content hash",
            )),
        }
    }

    /// The content hash that they fold to.
    pub fn content(&self) -> ContentHash {
        self.content
    }

    /// How the file is divided.
    pub fn geometry(&self) -> PieceGeometry {
        self.geometry
    }

    /// The piece hashes in order.
    pub fn as_slice(&self) -> &[PieceHash] {
        &self.hashes
    }

    /// Whether `hash` is that of piece `index`.
    pub fn matches(&self, index: PieceIndex, hash: &PieceHash) -> bool {
        self.hashes.get(index as usize) == Some(hash)
    }
}

/// The root hash over two or more pieces.
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

/// The chaining value of a subtree of `len` bytes that is not the root, of the hashes of its runs of
/// `size` bytes; as deep as the logarithm of their number.
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

/// Where BLAKE3 divides a subtree of `len` bytes: always at a border of its runs of `size` bytes, as
/// these are power-of-two subtrees themselves.
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
        // 128 MiB and one byte: the piece size doubles.
        assert_folds_to_the_plain_hash((128 << 20) + 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn pieces_fold_to_the_plain_hash(len in 0usize..4_000_000) {
            assert_folds_to_the_plain_hash(len);
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
