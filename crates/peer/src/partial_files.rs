//! Files that are still being fetched, and served all the same: what of them is verified and
//! written may be handed on at once, so that a swarm grows from its first piece.
//!
//! A download puts its temporary file here and tells of each piece; the serving half reads no
//! byte of a piece before that. Dropping the download's [`PartialHandle`] ends it. A reader that
//! has the file open reads on: the file descriptor outlives the name.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use convite_core::{ContentHash, ErrorCode, PieceGeometry, PieceHashes, PieceIndex, Problem};
use convite_swarm::PieceSet;
use tokio::sync::watch;

/// A file of which a part is here.
#[derive(Debug, Clone)]
pub struct PartialFile {
    /// What it will be when it is whole.
    pub hash: ContentHash,
    /// Its size and its pieces.
    pub geometry: PieceGeometry,
    /// What its pieces are; verified against `hash`.
    pub hashes: Arc<PieceHashes>,
    /// Open for reading; pieces are where they belong in the whole file.
    pub file: Arc<File>,
    /// Its name, for people.
    pub name: String,
}

/// A partial file on offer.
#[derive(Debug)]
pub(crate) struct Partial {
    pub(crate) about: PartialFile,
    held: RwLock<PieceSet>,
}

impl Partial {
    /// The pieces that are here now.
    pub(crate) fn held(&self) -> PieceSet {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.clone()
    }

    /// Whether every piece is here.
    pub(crate) fn is_full(&self) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.is_full()
    }

    /// Checks that every byte of `ranges`, which lie within the file, is here.
    ///
    /// # Errors
    /// `range_not_satisfiable` with the first piece that is missing.
    pub(crate) fn check(&self, ranges: &[Range<u64>]) -> Result<(), Problem> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let size = self.about.geometry.piece_size();
        for range in ranges.iter().filter(|range| !range.is_empty()) {
            let pieces = range.start / size..range.end.div_ceil(size);
            let missing = pieces
                .filter_map(|index| PieceIndex::try_from(index).ok())
                .find(|index| !held.contains(*index));
            if let Some(index) = missing {
                return Err(Problem::new(
                    ErrorCode::RangeNotSatisfiable,
                    format!("piece {index} is not here yet"),
                )
                .hint("this peer is still fetching the file: ask for pieces that it holds (`Availability` lists them)"));
            }
        }
        Ok(())
    }
}

/// All partial files of a peer.
#[derive(Debug, Default)]
pub struct PartialFiles {
    by_hash: Mutex<HashMap<ContentHash, Arc<Partial>>>,
    changes: watch::Sender<()>,
}

impl PartialFiles {
    /// Serves what will be told of `file`, until the result is dropped. It takes the place of
    /// another of the same content.
    pub fn insert(self: &Arc<Self>, file: PartialFile) -> PartialHandle {
        let held = RwLock::new(PieceSet::empty(file.geometry.piece_count()));
        let partial = Arc::new(Partial { about: file, held });
        self.lock().insert(partial.about.hash, partial.clone());
        self.changes.send_replace(());
        PartialHandle {
            all: self.clone(),
            partial,
        }
    }

    /// Serves nothing of `hash` from here any more. Whether something was.
    pub fn remove(&self, hash: &ContentHash) -> bool {
        let removed = self.lock().remove(hash).is_some();
        if removed {
            self.changes.send_replace(());
        }
        removed
    }

    /// The partial file of `hash`.
    pub(crate) fn get(&self, hash: &ContentHash) -> Option<Arc<Partial>> {
        self.lock().get(hash).cloned()
    }

    /// Told whenever a file or a piece comes or goes; many changes may be told as one.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ContentHash, Arc<Partial>>> {
        self.by_hash.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A download's hold on its partial file: while it lives, the file is served.
#[derive(Debug)]
pub struct PartialHandle {
    all: Arc<PartialFiles>,
    partial: Arc<Partial>,
}

impl PartialHandle {
    /// Serves `piece` from now on: it is verified, and written where it belongs.
    pub fn add(&self, piece: PieceIndex) {
        self.extend([piece]);
    }

    /// Serves `pieces` from now on, as [`Self::add`] does: those of an earlier try, say.
    pub fn extend(&self, pieces: impl IntoIterator<Item = PieceIndex>) {
        let mut held = self
            .partial
            .held
            .write()
            .unwrap_or_else(PoisonError::into_inner);
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

    /// The pieces that are served.
    pub fn held(&self) -> PieceSet {
        self.partial.held()
    }
}

impl Drop for PartialHandle {
    fn drop(&mut self) {
        let mut files = self.all.lock();
        let hash = &self.partial.about.hash;
        // Another may have taken its place.
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
