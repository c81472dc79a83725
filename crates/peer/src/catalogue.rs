//! What this peer serves just now: every file that was hashed and was still the same at the last
//! scan, by path and by content. In memory; the scan fills it, serving and publishing read it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use convite_core::model::FileEntry;
use convite_core::{ContentHash, SafePath, SpaceName};
use tokio::sync::watch;

use crate::beneath::Identity;
use crate::scan;

/// A file that can be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// As it is published.
    pub path: SafePath,
    /// The root of its share.
    pub root: Arc<Path>,
    /// Whose members may see it; none for everyone.
    pub space: Option<Arc<SpaceName>>,
    /// What it was when it was hashed.
    pub identity: Identity,
    /// What it holds.
    pub hash: ContentHash,
}

impl Served {
    /// What the directory is told of it.
    pub fn entry(&self) -> FileEntry {
        FileEntry {
            path: self.path.clone(),
            size: self.identity.size,
            hash: self.hash,
            modified: self.identity.modified_seconds(),
            space: self.space.as_deref().cloned(),
        }
    }

    /// Its path below the root of its share; empty if the root is the file.
    pub fn inner(&self) -> &str {
        scan::inner(&self.path)
    }
}

#[derive(Default)]
struct Shelves {
    by_path: BTreeMap<SafePath, Arc<Served>>,
    by_hash: HashMap<ContentHash, Vec<Arc<Served>>>,
    bytes: u64,
}

/// All that is served.
#[derive(Default)]
pub struct Catalogue {
    shelves: RwLock<Shelves>,
    /// Files that have to be hashed again though they have not changed.
    doubted: Mutex<HashSet<SafePath>>,
    changes: watch::Sender<()>,
}

impl Catalogue {
    /// Serves `file` in place of what its path stood for. Whether that is news.
    pub fn put(&self, file: Served) -> bool {
        self.doubted().remove(&file.path);
        let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
        if shelves
            .by_path
            .get(&file.path)
            .is_some_and(|old| **old == file)
        {
            return false;
        }
        shelves.remove(&file.path);
        let file = Arc::new(file);
        shelves.bytes += file.identity.size;
        shelves
            .by_hash
            .entry(file.hash)
            .or_default()
            .push(file.clone());
        shelves.by_path.insert(file.path.clone(), file);
        drop(shelves);
        self.changes.send_replace(());
        true
    }

    /// Serves what `path` stood for no more. Whether it was served.
    pub fn remove(&self, path: &SafePath) -> bool {
        self.doubted().remove(path);
        let mut shelves = self.shelves.write().unwrap_or_else(PoisonError::into_inner);
        let removed = shelves.remove(path);
        drop(shelves);
        if removed {
            self.changes.send_replace(());
        }
        removed
    }

    /// Has a file with that content hashed again at the next look, as its pieces are not known, and
    /// served all the while. Whether that is news.
    pub fn doubt(&self, hash: &ContentHash) -> bool {
        let holders = self.by_hash(hash);
        let holder = holders.first();
        holder.is_some_and(|served| self.doubted().insert(served.path.clone()))
    }

    /// Whether it has to be hashed again, until it is [`put`](Self::put) once more.
    pub fn is_doubted(&self, path: &SafePath) -> bool {
        self.doubted().contains(path)
    }

    fn doubted(&self) -> MutexGuard<'_, HashSet<SafePath>> {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told whenever what is served changes; many changes may be told as one.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// What `path` stands for.
    pub fn by_path(&self, path: &SafePath) -> Option<Arc<Served>> {
        self.read().by_path.get(path).cloned()
    }

    /// The files that hold `hash`.
    pub fn by_hash(&self, hash: &ContentHash) -> Vec<Arc<Served>> {
        self.read().by_hash.get(hash).cloned().unwrap_or_default()
    }

    /// Up to `limit` entries in the order of their paths, from the first after `after`.
    pub fn entries_after(&self, after: Option<&SafePath>, limit: usize) -> Vec<FileEntry> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.read()
            .by_path
            .range::<SafePath, _>((from, Bound::Unbounded))
            .take(limit)
            .map(|(_, file)| file.entry())
            .collect()
    }

    /// `place` itself and the paths below it.
    pub fn paths_below(&self, place: &str) -> Vec<SafePath> {
        let Ok(from) = place.parse::<SafePath>() else {
            return Vec::new();
        };
        let is_below = |path: &SafePath| {
            let rest = path.as_str().strip_prefix(place);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let shelves = self.read();
        let from = shelves.by_path.range(from..).map(|(path, _)| path);
        let alike = from.take_while(|path| path.as_str().starts_with(place));
        alike.filter(|path| is_below(path)).cloned().collect()
    }

    /// The paths for which `keep` is false.
    pub fn paths_where_not(&self, keep: impl Fn(&Served) -> bool) -> Vec<SafePath> {
        let shelves = self.read();
        let files = shelves.by_path.values();
        files
            .filter(|file| !keep(file))
            .map(|file| file.path.clone())
            .collect()
    }

    /// Every content that is served.
    pub fn contents(&self) -> HashSet<ContentHash> {
        self.read().by_hash.keys().copied().collect()
    }

    /// How many files there are below the root `root`.
    pub fn count_below(&self, root: &Path) -> u64 {
        let shelves = self.read();
        shelves
            .by_path
            .values()
            .filter(|f| *f.root == *root)
            .count() as u64
    }

    /// How many files, and how many bytes in all.
    pub fn totals(&self) -> (u64, u64) {
        let shelves = self.read();
        (shelves.by_path.len() as u64, shelves.bytes)
    }

    fn read(&self) -> RwLockReadGuard<'_, Shelves> {
        self.shelves.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    fn remove(&mut self, path: &SafePath) -> bool {
        let Some(old) = self.by_path.remove(path) else {
            return false;
        };
        self.bytes -= old.identity.size;
        if let Some(holders) = self.by_hash.get_mut(&old.hash) {
            holders.retain(|file| file.path != old.path);
            if holders.is_empty() {
                self.by_hash.remove(&old.hash);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(path: &str, contents: &[u8]) -> Served {
        Served {
            path: path.parse().unwrap(),
            root: Path::new("/r").into(),
            space: None,
            identity: Identity {
                device: 1,
                inode: 1,
                size: contents.len() as u64,
                modified_ns: 1_999_999_999,
            },
            hash: ContentHash::of(contents),
        }
    }

    #[test]
    fn both_ways_to_a_file_agree_through_changes() {
        let catalogue = Catalogue::default();
        let hash = ContentHash::of(b"same");
        assert!(catalogue.put(served("s/a", b"same")));
        assert!(!catalogue.put(served("s/a", b"same")));
        assert!(catalogue.put(served("s/b", b"same")));
        assert_eq!(catalogue.by_hash(&hash).len(), 2);
        assert!(catalogue.put(served("s/a", b"other")));
        assert_eq!(catalogue.by_hash(&hash).len(), 1);
        assert_eq!(catalogue.totals(), (2, 9));
        assert!(catalogue.remove(&"s/b".parse().unwrap()));
        assert!(!catalogue.remove(&"s/b".parse().unwrap()));
        assert!(catalogue.by_hash(&hash).is_empty());
        assert_eq!(catalogue.contents().len(), 1);
        let entries = catalogue.entries_after(None, 10);
        assert_eq!((entries.len(), entries[0].modified), (1, 1));
        let last = entries[0].path.clone();
        assert!(catalogue.entries_after(Some(&last), 10).is_empty());
    }
}
