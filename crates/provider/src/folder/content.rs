//! A folder as a content: packs are verified file by file against the manifests, parts of large files
//! against the piece hashes of the file.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::vec;

use convite_core::folder::{FolderFile, FolderPiece};
use convite_core::{
    ContentHash, FolderPieces, FolderTree, PieceGeometry, PieceHash, PieceHasher, PieceHashes,
    PieceIndex,
};
use parking_lot::Mutex;

use crate::connection::{Connection, piece_hashes};
use crate::content::{Content, PieceVerifier};
use crate::loss::Loss;

/// Receives the piece hashes of a file when they are known.
type OnHashes = dyn Fn(&FolderFile, &PieceHashes) + Send + Sync;

/// A folder.
pub struct FolderContent {
    tree: Arc<FolderTree>,
    pieces: Arc<FolderPieces>,
    /// The hash of each part of the large files that were requested, by the index of the file: 32 bytes
    /// for each part. They are kept, because a part may be requested from several providers.
    parts: Mutex<HashMap<usize, Arc<[PieceHash]>>>,
    on_hashes: Box<OnHashes>,
}

impl FolderContent {
    /// Creates the content of a verified folder. `on_hashes` is called with the verified piece hashes
    /// of each large file before its pieces are requested.
    pub fn new(
        tree: Arc<FolderTree>,
        pieces: Arc<FolderPieces>,
        on_hashes: impl Fn(&FolderFile, &PieceHashes) + Send + Sync + 'static,
    ) -> Self {
        Self {
            tree,
            pieces,
            parts: Mutex::default(),
            on_hashes: Box::new(on_hashes),
        }
    }

    /// Returns the large files among `pieces` whose piece hashes are not known.
    fn unknown(&self, pieces: &[PieceIndex]) -> Vec<FolderFile> {
        let parts = self.parts.lock();
        let mut files: Vec<usize> = pieces
            .iter()
            .filter_map(|piece| match self.pieces.piece(*piece) {
                FolderPiece::Part { file, .. } => Some(file),
                FolderPiece::Pack { .. } => None,
            })
            .filter(|file| !parts.contains_key(file))
            .collect();
        files.dedup();
        let files = files.into_iter().filter_map(|index| self.tree.file(index));
        files.collect()
    }

    /// Returns the hashes of the parts of a large file: folded from its piece hashes.
    fn part_hashes(&self, file: &FolderFile, hashes: &PieceHashes) -> Option<Arc<[PieceHash]>> {
        let own = self.pieces.pieces_of_file(file.index);
        own.map(|piece| {
            let range = self.pieces.piece_range(piece);
            hashes.part(&(range.start - file.offset..range.end - file.offset))
        })
        .collect()
    }
}

impl Content for FolderContent {
    type Verifier = FolderPieceVerifier;

    fn hash(&self) -> ContentHash {
        self.tree.hash()
    }

    fn size(&self) -> u64 {
        self.tree.size()
    }

    fn piece_count(&self) -> u32 {
        self.pieces.piece_count()
    }

    fn piece_range(&self, piece: PieceIndex) -> Range<u64> {
        self.pieces.piece_range(piece)
    }

    async fn prepare(&self, connection: &Connection, pieces: &[PieceIndex]) -> Result<(), Loss> {
        for file in self.unknown(pieces) {
            let geometry = PieceGeometry::new(file.size).ok_or_else(Loss::wrong_data)?;
            // A file of one part is verified as a whole.
            let own = self.pieces.pieces_of_file(file.index);
            let hashes = if own.end - own.start == 1 {
                Arc::from([*file.hash.as_bytes()])
            } else {
                let hashes = piece_hashes(connection, file.hash, geometry).await?;
                (self.on_hashes)(&file, &hashes);
                self.part_hashes(&file, &hashes)
                    .ok_or_else(Loss::wrong_data)?
            };
            self.parts.lock().insert(file.index, hashes);
        }
        Ok(())
    }

    fn verifier(&self, piece: PieceIndex) -> FolderPieceVerifier {
        match self.pieces.piece(piece) {
            FolderPiece::Pack { files } => {
                let files = self.tree.files(files).map(|file| (file.size, file.hash));
                FolderPieceVerifier::Pack(PackVerifier::new(files.collect()))
            }
            FolderPiece::Part { file, range } => {
                let own = self.pieces.pieces_of_file(file);
                let known = self.parts.lock().get(&file).cloned();
                let size = self.pieces.piece_range(own.end - 1).end
                    - self.pieces.piece_range(own.start).start;
                FolderPieceVerifier::Part {
                    hasher: PieceHasher::of_part(size, &range),
                    expected: known
                        .and_then(|hashes| hashes.get((piece - own.start) as usize).copied()),
                }
            }
        }
    }
}

/// Verifies a piece of a folder.
pub enum FolderPieceVerifier {
    /// A pack.
    Pack(PackVerifier),
    /// A part of a large file.
    Part {
        /// Hashes the part.
        hasher: PieceHasher,
        /// `None` if the hash of the part is not known; then no part is right.
        expected: Option<PieceHash>,
    },
}

/// Verifies the files of a pack one after the other.
pub struct PackVerifier {
    /// The files after the current one: size and hash.
    next: vec::IntoIter<(u64, ContentHash)>,
    /// The current file: bytes that are missing, and its hash; `None` after the last one.
    current: Option<(u64, ContentHash)>,
    hasher: blake3::Hasher,
    is_right: bool,
}

impl PackVerifier {
    fn new(files: Vec<(u64, ContentHash)>) -> Self {
        let mut next = files.into_iter();
        let mut verifier = Self {
            current: next.next(),
            next,
            hasher: blake3::Hasher::new(),
            is_right: true,
        };
        verifier.end_files();
        verifier
    }

    /// Ends the current file and those after it that have all their bytes.
    fn end_files(&mut self) {
        while let Some((0, hash)) = self.current {
            self.is_right &= *self.hasher.finalize().as_bytes() == *hash.as_bytes();
            self.hasher.reset();
            self.current = self.next.next();
        }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Some((missing, _)) = &mut self.current else {
                self.is_right = false;
                return;
            };
            let len = usize::try_from(*missing).unwrap_or(usize::MAX);
            let (part, rest) = bytes.split_at(len.min(bytes.len()));
            self.hasher.update(part);
            *missing -= part.len() as u64;
            bytes = rest;
            self.end_files();
        }
    }
}

impl PieceVerifier for FolderPieceVerifier {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Pack(pack) => pack.update(bytes),
            Self::Part { hasher, .. } => hasher.update(bytes),
        }
    }

    fn matches(self) -> bool {
        match self {
            Self::Pack(pack) => pack.is_right && pack.current.is_none(),
            Self::Part { hasher, expected } => expected == Some(hasher.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(files: &[&[u8]]) -> FolderPieceVerifier {
        let files = files
            .iter()
            .map(|bytes| (bytes.len() as u64, ContentHash::of(bytes)));
        FolderPieceVerifier::Pack(PackVerifier::new(files.collect()))
    }

    fn accepts(files: &[&[u8]], parts: &[&[u8]]) -> bool {
        let mut verifier = pack(files);
        for part in parts {
            verifier.update(part);
        }
        verifier.matches()
    }

    #[test]
    fn pack_is_right_only_if_each_file_is() {
        let files: [&[u8]; 5] = [b"", b"one", b"two", b"", b"three"];
        assert!(accepts(&files, &[b"onetwothree"]));
        assert!(accepts(&files, &[b"o", b"netw", b"", b"othre", b"e"]));
        for wrong in [
            &b"onetwothre"[..],
            b"onetwothreee",
            b"onetwothrxe",
            b"twoonethree",
            b"",
        ] {
            assert!(!accepts(&files, &[wrong]), "{wrong:?}");
        }
        assert!(accepts(&[b"", b""], &[]));
        // The hash of an empty file is checked as well.
        let lie = vec![(0, ContentHash::of(b"x"))];
        assert!(!FolderPieceVerifier::Pack(PackVerifier::new(lie)).matches());
    }
}
