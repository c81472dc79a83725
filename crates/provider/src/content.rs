//! What is received: a content with its pieces and their verification.

use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use convite_core::{ContentHash, PieceGeometry, PieceHash, PieceHasher, PieceHashes, PieceIndex};

use crate::connection::{Connection, piece_hashes};
use crate::loss::Loss;

/// A content that is received piece by piece: a file, or a folder.
pub trait Content: Send + Sync + 'static {
    /// Verifies one piece.
    type Verifier: PieceVerifier;

    /// Returns the hash that identifies the content.
    fn hash(&self) -> ContentHash;

    /// Returns the size in bytes.
    fn size(&self) -> u64;

    /// Returns the number of pieces.
    fn piece_count(&self) -> u32;

    /// Returns the bytes of a piece, which may be empty. `piece` must be below
    /// [`Self::piece_count`].
    fn piece_range(&self, piece: PieceIndex) -> Range<u64>;

    /// Fetches what is necessary to verify `pieces`, unless it is known. Called with no pieces when
    /// a provider was dialled, then before each request to it.
    fn prepare(
        &self,
        connection: &Connection,
        pieces: &[PieceIndex],
    ) -> impl Future<Output = Result<(), Loss>> + Send;

    /// Returns the verifier of a piece that was prepared.
    fn verifier(&self, piece: PieceIndex) -> Self::Verifier;
}

/// Verifies one piece while it is received.
pub trait PieceVerifier: Send {
    /// Adds the next bytes of the piece.
    fn update(&mut self, bytes: &[u8]);

    /// Returns whether the added bytes are the piece.
    fn matches(self) -> bool;
}

/// A file. Its piece hashes are fetched from the first provider that sends them.
pub struct FileContent {
    hash: ContentHash,
    geometry: PieceGeometry,
    hashes: OnceLock<Arc<PieceHashes>>,
}

impl FileContent {
    /// Creates a file with this content hash. `hashes` are its piece hashes, if they are known.
    pub fn new(
        hash: ContentHash,
        geometry: PieceGeometry,
        hashes: Option<Arc<PieceHashes>>,
    ) -> Self {
        Self {
            hash,
            geometry,
            hashes: hashes.map_or_else(OnceLock::new, OnceLock::from),
        }
    }

    /// Returns the piece hashes once they are known.
    pub fn hashes(&self) -> Option<&Arc<PieceHashes>> {
        self.hashes.get()
    }
}

impl Content for FileContent {
    type Verifier = FilePieceVerifier;

    fn hash(&self) -> ContentHash {
        self.hash
    }

    fn size(&self) -> u64 {
        self.geometry.file_size()
    }

    fn piece_count(&self) -> u32 {
        self.geometry.piece_count()
    }

    fn piece_range(&self, piece: PieceIndex) -> Range<u64> {
        self.geometry.piece_range(piece)
    }

    async fn prepare(&self, connection: &Connection, _: &[PieceIndex]) -> Result<(), Loss> {
        if self.hashes.get().is_none() {
            let hashes = piece_hashes(connection, self.hash, self.geometry).await?;
            // Another provider may have sent the same hashes meanwhile.
            let _ = self.hashes.set(Arc::new(hashes));
        }
        Ok(())
    }

    fn verifier(&self, piece: PieceIndex) -> FilePieceVerifier {
        let hashes = self.hashes.get();
        FilePieceVerifier {
            hasher: PieceHasher::new(&self.geometry, piece),
            expected: hashes.and_then(|known| known.as_slice().get(piece as usize).copied()),
        }
    }
}

/// Verifies a piece of a file against its piece hash.
pub struct FilePieceVerifier {
    hasher: PieceHasher,
    /// `None` if the piece hashes are not known; then no piece is right.
    expected: Option<PieceHash>,
}

impl PieceVerifier for FilePieceVerifier {
    fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    fn matches(self) -> bool {
        self.expected == Some(self.hasher.finish())
    }
}
