//! The folders of the catalogue: which exist, which must be computed again, and the manifests that
//! are known.
//!
//! A change of a file marks the folder that contains it. [`crate::sharing::folders`] computes marked
//! folders when changes have settled, innermost first; a folder that gets another manifest marks
//! the folder that contains it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use convite_core::{ContentHash, SafePath, SpaceName};

use super::by_hash::ByHash;
use super::indexed::{IndexedFile, IndexedFolder, SharedEntry};
use super::level::{at_or_below, is_at_or_below, with_ancestors};

/// A folder that a scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFolder {
    /// The published path.
    pub path: SafePath,
    /// The root of its share.
    pub root: Arc<Path>,
    /// The space that it is shared in; `None` for the space of everyone.
    pub space: Option<Arc<SpaceName>>,
    /// Whether it is being downloaded: it contains [`crate::fs::names::UNFINISHED_MARKER`].
    pub unfinished: bool,
}

/// When the entries of a folder changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeTimes {
    /// The first change that its manifest does not include.
    pub first: Instant,
    /// The last change.
    pub last: Instant,
}

impl ChangeTimes {
    /// Returns the times of a single change.
    pub fn at(now: Instant) -> Self {
        Self {
            first: now,
            last: now,
        }
    }

    /// Adds other changes.
    pub fn merge(&mut self, other: Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// What is known of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderState {
    /// Nothing yet.
    New,
    /// Its manifest, as it is published.
    Known(Arc<IndexedFolder>),
    /// It is being downloaded, or is inside such a folder. It is not part of other folders.
    Unfinished,
    /// It exceeds the limits of a folder, and so do the folders that contain it.
    TooLarge,
    /// It contains a folder that exceeds the limits.
    AboveTooLarge,
}

impl FolderState {
    /// Returns the published folder.
    pub fn known(&self) -> Option<&Arc<IndexedFolder>> {
        match self {
            Self::Known(folder) => Some(folder),
            _ => None,
        }
    }
}

/// A folder that exists in a share.
#[derive(Debug)]
pub(super) struct FolderNode {
    root: Arc<Path>,
    space: Option<Arc<SpaceName>>,
    pub(super) state: FolderState,
}

/// All folders of the catalogue.
#[derive(Debug, Default)]
pub(super) struct FolderIndex {
    pub(super) nodes: BTreeMap<SafePath, FolderNode>,
    by_hash: ByHash<IndexedFolder>,
    /// The folders to compute again.
    pub(super) changed: HashMap<SafePath, ChangeTimes>,
    /// Files that keep changing, so they are not part of folders.
    left_out: HashSet<SafePath>,
    /// Files that changed and were not hashed since, each with the time of the first such change.
    awaited: HashMap<SafePath, Instant>,
    /// Files with unknown CRC-32.
    without_crc32: HashSet<SafePath>,
    /// Folders with the marker of an unfinished download.
    unfinished: HashSet<SafePath>,
}

impl FolderIndex {
    /// Notes that `file` was added, replaced or removed (`None`).
    pub(super) fn file_changed(&mut self, path: &SafePath, file: Option<&IndexedFile>) {
        match file {
            Some(file) if file.crc32.is_none() => {
                self.without_crc32.insert(path.clone());
            }
            _ if self.without_crc32.is_empty() => {}
            _ => {
                self.without_crc32.remove(path);
            }
        }
        if file.is_some() {
            self.stop_awaiting(path);
        }
        let Some(folder) = path.parent() else {
            return;
        };
        let now = Instant::now();
        if let Some(times) = self.changed.get_mut(folder) {
            times.last = now;
            return;
        }
        match file {
            Some(file) => self.ensure(folder, &file.root, file.space.as_ref(), now),
            None => self.mark(folder, ChangeTimes::at(now)),
        }
    }

    /// Marks a folder that exists.
    pub(super) fn mark(&mut self, folder: &str, times: ChangeTimes) {
        if let Some(known) = self.changed.get_mut(folder) {
            known.merge(times);
        } else if let Some((path, _)) = self.nodes.get_key_value(folder) {
            self.changed.insert(path.clone(), times);
        }
    }

    /// Adds a folder and those that contain it, where they are missing, and marks it.
    fn ensure(
        &mut self,
        folder: &str,
        root: &Arc<Path>,
        space: Option<&Arc<SpaceName>>,
        now: Instant,
    ) {
        for path in with_ancestors(folder) {
            let is_known = self.nodes.contains_key(path);
            // The path of a file is valid, so those of its folders are, too.
            if !is_known && let Ok(path) = path.parse::<SafePath>() {
                let node = FolderNode {
                    root: root.clone(),
                    space: space.cloned(),
                    state: FolderState::New,
                };
                self.nodes.insert(path, node);
            }
            self.mark(path, ChangeTimes::at(now));
            if is_known {
                return;
            }
        }
    }

    /// Adds a folder that a scan found.
    pub(super) fn add(&mut self, found: &FoundFolder, now: Instant) {
        let path = &found.path;
        let is_here = self.nodes.get(path).is_some_and(|node| {
            node.root == found.root && node.space.as_deref() == found.space.as_deref()
        });
        if !is_here {
            self.remove(path, now);
            self.ensure(path.as_str(), &found.root, found.space.as_ref(), now);
        }
        let changed = match found.unfinished {
            true => self.unfinished.insert(path.clone()),
            false => self.unfinished.remove(path),
        };
        if changed {
            let below = at_or_below(&self.nodes, path.as_str());
            let below: Vec<SafePath> = below.map(|(path, _)| path.clone()).collect();
            for path in below {
                self.mark(path.as_str(), ChangeTimes::at(now));
            }
        }
    }

    /// Removes a folder. Returns the folder if it was published.
    pub(super) fn remove(&mut self, path: &SafePath, now: Instant) -> Option<Arc<IndexedFolder>> {
        let node = self.nodes.remove(path)?;
        self.changed.remove(path);
        self.unfinished.remove(path);
        if let Some(parent) = path.parent() {
            self.mark(parent, ChangeTimes::at(now));
        }
        let folder = node.state.known()?.clone();
        self.by_hash.remove(&folder.hash, path);
        Some(folder)
    }

    /// Takes the mark of a folder that is about to be computed.
    pub(super) fn take_mark(&mut self, folder: &SafePath) -> Option<ChangeTimes> {
        self.changed.remove(folder)
    }

    /// Stores what was computed of a folder, unless it changed meanwhile or no longer exists.
    /// Returns the previous state if the state changed.
    pub(super) fn store(&mut self, folder: &SafePath, state: FolderState) -> Option<FolderState> {
        let node = self.nodes.get_mut(folder)?;
        if self.changed.contains_key(folder) || node.state == state {
            return None;
        }
        let before = std::mem::replace(&mut node.state, state.clone());
        if let Some(old) = before.known() {
            self.by_hash.remove(&old.hash, folder);
        }
        if let Some(new) = state.known() {
            self.by_hash.insert(new.clone());
        }
        Some(before)
    }

    /// Returns whether a folder is inside a folder that is being downloaded, or is one.
    pub(super) fn is_unfinished(&self, folder: &str) -> bool {
        !self.unfinished.is_empty()
            && with_ancestors(folder).any(|path| self.unfinished.contains(path))
    }

    /// Returns whether a file is not part of folders at present.
    pub(super) fn is_left_out(&self, path: &SafePath) -> bool {
        !self.left_out.is_empty() && self.left_out.contains(path)
    }

    /// Replaces the files that are not part of folders.
    pub(super) fn set_left_out(&mut self, files: HashSet<SafePath>, now: Instant) {
        let before = std::mem::replace(&mut self.left_out, files);
        let differing: Vec<&SafePath> = before.symmetric_difference(&self.left_out).collect();
        let folders = differing.into_iter().filter_map(|path| path.parent());
        let folders: HashSet<String> = folders.map(str::to_owned).collect();
        for folder in folders {
            self.mark(&folder, ChangeTimes::at(now));
        }
    }

    /// Notes that a file has other contents, which are not known yet.
    pub(super) fn await_file(&mut self, path: &SafePath, now: Instant) {
        self.awaited.entry(path.clone()).or_insert(now);
    }

    /// Notes that the contents of a file are known, or that it is gone.
    pub(super) fn stop_awaiting(&mut self, path: &SafePath) {
        if !self.awaited.is_empty() {
            self.awaited.remove(path);
        }
    }

    /// Forgets the awaited files at and below `place`, except those in `seen`.
    pub(super) fn forget_awaited(&mut self, place: &str, seen: &HashSet<&SafePath>) {
        self.awaited
            .retain(|path, _| seen.contains(path) || !is_at_or_below(path.as_str(), place));
    }

    /// Returns the folders of files that are awaited for less than `patience`.
    pub(super) fn awaited(&self, now: Instant, patience: Duration) -> impl Iterator<Item = &str> {
        let awaited = self.awaited.iter();
        let recent = awaited.filter(move |(_, since)| now.duration_since(**since) < patience);
        recent.filter_map(|(path, _)| path.parent())
    }

    /// Returns whether a file is awaited for `patience` or longer.
    pub(super) fn is_overdue(&self, path: &SafePath, now: Instant, patience: Duration) -> bool {
        let since = self.awaited.get(path);
        since.is_some_and(|since| now.duration_since(*since) >= patience)
    }

    /// Returns the folders with files of unknown CRC-32.
    pub(super) fn without_crc32(&self) -> impl Iterator<Item = &str> {
        self.without_crc32.iter().filter_map(|path| path.parent())
    }

    /// Returns the files that are left out of folders, the folders that are being downloaded, and
    /// those that exceed the limits.
    pub(super) fn exceptions(&self) -> FolderExceptions {
        let nodes = self.nodes.iter();
        let too_large = nodes.filter(|(_, node)| node.state == FolderState::TooLarge);
        FolderExceptions {
            changing: self.left_out.iter().cloned().collect(),
            unfinished: self.unfinished.iter().cloned().collect(),
            too_large: too_large.map(|(path, _)| path.clone()).collect(),
        }
    }

    /// Returns the published folders with this folder hash.
    pub(super) fn by_hash(&self, hash: &ContentHash) -> Vec<Arc<IndexedFolder>> {
        self.by_hash.get(hash).cloned().collect()
    }

    /// Returns whether a folder with this hash is published.
    pub(super) fn holds(&self, hash: &ContentHash) -> bool {
        self.by_hash.contains(hash)
    }

    /// Returns the published folder at `path`.
    pub(super) fn by_path(&self, path: &SafePath) -> Option<&Arc<IndexedFolder>> {
        self.nodes.get(path)?.state.known()
    }

    /// Returns all folders that exist.
    pub(super) fn entries(&self) -> impl Iterator<Item = SharedEntry<'_>> {
        self.nodes.iter().map(|(path, node)| SharedEntry {
            path,
            root: &node.root,
            space: node.space.as_ref(),
        })
    }

    /// Returns the root and the space of a folder.
    pub(super) fn share_of(&self, folder: &SafePath) -> Option<SharedEntry<'_>> {
        let (path, node) = self.nodes.get_key_value(folder)?;
        Some(SharedEntry {
            path,
            root: &node.root,
            space: node.space.as_ref(),
        })
    }
}

/// Published paths that are exceptions to the rule that every folder is published with all that is
/// below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderExceptions {
    /// Files that keep changing, so they are not part of folders.
    pub changing: Vec<SafePath>,
    /// Folders that are being downloaded.
    pub unfinished: Vec<SafePath>,
    /// Folders with more files than a folder may have.
    pub too_large: Vec<SafePath>,
}
