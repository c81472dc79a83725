//! Pieces: aligned power-of-two ranges of a file, the unit of request, verification and resuming.
//!
//! The piece size follows from the file size alone, so peers need not agree on it. A piece is a
//! complete subtree of the BLAKE3 tree (a power of two of 1 KiB chunks), so it can be checked
//! against the plain content hash.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The minimum piece size, in bytes.
pub const PIECE_MIN: u64 = 64 << 10;
/// The maximum piece size, in bytes.
pub const PIECE_MAX: u64 = 4 << 20;
/// The approximate number of pieces of a file, within the limits of the piece size.
pub const PIECES_TARGET: u64 = 2048;

/// The index of a piece in its file, from 0.
pub type PieceIndex = u32;

/// The division of a file of a given size into pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PieceGeometry {
    file_size: u64,
}

impl PieceGeometry {
    /// The maximum file size in bytes; piece indexes of larger files would overflow.
    pub const FILE_MAX: u64 = PIECE_MAX * (u32::MAX as u64);

    /// Returns the geometry of a file of `file_size` bytes, or `None` above [`Self::FILE_MAX`].
    pub const fn new(file_size: u64) -> Option<Self> {
        if file_size > Self::FILE_MAX {
            return None;
        }
        Some(Self { file_size })
    }

    /// Returns the size of the file in bytes.
    pub const fn file_size(&self) -> u64 {
        self.file_size
    }

    /// Returns the size of every piece but the last, in bytes: a power of two from 64 KiB to 4 MiB.
    pub const fn piece_size(&self) -> u64 {
        let wanted = self.file_size.div_ceil(PIECES_TARGET);
        if wanted <= PIECE_MIN {
            PIECE_MIN
        } else if wanted >= PIECE_MAX {
            PIECE_MAX
        } else {
            wanted.next_power_of_two()
        }
    }

    /// Returns the number of pieces; 0 for an empty file.
    pub const fn piece_count(&self) -> u32 {
        // Fits, because `new` bounds the size.
        self.file_size.div_ceil(self.piece_size()) as u32
    }

    /// Returns the byte range of piece `index`, which must be below [`Self::piece_count`].
    pub const fn piece_range(&self, index: PieceIndex) -> Range<u64> {
        let start = index as u64 * self.piece_size();
        let end = start + self.piece_size();
        start..if end < self.file_size {
            end
        } else {
            self.file_size
        }
    }

    /// Returns the length of piece `index` in bytes.
    pub const fn piece_len(&self, index: PieceIndex) -> u64 {
        let range = self.piece_range(index);
        range.end - range.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn piece_sizes_follow_from_the_file_size() {
        for (file, piece, count) in [
            (0, 64 << 10, 0),
            (1, 64 << 10, 1),
            (64 << 10, 64 << 10, 1),
            ((64 << 10) + 1, 64 << 10, 2),
            (128 << 20, 64 << 10, 2048),
            ((128 << 20) + 1, 128 << 10, 1025),
            (2 << 30, 1 << 20, 2048),
            (8 << 30, 4 << 20, 2048),
            (1 << 40, 4 << 20, 262_144),
        ] {
            let geometry = PieceGeometry::new(file).unwrap();
            assert_eq!(
                (geometry.piece_size(), geometry.piece_count()),
                (piece, count),
                "{file}"
            );
        }
        assert!(PieceGeometry::new(PieceGeometry::FILE_MAX).is_some());
        assert!(PieceGeometry::new(PieceGeometry::FILE_MAX + 1).is_none());
    }

    proptest! {
        #[test]
        fn pieces_tile_the_file(size in prop_oneof![0..(1u64 << 20), 0..PieceGeometry::FILE_MAX]) {
            let geometry = PieceGeometry::new(size).unwrap();
            let count = geometry.piece_count();
            prop_assert!(geometry.piece_size().is_power_of_two());
            if count == 0 {
                prop_assert_eq!(size, 0);
            } else {
                prop_assert_eq!(geometry.piece_range(0).start, 0);
                prop_assert_eq!(geometry.piece_range(count - 1).end, size);
                let middle = count / 2;
                if middle > 0 {
                    prop_assert_eq!(
                        geometry.piece_range(middle - 1).end,
                        geometry.piece_range(middle).start
                    );
                }
                prop_assert!(geometry.piece_len(count - 1) > 0);
            }
        }
    }
}
