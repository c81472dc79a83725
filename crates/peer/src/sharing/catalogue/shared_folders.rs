//! The operations of the catalogue on folders.

use std::collections::{HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use convite_core::model::FileEntry;
use convite_core::{ContentHash, SafePath};

use super::folders::{ChangeTimes, FolderExceptions, FolderState, FoundFolder};
use super::indexed::{IndexedFolder, SharedEntry};
use super::level::{at_or_below, has_below};
use super::{Catalogue, Indexes, RemovalReason};

impl Catalogue {
    /// Adds a folder that a scan found.
    pub fn add_folder(&self, found: &FoundFolder) {
        self.indexes.write().folders.add(found, Instant::now());
    }

    /// Removes a folder, unless a file below it is in the catalogue. Returns whether it was
    /// published.
    pub fn remove_folder(&self, path: &SafePath) -> bool {
        let mut indexes = self.indexes.write();
        if has_below(&indexes.by_path, path.as_str()) {
            return false;
        }
        let Some(folder) = indexes.folders.remove(path, Instant::now()) else {
            return false;
        };
        indexes.note_removal(&folder, RemovalReason::Removed);
        drop(indexes);
        self.changes.send_replace(());
        true
    }

    /// Returns the folders at `place` and below it, also those that are not published.
    pub fn folder_paths_below(&self, place: &str) -> Vec<SafePath> {
        let indexes = self.indexes.read();
        let below = at_or_below(&indexes.folders.nodes, place);
        below.map(|(path, _)| path.clone()).collect()
    }

    /// Returns whether a folder exists at `path`, published or not.
    pub fn has_folder(&self, path: &SafePath) -> bool {
        self.indexes.read().folders.nodes.contains_key(path)
    }

    /// Returns the published folder at `path`.
    pub fn folder_by_path(&self, path: &SafePath) -> Option<Arc<IndexedFolder>> {
        self.indexes.read().folders.by_path(path).cloned()
    }

    /// Returns the published folders with this folder hash.
    pub fn folders_by_hash(&self, hash: &ContentHash) -> Vec<Arc<IndexedFolder>> {
        self.indexes.read().folders.by_hash(hash)
    }

    /// Returns the size of the file or folder with this hash in bytes.
    pub fn size_of(&self, hash: &ContentHash) -> Option<u64> {
        let file = self.by_hash(hash).first().map(|file| file.identity.size);
        file.or_else(|| self.folders_by_hash(hash).first().map(|folder| folder.size))
    }

    /// Returns the folders whose entries changed since their manifests were computed.
    pub fn changed_folders(&self) -> HashMap<SafePath, ChangeTimes> {
        self.indexes.read().folders.changed.clone()
    }

    /// Marks a folder as changed.
    pub fn mark_folder(&self, folder: &str, times: ChangeTimes) {
        self.indexes.write().folders.mark(folder, times);
    }

    /// Takes the mark of a folder that is about to be computed.
    pub fn take_folder_mark(&self, folder: &SafePath) -> Option<ChangeTimes> {
        self.indexes.write().folders.take_mark(folder)
    }

    /// Returns the root and the space of a folder, as `make` takes them.
    pub(crate) fn folder_share<T>(
        &self,
        folder: &SafePath,
        make: impl FnOnce(SharedEntry<'_>) -> T,
    ) -> Option<T> {
        self.indexes.read().folders.share_of(folder).map(make)
    }

    /// Stores what was computed of folders, except of those that changed meanwhile. Returns the
    /// folders with another state than before.
    pub fn store_folders(&self, computed: Vec<(SafePath, FolderState)>) -> Vec<SafePath> {
        let mut indexes = self.indexes.write();
        let mut stored = Vec::new();
        for (path, state) in computed {
            let Some(before) = indexes.folders.store(&path, state) else {
                continue;
            };
            if let Some(old) = before.known() {
                indexes.note_removal(old, RemovalReason::Changed);
            }
            if let Some(new) = indexes.folders.by_path(&path) {
                let hash = new.hash;
                indexes.gone.remove(&hash);
            }
            stored.push(path);
        }
        drop(indexes);
        if !stored.is_empty() {
            self.changes.send_replace(());
        }
        stored
    }

    /// Replaces the files that are not part of folders because they keep changing.
    pub fn set_left_out(&self, files: HashSet<SafePath>) {
        let mut indexes = self.indexes.write();
        indexes.folders.set_left_out(files, Instant::now());
    }

    /// Returns whether a file is not part of folders because it keeps changing.
    pub fn is_left_out(&self, path: &SafePath) -> bool {
        self.indexes.read().folders.is_left_out(path)
    }

    /// Returns the folders with a file whose contents are not known: files that changed at most
    /// `patience` ago and were not hashed since, and files with unknown CRC-32.
    pub fn folders_with_unknown_files(&self, now: Instant, patience: Duration) -> HashSet<String> {
        let indexes = self.indexes.read();
        let folders = &indexes.folders;
        let awaited = folders.awaited(now, patience);
        awaited
            .chain(folders.without_crc32())
            .map(str::to_owned)
            .collect()
    }

    /// Returns whether a file changed longer than `patience` ago and was not hashed since, because
    /// it keeps changing.
    pub fn is_overdue(&self, path: &SafePath, now: Instant, patience: Duration) -> bool {
        let indexes = self.indexes.read();
        indexes.folders.is_overdue(path, now, patience)
    }

    /// Forgets the files at and below `place` that changed and were not hashed since, except those
    /// in `seen`.
    pub fn forget_awaited(&self, place: &str, seen: &HashSet<&SafePath>) {
        self.indexes.write().folders.forget_awaited(place, seen);
    }

    /// Returns the exceptions among files and folders.
    pub fn folder_exceptions(&self) -> FolderExceptions {
        self.indexes.read().folders.exceptions()
    }

    /// Returns the published entry at `path`, if `keep` returns true for it.
    pub fn entry_at(
        &self,
        path: &SafePath,
        keep: impl FnOnce(SharedEntry<'_>) -> bool,
    ) -> Option<FileEntry> {
        let indexes = self.indexes.read();
        if let Some(file) = indexes.by_path.get(path) {
            return keep((&**file).into()).then(|| file.entry());
        }
        let folder = indexes.folders.by_path(path)?;
        keep((&**folder).into()).then(|| folder.entry())
    }

    /// Returns up to `limit` published entries in path order, beginning after `after`.
    pub fn entries_after(&self, after: Option<&SafePath>, limit: usize) -> Vec<FileEntry> {
        let from = (
            after.map_or(Bound::Unbounded, Bound::Excluded),
            Bound::Unbounded,
        );
        let indexes = self.indexes.read();
        let mut files = indexes.by_path.range::<SafePath, _>(from).peekable();
        let folders = indexes.folders.nodes.range::<SafePath, _>(from);
        let folders = folders.filter_map(|(path, node)| Some((path, node.state.known()?)));
        let mut folders = folders.peekable();
        let mut entries = Vec::new();
        while entries.len() < limit {
            let file_first = match (files.peek(), folders.peek()) {
                (Some((file, _)), Some((folder, _))) => file <= folder,
                (file, _) => file.is_some(),
            };
            if file_first {
                let Some((path, file)) = files.next() else {
                    break;
                };
                // A folder that was replaced by a file is about to be removed.
                folders.next_if(|(folder, _)| *folder == path);
                entries.push(file.entry());
            } else {
                let Some((_, folder)) = folders.next() else {
                    break;
                };
                entries.push(folder.entry());
            }
        }
        entries
    }

    /// Returns the paths of files and folders for which `keep` returns false.
    pub fn paths_where_not(&self, keep: impl Fn(SharedEntry<'_>) -> bool) -> Vec<SafePath> {
        let indexes = self.indexes.read();
        let files = indexes
            .by_path
            .values()
            .map(|file| SharedEntry::from(&**file));
        let all = files.chain(indexes.folders.entries());
        all.filter(|entry| !keep(*entry))
            .map(|entry| entry.path.clone())
            .collect()
    }
}

impl Indexes {
    /// Notes why a folder hash is no longer served, unless it still is.
    fn note_removal(&mut self, folder: &IndexedFolder, how: RemovalReason) {
        if !self.folders.holds(&folder.hash) && !self.by_hash.contains(&folder.hash) {
            self.note_gone(folder.hash, how, folder.space.clone());
        }
    }
}
