//! A whole folder: all its files and folders in canonical order.

use std::ops::Range;

use super::arena::{Arena, Level};
use super::cursor::Cursor;
use super::item::{FolderFile, FolderItem};
use super::local_names::LocalNames;
use crate::entry_kind::EntryKind;
use crate::hash::ContentHash;
use crate::manifest::{self, EntryRef};
use crate::path::SafePath;

/// A verified folder: every manifest has the hash that its parent names.
///
/// Files have indexes from 0 in canonical order: depth first, names in byte order; the files below
/// a folder stand where the folder's entry stands. The *folder bytes* are their contents one after
/// the other. Equal sub-folders are stored once. A file takes 52 bytes of memory and its name.
#[derive(Debug, Clone)]
pub struct FolderTree {
    /// Has at least one level.
    arena: Arena,
    below: Below,
}

/// Extent of what is below a folder.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Below {
    /// Number of folders, counted as often as they occur.
    pub(super) folders: usize,
    /// Parts of the deepest path.
    pub(super) depth: usize,
    /// Bytes of the longest path.
    pub(super) path_len: usize,
}

/// A part of an encoded manifest, which ends between two entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestPart {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Indexes of the entries in this part; see [`FolderTree::entry_count`].
    pub entries: Range<usize>,
    /// Whether this is the last part of its manifest.
    pub last: bool,
}

impl FolderTree {
    /// Creates a folder from its manifests, of which there is at least one.
    pub(super) fn new(arena: Arena, below: Below) -> Self {
        debug_assert!(!arena.levels().is_empty());
        Self { arena, below }
    }

    /// Returns the folder hash.
    pub fn hash(&self) -> ContentHash {
        self.root().hash
    }

    /// Returns the size of the folder bytes.
    pub fn size(&self) -> u64 {
        self.root().size
    }

    /// Returns the number of files, on all levels.
    pub fn file_count(&self) -> usize {
        self.root().files as usize
    }

    /// Returns the number of folders below this one, on all levels.
    pub fn folder_count(&self) -> usize {
        self.below.folders
    }

    /// Returns the number of parts of the deepest path inside the folder.
    pub fn depth(&self) -> usize {
        self.below.depth
    }

    /// Returns the length of the longest path inside the folder, in bytes.
    pub fn longest_path(&self) -> usize {
        self.below.path_len
    }

    /// Returns the number of entries of all distinct manifests.
    ///
    /// An entry has the index at which it was received: manifests depth first, each distinct one
    /// once, entries in order. All files of equal sub-folders have the entries of the first one.
    pub fn entry_count(&self) -> usize {
        self.arena.len()
    }

    /// Returns the allocated memory in bytes.
    pub fn heap_bytes(&self) -> usize {
        self.arena.heap_bytes()
    }

    /// Returns the file at `index`, if there are that many.
    pub fn file(&self, index: usize) -> Option<FolderFile> {
        self.files(index..index.saturating_add(1)).next()
    }

    /// Returns the files with these indexes, in order. The range is cut at the number of files.
    pub fn files(&self, range: Range<usize>) -> Files<'_> {
        self.files_with(None, range)
    }

    /// Like [`Self::files`], with the paths that the files have under local names.
    pub fn local_files<'a>(&'a self, names: &'a LocalNames, range: Range<usize>) -> Files<'a> {
        self.files_with(Some(names), range)
    }

    fn files_with<'a>(&'a self, names: Option<&'a LocalNames>, range: Range<usize>) -> Files<'a> {
        let end = range.end.min(self.file_count());
        Files {
            left: end.saturating_sub(range.start),
            cursor: Cursor::at_file(&self.arena, names, range.start),
        }
    }

    /// Returns the index of the file with the byte at `offset` of the folder bytes; `None` at or
    /// beyond the end. Empty files contain no byte.
    pub fn file_at(&self, offset: u64) -> Option<usize> {
        if offset >= self.size() {
            return None;
        }
        let (mut level, mut offset, mut index) = (self.root(), offset, 0);
        loop {
            let entry = self.arena.entry_of_byte(level, offset);
            index += self.arena.files_before(entry) as usize;
            offset -= self.arena.size_before(entry);
            match self.arena.kind(entry) {
                EntryKind::File => return Some(index),
                EntryKind::Folder => level = self.arena.level(self.arena.link(entry)),
            }
        }
    }

    /// Returns the file or folder at `path` inside the folder.
    pub fn find(&self, path: &SafePath) -> Option<FolderItem> {
        let mut cursor = Cursor::at_start(&self.arena, None);
        let mut step = None;
        for name in path.parts() {
            step = Some(cursor.enter(name)?);
        }
        step.map(|step| cursor.item(&step))
    }

    /// Returns all folders and files in canonical order, each folder before its contents.
    pub fn walk(&self) -> Walk<'_> {
        Walk(Cursor::at_start(&self.arena, None))
    }

    /// Like [`Self::walk`], with the paths that the items have under local names.
    pub fn local_walk<'a>(&'a self, names: &'a LocalNames) -> Walk<'a> {
        Walk(Cursor::at_start(&self.arena, Some(names)))
    }

    /// Returns an entry by its index, as it stands in its manifest.
    pub fn entry(&self, index: usize) -> Option<EntryRef<'_>> {
        let entry = u32::try_from(index).ok()?;
        let level = self.arena.levels().get(self.arena.level_index_of(entry))?;
        Some(self.arena.entry(level, entry))
    }

    /// Returns the hashes of the distinct folders in the order in which their manifests are
    /// transferred: depth first, the folder itself first.
    pub fn folder_hashes(&self) -> impl ExactSizeIterator<Item = ContentHash> {
        self.arena.levels().iter().map(|level| level.hash)
    }

    /// Encodes the manifest of the distinct folder `index` (in the order of
    /// [`Self::folder_hashes`]), in parts of about `part_size` bytes: a part exceeds it by less
    /// than one entry (309 bytes). There is no part if there are not that many folders.
    pub fn manifest_parts(&self, index: usize, part_size: usize) -> ManifestParts<'_> {
        let level = self.arena.levels().get(index);
        ManifestParts {
            arena: &self.arena,
            part_size,
            rest: level.map(|level| (level, level.first)),
        }
    }

    /// Returns the sizes of all files, in canonical order.
    pub(super) fn file_sizes(&self) -> impl Iterator<Item = u64> {
        let mut cursor = Cursor::at_start(&self.arena, None);
        std::iter::from_fn(move || {
            let step = cursor.next_file()?;
            Some(self.arena.size(self.arena.level(step.level), step.entry))
        })
    }

    /// Returns the manifests.
    pub(super) fn arena(&self) -> &Arena {
        &self.arena
    }

    fn root(&self) -> &Level {
        self.arena.level(0)
    }
}

/// The files of a range, in canonical order; see [`FolderTree::files`].
#[derive(Debug)]
pub struct Files<'a> {
    cursor: Cursor<'a>,
    left: usize,
}

impl Iterator for Files<'_> {
    type Item = FolderFile;

    fn next(&mut self) -> Option<FolderFile> {
        self.left = self.left.checked_sub(1)?;
        let step = self.cursor.next_file()?;
        Some(self.cursor.file(&step))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Files<'_> {}

/// All files and folders in canonical order; see [`FolderTree::walk`].
#[derive(Debug)]
pub struct Walk<'a>(Cursor<'a>);

impl Iterator for Walk<'_> {
    type Item = FolderItem;

    fn next(&mut self) -> Option<FolderItem> {
        let step = self.0.step()?;
        Some(self.0.item(&step))
    }
}

/// The parts of one manifest; see [`FolderTree::manifest_parts`].
#[derive(Debug)]
pub struct ManifestParts<'a> {
    arena: &'a Arena,
    part_size: usize,
    /// The level and its next entry; absent after the last part.
    rest: Option<(&'a Level, u32)>,
}

impl Iterator for ManifestParts<'_> {
    type Item = ManifestPart;

    fn next(&mut self) -> Option<ManifestPart> {
        let (level, first) = self.rest.take()?;
        let mut bytes = match first == level.first {
            true => manifest::header((level.end - level.first) as usize),
            false => Vec::new(),
        };
        let mut next = first;
        while next < level.end && (next == first || bytes.len() < self.part_size) {
            manifest::write_entry(&mut bytes, &self.arena.entry(level, next));
            next += 1;
        }
        let last = next == level.end;
        self.rest = (!last).then_some((level, next));
        Some(ManifestPart {
            bytes,
            entries: first as usize..next as usize,
            last,
        })
    }
}
