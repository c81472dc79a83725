//! The manifests of a folder, in compact form.

use crate::entry_kind::EntryKind;
use crate::error::{ErrorCode, Problem};
use crate::hash::ContentHash;
use crate::manifest::EntryRef;

/// The bit of a name's end that marks a folder.
const FOLDER_BIT: u32 = 1 << 31;

/// The link of a folder whose manifest has not arrived.
pub(super) const UNKNOWN_LEVEL: u32 = u32::MAX;

/// The entries of all levels, one level after the other; 52 bytes each, and the name.
///
/// An entry is known by its index. Sizes and numbers of files are stored as sums over the entries
/// before it in its level, so that a search by offset or by file index is a binary search.
#[derive(Debug, Clone, Default)]
pub(super) struct Arena {
    names: String,
    /// End of each name in `names`, and [`FOLDER_BIT`].
    name_ends: Vec<u32>,
    hashes: Vec<ContentHash>,
    /// Bytes of the entries before, in the same level.
    size_before: Vec<u64>,
    /// Files of the entries before, in the same level.
    files_before: Vec<u32>,
    /// CRC-32 of a file; index of the level of a folder.
    links: Vec<u32>,
    /// The distinct folders in the order of their entries; the first is the whole folder.
    levels: Vec<Level>,
}

/// One manifest in the arena: a distinct folder.
#[derive(Debug, Clone)]
pub(super) struct Level {
    /// The folder hash.
    pub(super) hash: ContentHash,
    /// Bytes of all files below.
    pub(super) size: u64,
    /// Index of the first entry.
    pub(super) first: u32,
    /// Index after the last entry.
    pub(super) end: u32,
    /// Number of files below.
    pub(super) files: u32,
}

impl Arena {
    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Appends an entry. `files_before` and `size_before` are the sums of its level so far.
    ///
    /// # Errors
    /// Returns `too_large` if the names exceed 2 GiB.
    pub(super) fn push(
        &mut self,
        entry: &EntryRef<'_>,
        files_before: u64,
        size_before: u64,
    ) -> Result<(), Problem> {
        let too_large = || Problem::new(ErrorCode::TooLarge, "the names of a folder are too long");
        let end = u32::try_from(self.names.len() + entry.name.len()).map_err(|_| too_large())?;
        let files_before = u32::try_from(files_before).map_err(|_| too_large())?;
        if end & FOLDER_BIT != 0 || self.len() >= u32::MAX as usize {
            return Err(too_large());
        }
        self.reserve(entry.name.len());
        self.names.push_str(entry.name);
        self.name_ends.push(match entry.kind {
            EntryKind::File => end,
            EntryKind::Folder => end | FOLDER_BIT,
        });
        self.hashes.push(entry.hash);
        self.size_before.push(size_before);
        self.files_before.push(files_before);
        self.links.push(match entry.kind {
            EntryKind::File => entry.crc32,
            EntryKind::Folder => UNKNOWN_LEVEL,
        });
        Ok(())
    }

    /// Grows by a quarter where `Vec` would double: for a million files, half is too much waste.
    fn reserve(&mut self, name: usize) {
        if self.names.capacity() - self.names.len() < name {
            let more = (self.names.len() / 4).max(4096);
            self.names.reserve_exact(more);
        }
        if self.hashes.len() == self.hashes.capacity() {
            let more = (self.hashes.len() / 4).max(64);
            self.name_ends.reserve_exact(more);
            self.hashes.reserve_exact(more);
            self.size_before.reserve_exact(more);
            self.files_before.reserve_exact(more);
            self.links.reserve_exact(more);
        }
    }

    /// Releases unused capacity.
    pub(super) fn shrink(&mut self) {
        self.names.shrink_to_fit();
        self.name_ends.shrink_to_fit();
        self.hashes.shrink_to_fit();
        self.size_before.shrink_to_fit();
        self.files_before.shrink_to_fit();
        self.links.shrink_to_fit();
        self.levels.shrink_to_fit();
    }

    /// Returns the allocated bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        self.names.capacity()
            + self.name_ends.capacity() * size_of::<u32>()
            + self.hashes.capacity() * size_of::<ContentHash>()
            + self.size_before.capacity() * size_of::<u64>()
            + self.files_before.capacity() * size_of::<u32>()
            + self.links.capacity() * size_of::<u32>()
            + self.levels.capacity() * size_of::<Level>()
    }

    /// Appends a level, whose entries were appended last, and returns its index.
    pub(super) fn push_level(&mut self, level: Level) -> u32 {
        self.levels.push(level);
        // Fits: a level but the first is the folder of at least one entry.
        (self.levels.len() - 1) as u32
    }

    /// Returns the distinct folders.
    pub(super) fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Returns the level with this index.
    pub(super) fn level(&self, index: u32) -> &Level {
        &self.levels[index as usize]
    }

    /// Returns the index of the level that contains an entry, which must exist.
    pub(super) fn level_index_of(&self, entry: u32) -> usize {
        self.levels.partition_point(|level| level.end <= entry)
    }

    /// Returns the kind of an entry.
    pub(super) fn kind(&self, entry: u32) -> EntryKind {
        if self.name_ends[entry as usize] & FOLDER_BIT == 0 {
            EntryKind::File
        } else {
            EntryKind::Folder
        }
    }

    /// Returns the name of an entry.
    pub(super) fn name(&self, entry: u32) -> &str {
        let start = match entry {
            0 => 0,
            _ => self.name_ends[entry as usize - 1] & !FOLDER_BIT,
        };
        let end = self.name_ends[entry as usize] & !FOLDER_BIT;
        &self.names[start as usize..end as usize]
    }

    /// Returns the hash of an entry.
    pub(super) fn hash(&self, entry: u32) -> ContentHash {
        self.hashes[entry as usize]
    }

    /// Returns the CRC-32 of a file, or the index of the level of a folder.
    pub(super) fn link(&self, entry: u32) -> u32 {
        self.links[entry as usize]
    }

    /// Sets the index of the level of a folder.
    pub(super) fn set_link(&mut self, entry: u32, level: u32) {
        self.links[entry as usize] = level;
    }

    /// Returns the number of files of the entries before `entry` in its level.
    pub(super) fn files_before(&self, entry: u32) -> u32 {
        self.files_before[entry as usize]
    }

    /// Returns the number of bytes of the entries before `entry` in its level.
    pub(super) fn size_before(&self, entry: u32) -> u64 {
        self.size_before[entry as usize]
    }

    /// Returns the number of bytes of `entry`, which is in `level`.
    pub(super) fn size(&self, level: &Level, entry: u32) -> u64 {
        let end = match entry + 1 {
            next if next == level.end => level.size,
            next => self.size_before(next),
        };
        end - self.size_before(entry)
    }

    /// Returns the number of files of `entry`, which is in `level`.
    pub(super) fn files(&self, level: &Level, entry: u32) -> u32 {
        let end = match entry + 1 {
            next if next == level.end => level.files,
            next => self.files_before(next),
        };
        end - self.files_before(entry)
    }

    /// Returns an entry of `level` as in its manifest.
    pub(super) fn entry(&self, level: &Level, entry: u32) -> EntryRef<'_> {
        let kind = self.kind(entry);
        EntryRef {
            name: self.name(entry),
            kind,
            size: self.size(level, entry),
            files: u64::from(self.files(level, entry)),
            crc32: match kind {
                EntryKind::File => self.link(entry),
                EntryKind::Folder => 0,
            },
            hash: self.hash(entry),
        }
    }

    /// Returns the entry of `level` that contains its file `index`, which must exist.
    pub(super) fn entry_of_file(&self, level: &Level, index: u32) -> u32 {
        let before = &self.files_before[level.first as usize..level.end as usize];
        let after = before.partition_point(|files| *files <= index);
        level.first + (after as u32).saturating_sub(1)
    }

    /// Returns the entry of `level` that contains the byte at `offset`, which must exist.
    pub(super) fn entry_of_byte(&self, level: &Level, offset: u64) -> u32 {
        let before = &self.size_before[level.first as usize..level.end as usize];
        let after = before.partition_point(|size| *size <= offset);
        level.first + (after as u32).saturating_sub(1)
    }

    /// Returns the entry of `level` with this name.
    pub(super) fn entry_named(&self, level: &Level, name: &str) -> Option<u32> {
        let (mut low, mut high) = (level.first, level.end);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.name(middle).cmp(name) {
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }
}
