//! The shared files and folders, as the catalogue lists them.

use std::path::Path;
use std::sync::Arc;

use convite_core::model::FileEntry;
use convite_core::{ContentHash, EntryKind, SafePath, SpaceName};

use crate::fs::identity::FileIdentity;
use crate::sharing::shares::path_in_share;

/// A shared file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedFile {
    /// The published path.
    pub path: SafePath,
    /// The root of its share.
    pub root: Arc<Path>,
    /// The space that it is shared in; `None` for the space of everyone.
    pub space: Option<Arc<SpaceName>>,
    /// The file's identity when it was hashed.
    pub identity: FileIdentity,
    /// The content hash.
    pub hash: ContentHash,
    /// The CRC-32 of the contents; `None` until the file is hashed again, for a file that was
    /// received in several runs.
    pub crc32: Option<u32>,
}

impl IndexedFile {
    /// Returns the entry that is published to the directory.
    pub fn entry(&self) -> FileEntry {
        FileEntry {
            modified: self.identity.modified_seconds(),
            executable: self.identity.executable,
            space: self.space.as_deref().cloned(),
            ..FileEntry::file(self.path.clone(), self.identity.size, self.hash)
        }
    }

    /// Returns the path below the root of the share; empty if the root is the file itself.
    pub fn inner(&self) -> &str {
        path_in_share(&self.path)
    }
}

/// A shared folder with everything below it, as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedFolder {
    /// The published path.
    pub path: SafePath,
    /// The root of its share.
    pub root: Arc<Path>,
    /// The space that it is shared in; `None` for the space of everyone.
    pub space: Option<Arc<SpaceName>>,
    /// The folder hash.
    pub hash: ContentHash,
    /// The size of all files below it in bytes.
    pub size: u64,
    /// The number of files below it.
    pub files: u64,
    /// The number of folders below it.
    pub folders: usize,
    /// The number of parts of the longest path below it.
    pub depth: usize,
}

impl IndexedFolder {
    /// Returns the entry that is published to the directory.
    pub fn entry(&self) -> FileEntry {
        FileEntry {
            kind: EntryKind::Folder,
            files: self.files,
            space: self.space.as_deref().cloned(),
            ..FileEntry::file(self.path.clone(), self.size, self.hash)
        }
    }
}

/// A file or folder of the catalogue, as its share decides about it.
#[derive(Debug, Clone, Copy)]
pub struct SharedEntry<'a> {
    /// The published path.
    pub path: &'a SafePath,
    /// The root of its share.
    pub root: &'a Arc<Path>,
    /// The space that it is shared in; `None` for the space of everyone.
    pub space: Option<&'a Arc<SpaceName>>,
}

impl<'a> From<&'a IndexedFile> for SharedEntry<'a> {
    fn from(file: &'a IndexedFile) -> Self {
        Self {
            path: &file.path,
            root: &file.root,
            space: file.space.as_ref(),
        }
    }
}

impl<'a> From<&'a IndexedFolder> for SharedEntry<'a> {
    fn from(folder: &'a IndexedFolder) -> Self {
        Self {
            path: &folder.path,
            root: &folder.root,
            space: folder.space.as_ref(),
        }
    }
}
