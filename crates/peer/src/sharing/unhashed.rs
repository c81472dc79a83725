//! The folders with files that a scan found and that are not hashed yet.

use std::collections::HashMap;
use std::sync::Arc;

use convite_core::SafePath;
use parking_lot::Mutex;

/// The number of files directly in each folder that are not hashed yet.
#[derive(Debug, Default)]
pub struct UnhashedFiles(Mutex<HashMap<String, usize>>);

impl UnhashedFiles {
    /// Adds files, until each is [done](UnhashedGuard::done) or the result is dropped.
    pub fn add<'a>(self: &Arc<Self>, files: impl Iterator<Item = &'a SafePath>) -> UnhashedGuard {
        let mut added: HashMap<String, usize> = HashMap::new();
        for folder in files.filter_map(SafePath::parent) {
            match added.get_mut(folder) {
                Some(count) => *count += 1,
                None => {
                    added.insert(folder.to_owned(), 1);
                }
            }
        }
        let mut all = self.0.lock();
        for (folder, count) in &added {
            *all.entry(folder.clone()).or_default() += count;
        }
        drop(all);
        UnhashedGuard {
            all: self.clone(),
            added,
        }
    }

    /// Returns the folders that directly contain such files.
    pub fn folders(&self) -> Vec<String> {
        self.0.lock().keys().cloned().collect()
    }

    fn remove(&self, folder: &str, count: usize) {
        let mut all = self.0.lock();
        if let Some(left) = all.get_mut(folder) {
            *left = left.saturating_sub(count);
            if *left == 0 {
                all.remove(folder);
            }
        }
    }
}

/// The files of one scan that are not hashed yet.
#[derive(Debug)]
pub struct UnhashedGuard {
    all: Arc<UnhashedFiles>,
    added: HashMap<String, usize>,
}

impl UnhashedGuard {
    /// Removes a file: it is hashed, or cannot be hashed.
    pub fn done(&mut self, path: &SafePath) {
        let Some(folder) = path.parent() else {
            return;
        };
        if let Some(count) = self.added.get_mut(folder) {
            *count -= 1;
            if *count == 0 {
                self.added.remove(folder);
            }
            self.all.remove(folder, 1);
        }
    }
}

impl Drop for UnhashedGuard {
    fn drop(&mut self) {
        for (folder, count) in &self.added {
            self.all.remove(folder, *count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_listed_until_all_their_files_are_done() {
        let all = Arc::new(UnhashedFiles::default());
        let paths: Vec<SafePath> = ["s/a/1", "s/a/2", "s/b/1", "file"]
            .map(|path| path.parse().unwrap())
            .into();
        let mut one = all.add(paths.iter());
        let two = all.add(paths[..1].iter());
        one.done(&paths[0]);
        one.done(&paths[1]);
        one.done(&paths[3]);
        let mut folders = all.folders();
        folders.sort_unstable();
        assert_eq!(folders, ["s/a", "s/b"]);
        drop(two);
        assert_eq!(all.folders(), ["s/b"]);
        drop(one);
        assert!(all.folders().is_empty());
    }
}
