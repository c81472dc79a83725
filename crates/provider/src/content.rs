//! What is received: a content with its pieces and their verification.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use convite_core::{ContentHash, PieceGeometry, PieceHash, PieceHasher, PieceHashes, PieceIndex};
use tokio::sync::{Semaphore, SetOnce};

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

/// The number of providers that are asked for piece hashes at the same time, if a file has more than
/// [`FEW_PIECES`]: each answer takes up to 96 bytes of memory for each piece while it is received.
const LARGE_ANSWERS_MAX: usize = 2;
/// All providers are asked at the same time for the hashes of up to this number of pieces (256 KiB).
const FEW_PIECES: u32 = 8 << 10;

/// A file. Its piece hashes are fetched from the first provider that sends them.
pub struct FileContent {
    hash: ContentHash,
    geometry: PieceGeometry,
    hashes: SetOnce<Arc<PieceHashes>>,
    /// Permits to ask for the piece hashes.
    asking: Semaphore,
}

impl FileContent {
    /// Creates a file with this content hash. `hashes` are its piece hashes, if they are known.
    pub fn new(
        hash: ContentHash,
        geometry: PieceGeometry,
        hashes: Option<Arc<PieceHashes>>,
    ) -> Self {
        let at_once = if geometry.piece_count() > FEW_PIECES {
            LARGE_ANSWERS_MAX
        } else {
            Semaphore::MAX_PERMITS
        };
        Self {
            hash,
            geometry,
            hashes: SetOnce::new_with(hashes),
            asking: Semaphore::new(at_once),
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
        let asked = async {
            let _permit = self.asking.acquire().await;
            piece_hashes(connection, self.hash, self.geometry).await
        };
        tokio::select! {
            biased;
            // Another provider may send them first.
            _ = self.hashes.wait() => {}
            hashes = asked => {
                // Another provider may have sent the same hashes meanwhile.
                let _ = self.hashes.set(Arc::new(hashes?));
            }
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
