//! An index of shared files or folders by hash, in about 12 bytes for each: the hashes are read from
//! the entries.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use convite_core::{ContentHash, SafePath};
use hashbrown::HashTable;

use super::indexed::{IndexedFile, IndexedFolder};

/// An entry of the index.
pub(super) trait Hashed {
    /// Returns its hash.
    fn hash(&self) -> &ContentHash;

    /// Returns its published path, which is unique.
    fn path(&self) -> &SafePath;
}

impl Hashed for IndexedFile {
    fn hash(&self) -> &ContentHash {
        &self.hash
    }

    fn path(&self) -> &SafePath {
        &self.path
    }
}

impl Hashed for IndexedFolder {
    fn hash(&self) -> &ContentHash {
        &self.hash
    }

    fn path(&self) -> &SafePath {
        &self.path
    }
}

/// Entries by hash; several may have the same.
#[derive(Debug)]
pub(super) struct ByHash<T> {
    entries: HashTable<Arc<T>>,
    /// Random, so that nobody can choose contents whose hashes collide in the table.
    state: RandomState,
}

impl<T> Default for ByHash<T> {
    fn default() -> Self {
        Self {
            entries: HashTable::new(),
            state: RandomState::new(),
        }
    }
}

impl<T: Hashed> ByHash<T> {
    /// Adds an entry.
    pub(super) fn insert(&mut self, entry: Arc<T>) {
        let state = &self.state;
        let key = state.hash_one(entry.hash());
        self.entries
            .insert_unique(key, entry, |entry| state.hash_one(entry.hash()));
    }

    /// Removes the entry with this hash and path.
    pub(super) fn remove(&mut self, hash: &ContentHash, path: &SafePath) {
        let key = self.state.hash_one(hash);
        let is_it = |entry: &Arc<T>| entry.hash() == hash && entry.path() == path;
        if let Ok(found) = self.entries.find_entry(key, is_it) {
            found.remove();
        }
    }

    /// Returns the entries with this hash, in any order.
    pub(super) fn get(&self, hash: &ContentHash) -> impl Iterator<Item = &Arc<T>> {
        let alike = self.entries.iter_hash(self.state.hash_one(hash));
        alike.filter(move |entry| entry.hash() == hash)
    }

    /// Returns whether there is an entry with this hash.
    pub(super) fn contains(&self, hash: &ContentHash) -> bool {
        self.get(hash).next().is_some()
    }

    /// Returns the hashes of all entries; a hash of several entries several times.
    pub(super) fn hashes(&self) -> impl Iterator<Item = &ContentHash> {
        self.entries.iter().map(|entry| entry.hash())
    }
}
