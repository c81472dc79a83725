//! Hashing a file in one pass, even if its size is unknown until the end.
//!
//! The piece size follows from the file size, so it may be unknown, too. The hasher keeps hashes of
//! *grains*: power-of-two ranges that are not larger than the final pieces. When the number of
//! grains reaches twice the target number of pieces, adjacent grains are merged into one (a BLAKE3
//! subtree of twice the size). At the end, grains are merged into pieces.

use blake3::hazmat::HasherExt;

use crate::error::{ErrorCode, Problem};
use crate::piece::{PIECE_MAX, PIECE_MIN, PIECES_TARGET, PieceGeometry};
use crate::verify::{PieceHash, PieceHashes, subtree};

/// If there are this many grains and more bytes follow, a piece is larger than a grain.
const GRAINS_MAX: usize = 2 * PIECES_TARGET as usize;

/// A hasher for a file that arrives in order.
pub struct StreamHasher {
    /// Size of a grain in bytes.
    grain: u64,
    /// Hashes of the complete grains, except the last one so far.
    done: Vec<PieceHash>,
    /// Hasher of the last grain.
    current: blake3::Hasher,
    /// Bytes of the last grain so far.
    filled: u64,
}

impl Default for StreamHasher {
    fn default() -> Self {
        Self::with_grain(PIECE_MIN)
    }
}

impl StreamHasher {
    /// Creates a hasher for a file of this geometry. The hashes in [`Self::complete_hashes`] are those of
    /// its pieces.
    pub fn with_geometry(geometry: &PieceGeometry) -> Self {
        Self::with_grain(geometry.piece_size())
    }

    /// Creates a hasher that continues a file of this geometry after its first pieces, given by
    /// their hashes.
    pub fn resume(geometry: &PieceGeometry, pieces: Vec<PieceHash>) -> Self {
        let mut hasher = Self::with_geometry(geometry);
        let Some(start) = hasher.grain.checked_mul(pieces.len() as u64) else {
            return hasher;
        };
        hasher.done = pieces;
        if start > 0 {
            hasher.current.set_input_offset(start);
        }
        hasher
    }

    fn with_grain(grain: u64) -> Self {
        Self {
            grain,
            done: Vec::new(),
            current: blake3::Hasher::new(),
            filled: 0,
        }
    }

    /// Adds the next bytes of the file.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // A grain is closed only when more bytes follow, because the only grain of a file is
            // hashed as the root of the tree.
            if self.filled == self.grain {
                self.close();
            }
            let room = usize::try_from(self.grain - self.filled).unwrap_or(usize::MAX);
            let (part, rest) = bytes.split_at(bytes.len().min(room));
            self.current.update(part);
            self.filled += part.len() as u64;
            bytes = rest;
        }
    }

    fn close(&mut self) {
        self.done.push(self.current.finalize_non_root());
        if self.done.len() == GRAINS_MAX && self.grain < PIECE_MAX {
            let grain = self.grain;
            let pairs = self.done.chunks(2);
            self.done = pairs.map(|pair| subtree(grain, 2 * grain, pair)).collect();
            self.grain *= 2;
        }
        self.current = blake3::Hasher::new();
        self.current
            .set_input_offset(self.grain * self.done.len() as u64);
        self.filled = 0;
    }

    /// Returns the number of bytes so far, including those before a resume.
    pub fn len(&self) -> u64 {
        self.grain * self.done.len() as u64 + self.filled
    }

    /// Returns whether no bytes have arrived.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the hashes of the complete grains that were followed by more bytes. They are pieces
    /// if the geometry was given.
    pub fn complete_hashes(&self) -> &[PieceHash] {
        &self.done
    }

    /// Returns the piece hashes of the file.
    ///
    /// # Errors
    /// Returns `too_large` if the file exceeds the maximum size.
    pub fn finish(mut self) -> Result<PieceHashes, Problem> {
        let len = self.len();
        let geometry = PieceGeometry::new(len).ok_or_else(|| {
            Problem::new(
                ErrorCode::TooLarge,
                format!("{len} bytes exceed the maximum file size"),
            )
        })?;
        if geometry.piece_count() <= 1 {
            let only = (len > 0).then(|| *self.current.finalize().as_bytes());
            return PieceHashes::fold(geometry, only.into_iter().collect());
        }
        self.done.push(self.current.finalize_non_root());
        let in_piece = (geometry.piece_size() / self.grain).max(1) as usize;
        let pieces = self.done.chunks(in_piece).zip(0..);
        let joined = pieces.map(|(grains, index)| {
            let len = geometry.piece_len(index);
            subtree(self.grain, len, grains)
        });
        PieceHashes::fold(geometry, joined.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::hash_piece;
    use proptest::prelude::*;

    fn contents(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let mut hasher = blake3::Hasher::new();
        hasher.update(&(len as u64).to_le_bytes());
        hasher.finalize_xof().fill(&mut bytes);
        bytes
    }

    fn piece_hashes(bytes: &[u8]) -> PieceHashes {
        let geometry = PieceGeometry::new(bytes.len() as u64).unwrap();
        let piece = |index| {
            let range = geometry.piece_range(index);
            let piece = &bytes[range.start as usize..range.end as usize];
            hash_piece(&geometry, index, piece)
        };
        PieceHashes::fold(geometry, (0..geometry.piece_count()).map(piece).collect()).unwrap()
    }

    fn streamed(mut hasher: StreamHasher, bytes: &[u8], run: usize) -> PieceHashes {
        bytes.chunks(run).for_each(|part| hasher.update(part));
        hasher.finish().unwrap()
    }

    #[test]
    fn a_file_of_unknown_size_gets_its_piece_hashes_at_every_border() {
        const P: usize = PIECE_MIN as usize;
        for len in [0, 1, 1024, P - 1, P, P + 1, 2 * P, 3 * P, 3 * P + 5] {
            let bytes = contents(len);
            assert_eq!(
                streamed(StreamHasher::default(), &bytes, 10_000),
                piece_hashes(&bytes)
            );
        }
    }

    #[test]
    fn grains_grow_with_the_file() {
        // Pieces of 128, 256 and 512 KiB; grains are merged after 256 and 512 MiB.
        for len in [(128 << 20) + 1, (256 << 20) + 1, (513 << 20) + 70_000] {
            let bytes = contents(len);
            assert_eq!(
                streamed(StreamHasher::default(), &bytes, 1 << 20),
                piece_hashes(&bytes),
                "{len}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn known_unknown_or_resumed_the_hashes_are_the_same(
            len in 0usize..2_000_000, run in 1usize..300_000, from in any::<prop::sample::Index>(),
        ) {
            let bytes = contents(len);
            let wanted = piece_hashes(&bytes);
            let geometry = wanted.geometry();
            prop_assert_eq!(&streamed(StreamHasher::default(), &bytes, run), &wanted);
            prop_assert_eq!(&streamed(StreamHasher::with_geometry(&geometry), &bytes, run), &wanted);
            let pieces = from.index(geometry.piece_count() as usize + 1);
            if pieces < geometry.piece_count() as usize {
                let start = pieces * geometry.piece_size() as usize;
                let held = wanted.as_slice()[..pieces].to_vec();
                let mut resumed = StreamHasher::resume(&geometry, held);
                prop_assert_eq!(resumed.len(), start as u64);
                resumed.update(&bytes[start..]);
                prop_assert_eq!(&resumed.complete_hashes()[..pieces], &wanted.as_slice()[..pieces]);
                prop_assert_eq!(&resumed.finish().unwrap(), &wanted);
            }
        }
    }
}
