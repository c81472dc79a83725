//! One entry of a manifest.

use crate::entry_kind::EntryKind;
use crate::hash::ContentHash;

/// An entry of a manifest: a file, or a folder with everything below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestEntry {
    /// Name in its folder: 1 to 255 bytes of UTF-8, one part of a
    /// [`SafePath`](crate::path::SafePath), not hidden.
    pub name: Box<str>,
    /// File or folder.
    pub kind: EntryKind,
    /// Size in bytes; of a folder, the sum of all files below it.
    pub size: u64,
    /// 1 for a file; for a folder, the number of files below it.
    pub files: u64,
    /// CRC-32 of a file (IEEE 802.3, as in ZIP); 0 for a folder.
    pub crc32: u32,
    /// Content hash of a file, folder hash of a folder.
    pub hash: ContentHash,
}

impl ManifestEntry {
    /// Creates the entry of a file of `size` bytes.
    pub fn file(name: impl Into<Box<str>>, size: u64, crc32: u32, hash: ContentHash) -> Self {
        Self {
            name: name.into(),
            kind: EntryKind::File,
            size,
            files: 1,
            crc32,
            hash,
        }
    }

    /// Creates the entry of a folder from the summary of its manifest.
    pub fn folder(name: impl Into<Box<str>>, manifest: &ManifestSummary) -> Self {
        Self {
            name: name.into(),
            kind: EntryKind::Folder,
            size: manifest.size,
            files: manifest.files,
            crc32: 0,
            hash: manifest.hash,
        }
    }

    /// Returns the entry with a borrowed name.
    pub fn borrowed(&self) -> EntryRef<'_> {
        EntryRef {
            name: &self.name,
            kind: self.kind,
            size: self.size,
            files: self.files,
            crc32: self.crc32,
            hash: self.hash,
        }
    }
}

/// A [`ManifestEntry`] with a borrowed name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRef<'a> {
    /// Name in its folder.
    pub name: &'a str,
    /// File or folder.
    pub kind: EntryKind,
    /// Size in bytes; of a folder, the sum of all files below it.
    pub size: u64,
    /// 1 for a file; for a folder, the number of files below it.
    pub files: u64,
    /// CRC-32 of a file; 0 for a folder.
    pub crc32: u32,
    /// Content hash of a file, folder hash of a folder.
    pub hash: ContentHash,
}

impl EntryRef<'_> {
    /// Returns the entry with a name of its own.
    pub fn to_entry(self) -> ManifestEntry {
        ManifestEntry {
            name: self.name.into(),
            kind: self.kind,
            size: self.size,
            files: self.files,
            crc32: self.crc32,
            hash: self.hash,
        }
    }
}

/// What a manifest says in total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestSummary {
    /// The folder hash: BLAKE3 of the encoded manifest.
    pub hash: ContentHash,
    /// Number of entries of this level.
    pub entries: usize,
    /// Number of files, on all levels.
    pub files: u64,
    /// Size in bytes of all files, on all levels.
    pub size: u64,
}
