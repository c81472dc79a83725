//! Computing the manifests of a folder from a list of its files.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::builder::FolderTreeBuilder;
use super::tree::FolderTree;
use crate::error::Problem;
use crate::hash::ContentHash;
use crate::manifest::{Manifest, ManifestEntry};
use crate::path::SafePath;

/// The contents of a file, as a manifest states them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileContents {
    /// Size in bytes.
    pub size: u64,
    /// CRC-32 (IEEE 802.3, as in ZIP).
    pub crc32: u32,
    /// Content hash.
    pub hash: ContentHash,
}

/// The manifests of a folder in the order of transfer: depth first, each distinct one once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembly {
    manifests: Vec<Manifest>,
}

impl Assembly {
    /// Computes the manifests of the folder with these files. A path without contents is a folder;
    /// only empty folders need be listed. The order of `items` does not matter.
    ///
    /// # Errors
    /// Returns `invalid_argument` if two items have the same path, if a file is inside another
    /// file, or if a path has a hidden part; `too_large` beyond the limits of a folder.
    pub fn new(
        items: impl IntoIterator<Item = (SafePath, Option<FileContents>)>,
    ) -> Result<Self, Problem> {
        let mut items: Vec<_> = items.into_iter().collect();
        items.sort_unstable_by(|a, b| canonical_order(a.0.as_str(), b.0.as_str()));
        let mut levels = OpenLevels::default();
        let mut last = None;
        for (path, contents) in &items {
            if last == Some(path) {
                let shown = crate::display::escape(path.as_str());
                return Err(Problem::invalid(format!("'{shown}' is listed twice")));
            }
            levels.add(path, *contents)?;
            last = Some(path);
        }
        let (root, mut complete) = levels.finish()?;
        let mut manifests = Vec::with_capacity(complete.len());
        let mut pending = vec![root];
        while let Some(hash) = pending.pop() {
            // A manifest that is absent is in the list already.
            if let Some(manifest) = complete.remove(&hash) {
                let folders = manifest.entries().iter().rev();
                pending.extend(folders.filter(|e| !e.kind.is_file()).map(|e| e.hash));
                manifests.push(manifest);
            }
        }
        Ok(Self { manifests })
    }

    /// Returns the folder hash.
    pub fn hash(&self) -> ContentHash {
        self.manifests[0].hash()
    }

    /// Returns the number of files and of bytes.
    pub fn totals(&self) -> (u64, u64) {
        self.manifests[0].totals()
    }

    /// Returns the manifests; the first is that of the folder itself.
    pub fn manifests(&self) -> &[Manifest] {
        &self.manifests
    }

    /// Returns the folder.
    ///
    /// # Errors
    /// Returns `too_large` beyond the limits of a folder.
    pub fn tree(&self) -> Result<FolderTree, Problem> {
        let mut builder = FolderTreeBuilder::new(self.hash());
        for manifest in &self.manifests {
            builder.add(manifest)?;
        }
        builder.finish()
    }
}

/// Compares paths part by part: the order of files in a folder. It differs from the order of the
/// bytes, in which `a.txt` is before `a/b`.
pub fn canonical_order(a: &str, b: &str) -> Ordering {
    // No name contains NUL, so a separator that sorts like NUL ends a part before any other byte.
    let key = |byte: u8| if byte == b'/' { 0 } else { byte };
    a.bytes().map(key).cmp(b.bytes().map(key))
}

/// The levels that contain the last item.
#[derive(Default)]
struct OpenLevels<'a> {
    /// Entries of the folder itself.
    root: Vec<ManifestEntry>,
    /// Names and entries of the folders below, outermost first.
    below: Vec<(&'a str, Vec<ManifestEntry>)>,
    complete: HashMap<ContentHash, Manifest>,
}

impl<'a> OpenLevels<'a> {
    fn add(&mut self, path: &'a SafePath, contents: Option<FileContents>) -> Result<(), Problem> {
        let (folders, name) = match contents {
            Some(_) => match path.as_str().rsplit_once('/') {
                Some((folders, name)) => (Some(folders), name),
                None => (None, path.as_str()),
            },
            None => (Some(path.as_str()), ""),
        };
        self.open(folders.into_iter().flat_map(|folders| folders.split('/')))?;
        if let Some(FileContents { size, crc32, hash }) = contents {
            let entry = ManifestEntry::file(name, size, crc32, hash);
            self.innermost().push(entry);
        }
        Ok(())
    }

    fn innermost(&mut self) -> &mut Vec<ManifestEntry> {
        match self.below.last_mut() {
            Some((_, entries)) => entries,
            None => &mut self.root,
        }
    }

    /// Makes the folder at `parts` the innermost one.
    fn open(&mut self, parts: impl Iterator<Item = &'a str>) -> Result<(), Problem> {
        let mut depth = 0;
        for part in parts {
            if self.below.get(depth).is_none_or(|(name, _)| *name != part) {
                self.close(depth)?;
                self.below.push((part, Vec::new()));
            }
            depth += 1;
        }
        self.close(depth)
    }

    /// Closes all folders below `depth`.
    fn close(&mut self, depth: usize) -> Result<(), Problem> {
        while self.below.len() > depth {
            let Some((name, entries)) = self.below.pop() else {
                break;
            };
            let manifest = Manifest::new(entries)?;
            let entry = ManifestEntry::folder(name, manifest.summary());
            self.complete.insert(manifest.hash(), manifest);
            self.innermost().push(entry);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(ContentHash, HashMap<ContentHash, Manifest>), Problem> {
        self.close(0)?;
        let manifest = Manifest::new(self.root)?;
        let hash = manifest.hash();
        self.complete.insert(hash, manifest);
        Ok((hash, self.complete))
    }
}
