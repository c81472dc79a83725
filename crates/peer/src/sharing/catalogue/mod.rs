//! The catalogue: every shared file that is hashed and was unchanged at the last scan, and every
//! shared folder, by path and by hash. It is in memory; scans fill it, serving and publishing read
//! it.

mod by_hash;
mod entries;
mod folders;
mod indexed;
mod level;
mod shared_folders;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use convite_core::{ContentHash, SafePath, SpaceName};
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use self::by_hash::ByHash;
pub use self::entries::{FolderEntry, FolderLevel, summary};
use self::folders::FolderIndex;
pub use self::folders::{ChangeTimes, FolderExceptions, FolderState, FoundFolder};
pub use self::indexed::{IndexedFile, IndexedFolder, SharedEntry};
use self::level::at_or_below;
pub(crate) use self::level::with_ancestors;

/// The reason why a content hash is no longer served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemovalReason {
    /// The file has other contents now.
    Changed,
    /// The file was deleted, or is no longer shared.
    Removed,
}

/// The removal of the last file or folder with a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The reason.
    pub reason: RemovalReason,
    /// The space in which it was shared; `None` for the space of everyone.
    pub space: Option<Arc<SpaceName>>,
}

/// The maximum number of content hashes for which their removal is kept.
const REMOVED_MAX: usize = 10_000;

#[derive(Default)]
struct Indexes {
    by_path: BTreeMap<SafePath, Arc<IndexedFile>>,
    by_hash: ByHash<IndexedFile>,
    gone: HashMap<ContentHash, Removal>,
    bytes: u64,
    folders: FolderIndex,
}

/// All shared files and folders.
#[derive(Default)]
pub struct Catalogue {
    indexes: RwLock<Indexes>,
    /// Files to hash again although they have not changed.
    to_rehash: Mutex<HashSet<SafePath>>,
    changes: watch::Sender<()>,
}

impl Catalogue {
    /// Adds `file`, replacing the previous file of its path. Returns whether the catalogue changed.
    pub fn put(&self, file: IndexedFile) -> bool {
        self.to_rehash.lock().remove(&file.path);
        let mut indexes = self.indexes.write();
        if indexes
            .by_path
            .get(&file.path)
            .is_some_and(|old| **old == file)
        {
            return false;
        }
        indexes.remove(&file.path, RemovalReason::Changed);
        indexes.gone.remove(&file.hash);
        indexes.folders.file_changed(&file.path, Some(&file));
        let file = Arc::new(file);
        indexes.bytes += file.identity.size;
        indexes.by_hash.insert(file.clone());
        indexes.by_path.insert(file.path.clone(), file);
        drop(indexes);
        self.changes.send_replace(());
        true
    }

    /// Removes `path`. Returns whether it was in the catalogue.
    pub fn remove(&self, path: &SafePath) -> bool {
        self.remove_as(path, RemovalReason::Removed)
    }

    /// Removes `path` because its contents changed. Its new contents are not hashed yet.
    pub fn remove_changed(&self, path: &SafePath) -> bool {
        self.remove_as(path, RemovalReason::Changed)
    }

    fn remove_as(&self, path: &SafePath, how: RemovalReason) -> bool {
        self.to_rehash.lock().remove(path);
        let mut indexes = self.indexes.write();
        let removed = indexes.remove(path, how);
        match how {
            RemovalReason::Changed => indexes.folders.await_file(path, Instant::now()),
            RemovalReason::Removed => indexes.folders.stop_awaiting(path),
        }
        if removed {
            indexes.folders.file_changed(path, None);
        }
        drop(indexes);
        if removed {
            self.changes.send_replace(());
        }
        removed
    }

    /// Marks the file at `path` to be hashed again at the next scan, because its piece hashes or its
    /// CRC-32 are unknown. It is served meanwhile. Returns whether the mark is new.
    pub fn request_rehash(&self, path: &SafePath) -> bool {
        self.to_rehash.lock().insert(path.clone())
    }

    /// Returns whether the file at `path` must be hashed again. [`put`](Self::put) clears the mark.
    pub fn needs_rehash(&self, path: &SafePath) -> bool {
        self.to_rehash.lock().contains(path)
    }

    /// Returns a receiver that is notified of changes; several changes may be reported as one.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Returns the file at `path`.
    pub fn by_path(&self, path: &SafePath) -> Option<Arc<IndexedFile>> {
        self.indexes.read().by_path.get(path).cloned()
    }

    /// Returns the file at `path` in any share, among those that `may_read` accepts; `None` if no share
    /// or several shares have it.
    pub fn by_path_in_any_share(
        &self,
        path: &SafePath,
        may_read: impl Fn(&IndexedFile) -> bool,
    ) -> Option<Arc<IndexedFile>> {
        let indexes = self.indexes.read();
        let mut found = None;
        let mut from = Bound::Unbounded;
        loop {
            let mut rest = indexes
                .by_path
                .range::<str, _>((from.as_ref().map(String::as_str), Bound::Unbounded));
            let Some((next, _)) = rest.next() else {
                return found;
            };
            let share = next.parts().next().unwrap_or_default();
            let served = indexes.by_path.get(&*format!("{share}/{path}"));
            if let Some(served) = served.filter(|served| may_read(served)) {
                if found.is_some() {
                    return None;
                }
                found = Some(served.clone());
            }
            // '0' is the character after '/': the first path after the share's.
            from = Bound::Included(format!("{share}0"));
        }
    }

    /// Returns the files with content hash `hash`.
    pub fn by_hash(&self, hash: &ContentHash) -> Vec<Arc<IndexedFile>> {
        self.indexes.read().by_hash.get(hash).cloned().collect()
    }

    /// Returns why `hash` is no longer served; `None` if it never was, or if the removal is
    /// forgotten.
    pub fn removal(&self, hash: &ContentHash) -> Option<Removal> {
        self.indexes.read().gone.get(hash).cloned()
    }

    /// Returns the files at `place` and below it.
    pub fn paths_below(&self, place: &str) -> Vec<SafePath> {
        let indexes = self.indexes.read();
        let below = at_or_below(&indexes.by_path, place);
        below.map(|(path, _)| path.clone()).collect()
    }

    /// Returns the files for which `keep` returns false.
    pub fn files_where_not(&self, keep: impl Fn(&IndexedFile) -> bool) -> Vec<SafePath> {
        let indexes = self.indexes.read();
        let files = indexes.by_path.values();
        files
            .filter(|file| !keep(file))
            .map(|file| file.path.clone())
            .collect()
    }

    /// Returns all content hashes.
    pub fn content_hashes(&self) -> HashSet<ContentHash> {
        self.indexes.read().by_hash.hashes().copied().collect()
    }

    /// Returns the number of files below the share root `root`.
    pub fn count_below(&self, root: &Path) -> u64 {
        let indexes = self.indexes.read();
        indexes
            .by_path
            .values()
            .filter(|f| *f.root == *root)
            .count() as u64
    }

    /// Returns the number of files and their total size in bytes.
    pub fn totals(&self) -> (u64, u64) {
        let indexes = self.indexes.read();
        (indexes.by_path.len() as u64, indexes.bytes)
    }
}

impl Indexes {
    fn remove(&mut self, path: &SafePath, how: RemovalReason) -> bool {
        let Some(old) = self.by_path.remove(path) else {
            return false;
        };
        self.bytes -= old.identity.size;
        self.by_hash.remove(&old.hash, path);
        if !self.by_hash.contains(&old.hash) {
            self.note_gone(old.hash, how, old.space.clone());
        }
        true
    }

    fn note_gone(
        &mut self,
        hash: ContentHash,
        reason: RemovalReason,
        space: Option<Arc<SpaceName>>,
    ) {
        if self.gone.len() >= REMOVED_MAX {
            self.gone.clear();
        }
        self.gone.insert(hash, Removal { reason, space });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::identity::FileIdentity;

    fn served(path: &str, contents: &[u8]) -> IndexedFile {
        IndexedFile {
            path: path.parse().unwrap(),
            root: Path::new("/r").into(),
            space: None,
            identity: FileIdentity {
                device: 1,
                inode: 1,
                size: contents.len() as u64,
                modified_ns: 1_999_999_999,
                changed_ns: 1_999_999_999,
                executable: false,
            },
            hash: ContentHash::of(contents),
            crc32: Some(0),
        }
    }

    #[test]
    fn path_and_hash_indexes_agree() {
        let catalogue = Catalogue::default();
        let hash = ContentHash::of(b"same");
        let reason = || catalogue.removal(&hash).map(|removal| removal.reason);
        assert!(catalogue.put(served("s/a", b"same")));
        assert!(!catalogue.put(served("s/a", b"same")));
        assert!(catalogue.put(served("s/b", b"same")));
        assert_eq!(catalogue.by_hash(&hash).len(), 2);
        assert!(catalogue.put(served("s/a", b"other")));
        assert_eq!(catalogue.by_hash(&hash).len(), 1);
        assert_eq!(catalogue.totals(), (2, 9));
        assert_eq!(reason(), None);
        assert!(catalogue.remove(&"s/b".parse().unwrap()));
        assert_eq!(reason(), Some(RemovalReason::Removed));
        assert!(catalogue.put(served("s/c", b"same")));
        assert_eq!(reason(), None);
        assert!(catalogue.put(served("s/c", b"else")));
        assert_eq!(reason(), Some(RemovalReason::Changed));
        assert!(catalogue.remove(&"s/c".parse().unwrap()));
        assert!(!catalogue.remove(&"s/b".parse().unwrap()));
        assert!(catalogue.by_hash(&hash).is_empty());
        assert_eq!(catalogue.content_hashes().len(), 1);
        let entries = catalogue.entries_after(None, 10);
        assert_eq!((entries.len(), entries[0].modified), (1, 1));
        let find = |path: &str| catalogue.by_path_in_any_share(&path.parse().unwrap(), |_| true);
        for path in ["t/a/x", "t/b", "t-2/b", "t0/c", "z"] {
            catalogue.put(served(path, path.as_bytes()));
        }
        assert_eq!(find("a/x").unwrap().path.as_str(), "t/a/x");
        assert_eq!(find("c").unwrap().path.as_str(), "t0/c");
        assert!(find("b").is_none() && find("z").is_none() && find("x").is_none());
        // A file that may not be read makes no path ambiguous.
        let outside_t = |file: &IndexedFile| file.path.as_str() != "t/b";
        let found = catalogue.by_path_in_any_share(&"b".parse().unwrap(), outside_t);
        assert_eq!(found.unwrap().path.as_str(), "t-2/b");
        let last = entries[0].path.clone();
        let later = catalogue.entries_after(Some(&last), 10);
        assert_eq!(later.len(), 5);
    }
}
