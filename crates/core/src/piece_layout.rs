//! The division of contents into pieces: of one size (a file), or of many (a folder).

use std::ops::Range;
use std::sync::Arc;

use crate::piece::{PieceGeometry, PieceIndex};

/// The sizes and offsets of all pieces of a content. Cheap to clone.
///
/// The pieces of a folder have any length, also 0 (empty files).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceLayout(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Uniform(PieceGeometry),
    /// The offset of each piece, then the size of the content: 8 bytes for each piece.
    Listed(Arc<[u64]>),
}

impl PieceLayout {
    /// Creates a layout of pieces with these lengths in bytes, in order. Returns `None` above
    /// 2^32 − 1 pieces or [`PieceGeometry::FILE_MAX`] bytes.
    pub fn listed(lengths: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut size = 0u64;
        let mut offsets = vec![0];
        for length in lengths {
            size = size.checked_add(length)?;
            if size > PieceGeometry::FILE_MAX {
                return None;
            }
            offsets.push(size);
        }
        u32::try_from(offsets.len() - 1).ok()?;
        Some(Self(Kind::Listed(offsets.into())))
    }

    /// Returns the geometry of a file, or `None` for a layout of listed pieces.
    pub fn uniform(&self) -> Option<PieceGeometry> {
        match self.0 {
            Kind::Uniform(geometry) => Some(geometry),
            Kind::Listed(_) => None,
        }
    }

    /// Returns the size of the content in bytes.
    pub fn size(&self) -> u64 {
        match &self.0 {
            Kind::Uniform(geometry) => geometry.file_size(),
            Kind::Listed(offsets) => offsets.last().copied().unwrap_or(0),
        }
    }

    /// Returns the number of pieces; may be 0.
    pub fn piece_count(&self) -> u32 {
        match &self.0 {
            Kind::Uniform(geometry) => geometry.piece_count(),
            // Fits, because `listed` bounds the number.
            Kind::Listed(offsets) => (offsets.len() - 1) as u32,
        }
    }

    /// Returns the byte range of piece `index`, which must be below [`Self::piece_count`].
    pub fn piece_range(&self, index: PieceIndex) -> Range<u64> {
        match &self.0 {
            Kind::Uniform(geometry) => geometry.piece_range(index),
            Kind::Listed(offsets) => offsets[index as usize]..offsets[index as usize + 1],
        }
    }

    /// Returns the length of piece `index` in bytes. The index must be below
    /// [`Self::piece_count`].
    pub fn piece_len(&self, index: PieceIndex) -> u64 {
        let range = self.piece_range(index);
        range.end - range.start
    }

    /// Returns the pieces that contain the bytes of `range`; none for an empty range. Bytes beyond
    /// the end of the content are ignored.
    pub fn pieces_of(&self, range: Range<u64>) -> Range<PieceIndex> {
        let range = range.start..range.end.min(self.size());
        if range.is_empty() {
            return 0..0;
        }
        match &self.0 {
            Kind::Uniform(geometry) => {
                let piece = |offset: u64| (offset / geometry.piece_size()) as PieceIndex;
                piece(range.start)..piece(range.end - 1) + 1
            }
            Kind::Listed(offsets) => {
                let ends = &offsets[1..];
                let first = ends.partition_point(|end| *end <= range.start);
                let end = offsets.partition_point(|start| *start < range.end);
                first as PieceIndex..end as PieceIndex
            }
        }
    }
}

impl From<PieceGeometry> for PieceLayout {
    fn from(geometry: PieceGeometry) -> Self {
        Self(Kind::Uniform(geometry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_listed_layout_that_would_overflow_is_refused() {
        let most = PieceGeometry::FILE_MAX;
        assert_eq!(PieceLayout::listed([most, 0]).unwrap().size(), most);
        for lengths in [[most, 1], [most, u64::MAX]] {
            assert!(PieceLayout::listed(lengths).is_none());
        }
        assert_eq!(PieceLayout::listed([]).unwrap().piece_count(), 0);
    }

    proptest! {
        #[test]
        fn listed_pieces_have_their_lengths(lengths in prop::collection::vec(0u64..5, 0..20)) {
            let layout = PieceLayout::listed(lengths.iter().copied()).unwrap();
            prop_assert_eq!(layout.piece_count() as usize, lengths.len());
            prop_assert_eq!(layout.size(), lengths.iter().sum::<u64>());
            let mut offset = 0;
            for (piece, length) in (0..).zip(lengths) {
                prop_assert_eq!(layout.piece_range(piece), offset..offset + length);
                prop_assert_eq!(layout.piece_len(piece), length);
                offset += length;
            }
        }

        #[test]
        fn the_pieces_of_a_range_are_those_that_contain_its_bytes(
            lengths in prop::collection::vec(0u64..5, 0..20), start in 0u64..50, length in 0u64..50,
        ) {
            let layout = PieceLayout::listed(lengths).unwrap();
            let range = start..start + length;
            let pieces = layout.pieces_of(range.clone());
            for piece in 0..layout.piece_count() {
                let has_bytes = layout.piece_range(piece).any(|byte| range.contains(&byte));
                let is_empty = layout.piece_len(piece) == 0;
                // Empty pieces between others may be included.
                prop_assert!(pieces.contains(&piece) == has_bytes || is_empty, "{piece}");
            }
            let ends = [pieces.start, pieces.end.wrapping_sub(1)];
            prop_assert!(pieces.is_empty() || ends.iter().all(|end| layout.piece_len(*end) > 0));
        }

        #[test]
        fn a_uniform_layout_equals_its_listed_pieces(size in 0u64..(3 << 20), start in 0u64..(3 << 20), length in 0u64..(3 << 20)) {
            let geometry = PieceGeometry::new(size).unwrap();
            let uniform = PieceLayout::from(geometry);
            let count = geometry.piece_count();
            let listed = PieceLayout::listed((0..count).map(|i| geometry.piece_len(i))).unwrap();
            prop_assert_eq!(uniform.size(), listed.size());
            prop_assert_eq!(uniform.piece_count(), listed.piece_count());
            for piece in 0..count {
                prop_assert_eq!(uniform.piece_range(piece), listed.piece_range(piece));
            }
            let range = start..start + length;
            prop_assert_eq!(uniform.pieces_of(range.clone()), listed.pieces_of(range));
        }
    }
}
