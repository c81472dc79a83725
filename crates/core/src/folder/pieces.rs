//! The pieces of a folder: large files alone, small files in packs.

use std::ops::Range;

use super::tree::FolderTree;
use crate::piece::{PieceGeometry, PieceIndex};
use crate::piece_layout::PieceLayout;

/// Files of this size and larger have pieces of their own, in bytes.
pub const LARGE_FILE: u64 = 1 << 20;
/// The maximum size of a pack in bytes.
pub const PACK_MAX: u64 = 1 << 20;
/// The maximum number of files of a pack.
pub const PACK_FILES_MAX: usize = 1024;
/// The piece sizes of large files in bytes, ascending.
const PIECE_SIZES: [u64; 3] = [1 << 20, 2 << 20, 4 << 20];
/// The number of pieces above which the piece size grows.
pub const FOLDER_PIECES_TARGET: u64 = 16_384;

/// A piece of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderPiece {
    /// Consecutive files of less than [`LARGE_FILE`] bytes each; the pack may be empty of bytes.
    Pack {
        /// Indexes of the files.
        files: Range<usize>,
    },
    /// A part of one large file: a subtree of its BLAKE3 tree.
    Part {
        /// Index of the file.
        file: usize,
        /// Range of bytes in the file.
        range: Range<u64>,
    },
}

/// The piece table of a folder, the same on every peer.
///
/// Pieces tile the folder bytes in order. Their sizes differ, and a pack of empty files has none.
#[derive(Debug, Clone)]
pub struct FolderPieces {
    /// Packs and large files in order.
    runs: Vec<Run>,
    /// Piece size of large files by the size of the folder, in bytes.
    piece_size: u64,
    size: u64,
    file_count: u32,
    piece_count: u32,
}

/// The pieces of a large file, or one pack.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Offset in the folder bytes.
    offset: u64,
    first_file: u32,
    first_piece: PieceIndex,
}

/// A run and what follows from the next one.
struct Extent {
    bytes: Range<u64>,
    files: Range<u32>,
    pieces: Range<PieceIndex>,
}

impl FolderPieces {
    /// Computes the piece table of a folder.
    pub fn new(tree: &FolderTree) -> Self {
        Self::of_sizes(tree.size(), tree.file_sizes())
    }

    /// Computes the piece table of files of these sizes in bytes, in canonical order. `size` must be
    /// their sum.
    pub fn of_sizes(size: u64, file_sizes: impl Iterator<Item = u64>) -> Self {
        let mut table = Self {
            runs: Vec::new(),
            piece_size: piece_size(size),
            size,
            file_count: 0,
            piece_count: 0,
        };
        let mut offset = 0;
        // Files and bytes of the last run, if it is a pack.
        let mut pack = None;
        for file_size in file_sizes {
            pack = match pack {
                _ if file_size >= LARGE_FILE => {
                    table.push_run(offset, file_size.div_ceil(table.piece_size_of(file_size)));
                    None
                }
                Some((files, bytes)) if files < PACK_FILES_MAX && bytes + file_size <= PACK_MAX => {
                    Some((files + 1, bytes + file_size))
                }
                _ => {
                    table.push_run(offset, 1);
                    Some((1, file_size))
                }
            };
            table.file_count += 1;
            offset += file_size;
        }
        table.runs.shrink_to_fit();
        table
    }

    fn push_run(&mut self, offset: u64, pieces: u64) {
        self.runs.push(Run {
            offset,
            first_file: self.file_count,
            first_piece: self.piece_count,
        });
        // Fits: the limits of a folder bound the number of pieces to 2^31 and one for each file.
        self.piece_count += pieces as u32;
    }

    /// Returns the size of the pieces of a large file of `file_size` bytes, except the last one.
    fn piece_size_of(&self, file_size: u64) -> u64 {
        let own = PieceGeometry::new(file_size).map_or(0, |geometry| geometry.piece_size());
        self.piece_size.max(own)
    }

    /// Returns the size of the folder bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the number of pieces; 0 for a folder without files.
    pub fn piece_count(&self) -> PieceIndex {
        self.piece_count
    }

    /// Returns the range of piece `index` in the folder bytes. `index` must be below
    /// [`Self::piece_count`].
    pub fn piece_range(&self, index: PieceIndex) -> Range<u64> {
        let run = self.extent(self.run_of_piece(index));
        match self.part(&run, index) {
            Some(part) => run.bytes.start + part.start..run.bytes.start + part.end,
            None => run.bytes,
        }
    }

    /// Returns the length of piece `index` in bytes. `index` must be below [`Self::piece_count`].
    pub fn piece_len(&self, index: PieceIndex) -> u64 {
        let range = self.piece_range(index);
        range.end - range.start
    }

    /// Returns the lengths of all pieces, for the planner of a download; 8 bytes for each piece, so
    /// check first that the folder fits on the disk. Returns `None` above
    /// [`PieceGeometry::FILE_MAX`] bytes, which the limits of a folder exclude.
    pub fn layout(&self) -> Option<PieceLayout> {
        let runs = (0..self.runs.len()).map(|run| self.extent(run));
        PieceLayout::listed(runs.flat_map(|run| {
            let pieces = run.pieces.clone();
            pieces.map(move |piece| {
                let part = self.part(&run, piece);
                part.map_or(run.bytes.end - run.bytes.start, |part| {
                    part.end - part.start
                })
            })
        }))
    }

    /// Returns what piece `index` consists of. `index` must be below [`Self::piece_count`].
    pub fn piece(&self, index: PieceIndex) -> FolderPiece {
        let run = self.extent(self.run_of_piece(index));
        match self.part(&run, index) {
            Some(range) => FolderPiece::Part {
                file: run.files.start as usize,
                range,
            },
            None => FolderPiece::Pack {
                files: run.files.start as usize..run.files.end as usize,
            },
        }
    }

    /// Returns the pieces that contain the file `index`: those of a large file, or the pack of a
    /// small one. `index` must be below the number of files.
    pub fn pieces_of_file(&self, index: usize) -> Range<PieceIndex> {
        let after = self
            .runs
            .partition_point(|run| run.first_file as usize <= index);
        self.extent(after - 1).pieces
    }

    /// Returns the pieces that contain bytes of `range`, which is in the folder bytes. Pieces
    /// without bytes are included only between others.
    pub fn pieces_of(&self, range: Range<u64>) -> Range<PieceIndex> {
        let end = range.end.min(self.size);
        if range.start >= end {
            return 0..0;
        }
        self.piece_of_byte(range.start)..self.piece_of_byte(end - 1) + 1
    }

    fn piece_of_byte(&self, offset: u64) -> PieceIndex {
        let after = self.runs.partition_point(|run| run.offset <= offset);
        let run = self.extent(after - 1);
        match self.large_piece_size(&run) {
            Some(piece_size) => run.pieces.start + ((offset - run.bytes.start) / piece_size) as u32,
            None => run.pieces.start,
        }
    }

    fn run_of_piece(&self, index: PieceIndex) -> usize {
        let after = self.runs.partition_point(|run| run.first_piece <= index);
        after - 1
    }

    fn extent(&self, run: usize) -> Extent {
        let start = self.runs[run];
        let end = self.runs.get(run + 1).copied().unwrap_or(Run {
            offset: self.size,
            first_file: self.file_count,
            first_piece: self.piece_count,
        });
        Extent {
            bytes: start.offset..end.offset,
            files: start.first_file..end.first_file,
            pieces: start.first_piece..end.first_piece,
        }
    }

    /// Returns the piece size if the run is a large file. A pack of one file is smaller.
    fn large_piece_size(&self, run: &Extent) -> Option<u64> {
        let size = run.bytes.end - run.bytes.start;
        let is_large = run.files.end - run.files.start == 1 && size >= LARGE_FILE;
        is_large.then(|| self.piece_size_of(size))
    }

    /// Returns the range in its file of a piece of a large file.
    fn part(&self, run: &Extent, index: PieceIndex) -> Option<Range<u64>> {
        let piece_size = self.large_piece_size(run)?;
        let start = u64::from(index - run.pieces.start) * piece_size;
        let end = run.bytes.end - run.bytes.start;
        Some(start..(start + piece_size).min(end))
    }
}

/// Returns the piece size of large files in a folder of `size` bytes.
fn piece_size(size: u64) -> u64 {
    let mut sizes = PIECE_SIZES.into_iter();
    let enough = sizes.find(|piece| size.div_ceil(*piece) <= FOLDER_PIECES_TARGET);
    enough.unwrap_or(PIECE_SIZES[PIECE_SIZES.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    fn table(sizes: &[u64]) -> FolderPieces {
        FolderPieces::of_sizes(sizes.iter().sum(), sizes.iter().copied())
    }

    /// Returns the pieces as docs/formats.md defines them, each with its length.
    fn defined(sizes: &[u64]) -> Vec<(FolderPiece, u64)> {
        let total: u64 = sizes.iter().sum();
        let enough = [1, 2].into_iter().find(|mib| total <= mib * 16_384 * MIB);
        let by_folder = enough.unwrap_or(4) * MIB;
        let mut pieces = Vec::new();
        let mut pack: Vec<u64> = Vec::new();
        for (file, size) in sizes.iter().copied().enumerate() {
            let is_large = size >= MIB;
            let is_full = pack.len() == 1024 || pack.iter().sum::<u64>() + size > MIB;
            if !pack.is_empty() && (is_large || is_full) {
                let files = file - pack.len()..file;
                pieces.push((FolderPiece::Pack { files }, pack.drain(..).sum()));
            }
            if is_large {
                let own = PieceGeometry::new(size).unwrap().piece_size();
                let step = by_folder.max(own);
                for start in (0..size).step_by(step as usize) {
                    let range = start..size.min(start + step);
                    let len = range.end - start;
                    pieces.push((FolderPiece::Part { file, range }, len));
                }
            } else {
                pack.push(size);
            }
        }
        if !pack.is_empty() {
            let files = sizes.len() - pack.len()..sizes.len();
            pieces.push((FolderPiece::Pack { files }, pack.iter().sum()));
        }
        pieces
    }

    fn check(sizes: &[u64]) {
        let table = table(sizes);
        let defined = defined(sizes);
        assert_eq!(table.piece_count() as usize, defined.len());
        assert_eq!(table.size(), sizes.iter().sum::<u64>());
        let mut offset = 0;
        for (index, (piece, len)) in (0..).zip(&defined) {
            assert_eq!(&table.piece(index), piece);
            assert_eq!(table.piece_len(index), *len);
            assert_eq!(table.piece_range(index), offset..offset + len);
            if *len > 0 {
                assert_eq!(table.pieces_of(offset..offset + 1), index..index + 1);
                let end = offset + len;
                assert_eq!(table.pieces_of(end - 1..end), index..index + 1);
            }
            let files = match piece {
                FolderPiece::Pack { files } => files.clone(),
                FolderPiece::Part { file, .. } => *file..*file + 1,
            };
            for file in files {
                assert!(table.pieces_of_file(file).contains(&index));
            }
            offset += len;
        }
        for file in 0..sizes.len() {
            let is_of_file = |piece: &FolderPiece| match piece {
                FolderPiece::Pack { files } => files.contains(&file),
                FolderPiece::Part { file: of, .. } => *of == file,
            };
            let pieces = table.pieces_of_file(file);
            let count = defined
                .iter()
                .filter(|(piece, _)| is_of_file(piece))
                .count();
            assert_eq!(pieces.len(), count);
        }
        assert_eq!(table.pieces_of(offset..offset + 1), 0..0);
    }

    #[test]
    fn packs_close_at_their_limits() {
        let half = MIB / 2;
        check(&[]);
        check(&[0]);
        check(&[half, half]);
        check(&[half, half, 0, 0, 1]);
        check(&[half, half + 1]);
        check(&[0, MIB, 0, MIB - 1, 1, 1]);
        check(&[MIB - 1, MIB, MIB + 1, 1, 5 * MIB]);
        check(&vec![0; 1024]);
        check(&vec![0; 1025]);
        check(&vec![1; 2049]);
        check(&vec![1024; 3000]);
    }

    #[test]
    fn the_piece_size_follows_from_the_folder_and_the_file() {
        let piece_size = |sizes: &[u64]| table(sizes).piece_len(0);
        let (gib, tib) = (1 << 30, 1 << 40);
        assert_eq!(piece_size(&[3 * MIB, 16 * gib - 3 * MIB]), MIB);
        assert_eq!(piece_size(&[3 * MIB, 16 * gib]), 2 * MIB);
        assert_eq!(piece_size(&[5 * MIB, 32 * gib - 5 * MIB]), 2 * MIB);
        assert_eq!(piece_size(&[5 * MIB, 32 * gib]), 4 * MIB);
        assert_eq!(piece_size(&[5 * MIB, tib]), 4 * MIB);
        // Above 2 GiB, the pieces of the file alone are larger.
        assert_eq!(piece_size(&[2 * gib]), MIB);
        assert_eq!(piece_size(&[2 * gib + 1]), 2 * MIB);
        assert_eq!(piece_size(&[4 * gib + 1, MIB]), 4 * MIB);
        assert_eq!(table(&[4 * gib + 1, 3 * MIB]).pieces_of_file(1).len(), 3);
    }

    #[test]
    fn the_largest_folder_has_few_runs() {
        let size = crate::manifest::FOLDER_SIZE_MAX;
        let table = table(&[size - 1, 1]);
        assert_eq!(table.piece_count(), (1 << 31) + 1);
        assert_eq!(table.runs.len(), 2);
        assert_eq!(table.piece_range(1 << 31), size - 1..size);
        assert_eq!(table.piece_len((1 << 31) - 1), 4 * MIB - 1);
    }

    proptest! {
        #[test]
        fn pieces_tile_the_folder_as_defined(
            sizes in proptest::collection::vec(
                prop_oneof![
                    3 => 0..5u64,
                    3 => 0..MIB / 3,
                    1 => MIB - 2..MIB + 3,
                    1 => 0..40 * MIB,
                ],
                0..60,
            ),
            repeat in 1usize..4,
        ) {
            check(&sizes.repeat(repeat));
        }

        #[test]
        fn tiny_files_fill_packs_by_number(
            sizes in proptest::collection::vec(0..3u64, 1000..3000),
        ) {
            check(&sizes);
        }

        #[test]
        fn a_part_is_a_subtree_of_its_file(size in MIB..1 << 43, other in 0u64..1 << 42) {
            let table = table(&[size, other]);
            let own = PieceGeometry::new(size).unwrap().piece_size();
            let step = table.piece_len(0).min(size);
            prop_assert!(step == size || (step.is_power_of_two() && step % own == 0));
        }

        #[test]
        fn the_layout_has_the_lengths_of_all_pieces(
            sizes in prop::collection::vec(prop_oneof![Just(0), 1u64..2000, 0..(9u64 << 20)], 0..50),
            start in 0u64..(9 << 20), length in 0u64..(9 << 20),
        ) {
            let pieces = FolderPieces::of_sizes(sizes.iter().sum(), sizes.iter().copied());
            let layout = pieces.layout().unwrap();
            prop_assert_eq!(layout.size(), pieces.size());
            prop_assert_eq!(layout.piece_count(), pieces.piece_count());
            for piece in 0..pieces.piece_count() {
                prop_assert_eq!(layout.piece_range(piece), pieces.piece_range(piece));
            }
            let range = start..start + length;
            prop_assert_eq!(layout.pieces_of(range.clone()), pieces.pieces_of(range));
        }
    }
}
