//! Partial files: files that are served while they are downloaded, so that a swarm grows from its
//! first verified piece.
//!
//! A download registers its temporary file here and reports each piece that is verified and
//! written; serving reads only reported pieces. It is served only to its audience: the members of all
//! spaces in which the directory lists the content for this download. Dropping the download's [`PartialHandle`] removes
//! the file. A reader that has the file open can continue: the file descriptor outlives the name.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use convite_core::{
    ContentHash, ErrorCode, PieceGeometry, PieceHashes, PieceIndex, Problem, SpaceName,
};
use convite_swarm::PieceSet;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

/// A partly downloaded file.
#[derive(Debug, Clone)]
pub struct PartialFile {
    /// The content hash of the complete file.
    pub hash: ContentHash,
    /// The file's size and pieces.
    pub geometry: PieceGeometry,
    /// The piece hashes, verified against `hash`.
    pub hashes: Arc<PieceHashes>,
    /// The file, open for reading; pieces are at their offsets in the complete file.
    pub file: Arc<File>,
    /// The file name for display.
    pub name: String,
}

/// A partial file that is served.
#[derive(Debug)]
pub(crate) struct ServedPartialFile {
    pub(crate) about: PartialFile,
    held: RwLock<PieceSet>,
    /// Empty until the directory lists the download.
    audience: OnceLock<Vec<SpaceName>>,
}

impl ServedPartialFile {
    /// Returns the spaces of which a reader must be a member, all of them.
    ///
    /// # Errors
    /// Returns `unavailable` while they are unknown: until then, the directory lists this download to
    /// nobody.
    pub(crate) fn audience(&self) -> Result<&[SpaceName], Problem> {
        let audience = self.audience.get().map(Vec::as_slice);
        audience.ok_or_else(|| {
            Problem::new(
                ErrorCode::Unavailable,
                "the directory does not list this download yet",
            )
            .hint("try again in a moment")
        })
    }

    /// Returns the pieces available now.
    pub(crate) fn held(&self) -> PieceSet {
        let held = self.held.read();
        held.clone()
    }

    /// Checks that all bytes of `ranges` are available. The ranges must be within the file.
    ///
    /// # Errors
    /// Returns `range_not_satisfiable`, naming the first missing piece.
    pub(crate) fn check(&self, ranges: &[Range<u64>]) -> Result<(), Problem> {
        let held = self.held.read();
        let size = self.about.geometry.piece_size();
        for range in ranges.iter().filter(|range| !range.is_empty()) {
            let pieces = range.start / size..range.end.div_ceil(size);
            let missing = pieces
                .filter_map(|index| PieceIndex::try_from(index).ok())
                .find(|index| !held.contains(*index));
            if let Some(index) = missing {
                return Err(Problem::new(
                    ErrorCode::RangeNotSatisfiable,
                    format!("piece {index} is not available yet"),
                )
                .hint("this peer is still downloading the file; request pieces that `Availability` lists"));
            }
        }
        Ok(())
    }
}

/// The partial files of a peer.
#[derive(Debug, Default)]
pub struct PartialFiles {
    by_hash: Mutex<HashMap<ContentHash, Arc<ServedPartialFile>>>,
    changes: watch::Sender<()>,
}

impl PartialFiles {
    /// Serves the reported pieces of `file` until the result is dropped, as soon as its audience is
    /// known ([`PartialHandle::audience_setter`]). Replaces another partial file with the same hash.
    pub fn insert(self: &Arc<Self>, file: PartialFile) -> PartialHandle {
        let held = RwLock::new(PieceSet::empty(file.geometry.piece_count()));
        let partial = Arc::new(ServedPartialFile {
            about: file,
            held,
            audience: OnceLock::new(),
        });
        self.by_hash
            .lock()
            .insert(partial.about.hash, partial.clone());
        self.changes.send_replace(());
        PartialHandle {
            all: self.clone(),
            partial,
        }
    }

    /// Stops serving `hash` from here. Returns whether it was served.
    pub fn remove(&self, hash: &ContentHash) -> bool {
        let removed = self.by_hash.lock().remove(hash).is_some();
        if removed {
            self.changes.send_replace(());
        }
        removed
    }

    /// Returns the partial file of `hash`.
    pub(crate) fn get(&self, hash: &ContentHash) -> Option<Arc<ServedPartialFile>> {
        self.by_hash.lock().get(hash).cloned()
    }

    /// Returns a receiver that is notified when a file or piece is added or removed; several
    /// changes may be reported as one.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }
}

/// A download's registration of its partial file. The file is served until this is dropped.
#[derive(Debug)]
pub struct PartialHandle {
    all: Arc<PartialFiles>,
    partial: Arc<ServedPartialFile>,
}

/// Sets the audience of a partial file.
#[derive(Debug)]
pub struct AudienceSetter(Arc<ServedPartialFile>);

impl AudienceSetter {
    /// Serves the file from now on to readers that are members of all these spaces. An audience that
    /// is set already stays.
    pub fn set(&self, spaces: Vec<SpaceName>) {
        self.0.audience.get_or_init(|| spaces);
    }
}

impl PartialHandle {
    /// Returns what sets the audience, for the task that announces the download.
    pub fn audience_setter(&self) -> AudienceSetter {
        AudienceSetter(self.partial.clone())
    }

    /// Serves `piece`, which is verified and written at its offset.
    pub fn add(&self, piece: PieceIndex) {
        self.extend([piece]);
    }

    /// Serves `pieces`, for example those of an earlier attempt. See [`Self::add`].
    pub fn extend(&self, pieces: impl IntoIterator<Item = PieceIndex>) {
        let mut held = self.partial.held.write();
        let before = held.len();
        for piece in pieces {
            held.insert(piece);
        }
        let news = held.len() != before;
        drop(held);
        if news {
            self.all.changes.send_replace(());
        }
    }

    /// Returns the pieces that are served.
    pub fn held(&self) -> PieceSet {
        self.partial.held()
    }
}

impl Drop for PartialHandle {
    fn drop(&mut self) {
        let mut files = self.all.by_hash.lock();
        let hash = &self.partial.about.hash;
        // Another download may have replaced this one.
        if files
            .get(hash)
            .is_some_and(|p| Arc::ptr_eq(p, &self.partial))
        {
            files.remove(hash);
            drop(files);
            self.all.changes.send_replace(());
        }
    }
}
