//! The files and folders inside a folder.

use std::ops::Range;

use crate::hash::ContentHash;
use crate::path::SafePath;

/// A file of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderFile {
    /// Index of the file in canonical order.
    pub index: usize,
    /// Index of its entry, for values that are kept beside the tree; see
    /// [`super::FolderTree::entry_count`].
    pub entry: usize,
    /// Path inside the folder.
    pub path: SafePath,
    /// Size in bytes.
    pub size: u64,
    /// Offset of its first byte in the folder bytes.
    pub offset: u64,
    /// CRC-32 of its contents (IEEE 802.3, as in ZIP).
    pub crc32: u32,
    /// Content hash.
    pub hash: ContentHash,
}

impl FolderFile {
    /// Returns the range of the file in the folder bytes.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.size
    }
}

/// A file or a folder inside a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderItem {
    /// A sub-folder; its items follow.
    Folder {
        /// Index of its entry; see [`super::FolderTree::entry_count`].
        entry: usize,
        /// Path inside the folder.
        path: SafePath,
        /// Folder hash.
        hash: ContentHash,
        /// Indexes of the files below it.
        files: Range<usize>,
        /// Range of its bytes in the folder bytes.
        bytes: Range<u64>,
    },
    /// A file.
    File(FolderFile),
}

impl FolderItem {
    /// Returns the path inside the folder.
    pub fn path(&self) -> &SafePath {
        match self {
            Self::Folder { path, .. } => path,
            Self::File(file) => &file.path,
        }
    }

    /// Returns the index of the entry; see [`super::FolderTree::entry_count`].
    pub fn entry(&self) -> usize {
        match self {
            Self::Folder { entry, .. } => *entry,
            Self::File(file) => file.entry,
        }
    }
}
