//! The entries of a folder, as its manifest lists them.

use std::sync::Arc;

use convite_core::manifest::{EntryRef, LEVEL_MAX, ManifestHasher, ManifestSummary};
use convite_core::{EntryKind, Problem, SafePath};

use super::Catalogue;
use super::folders::FolderState;
use super::indexed::{IndexedFile, IndexedFolder};
use super::level::children;

/// The number of entries that are listed without a break in which others may change the catalogue.
const LISTED_AT_ONCE: usize = 10_000;

/// A file or folder inside a folder.
#[derive(Debug, Clone)]
pub enum FolderEntry {
    /// A file with known CRC-32.
    File(Arc<IndexedFile>),
    /// A folder with known manifest.
    Folder(Arc<IndexedFolder>),
}

impl FolderEntry {
    /// Returns the published path.
    pub fn path(&self) -> &SafePath {
        match self {
            Self::File(file) => &file.path,
            Self::Folder(folder) => &folder.path,
        }
    }

    /// Returns the entry of the manifest.
    pub fn to_manifest(&self) -> EntryRef<'_> {
        match self {
            Self::File(file) => EntryRef {
                name: file.path.file_name(),
                kind: EntryKind::File,
                size: file.identity.size,
                files: 1,
                crc32: file.crc32.unwrap_or_default(),
                hash: file.hash,
            },
            Self::Folder(folder) => EntryRef {
                name: folder.path.file_name(),
                kind: EntryKind::Folder,
                size: folder.size,
                files: folder.files,
                crc32: 0,
                hash: folder.hash,
            },
        }
    }
}

/// The entries of a folder, or the reason why there is no manifest of it.
#[derive(Debug, Clone)]
pub enum FolderLevel {
    /// The entries in the order of the manifest.
    Entries(Vec<FolderEntry>),
    /// An entry is not known yet.
    NotReady,
    /// The folder is being downloaded.
    Unfinished,
    /// The folder has more entries than a folder may have.
    TooLarge,
    /// It contains a folder that exceeds the limits.
    AboveTooLarge,
}

impl Catalogue {
    /// Returns the entries of a folder. Without a lock on the catalogue for the whole time: if the
    /// folder changes meanwhile, it is marked as changed, and the result is a mixture.
    pub fn folder_level(&self, folder: &SafePath) -> FolderLevel {
        if self.indexes.read().folders.is_unfinished(folder.as_str()) {
            return FolderLevel::Unfinished;
        }
        let mut entries = Vec::new();
        let mut obstacle = None;
        let mut after = None;
        loop {
            let indexes = self.indexes.read();
            let folders = &indexes.folders;
            let last = children(
                &indexes.by_path,
                folder.as_str(),
                after.as_ref(),
                LISTED_AT_ONCE,
                |path, file| match file.crc32 {
                    _ if folders.is_left_out(path) => {}
                    Some(_) => entries.push(FolderEntry::File(file.clone())),
                    None => obstacle = Some(FolderLevel::NotReady),
                },
            );
            after = last.cloned();
            if entries.len() > LEVEL_MAX {
                return FolderLevel::TooLarge;
            }
            if after.is_none() {
                break;
            }
        }
        loop {
            let indexes = self.indexes.read();
            let last = children(
                &indexes.folders.nodes,
                folder.as_str(),
                after.as_ref(),
                LISTED_AT_ONCE,
                |_, node| match &node.state {
                    FolderState::Known(folder) => entries.push(FolderEntry::Folder(folder.clone())),
                    FolderState::Unfinished => {}
                    FolderState::New => obstacle = Some(FolderLevel::NotReady),
                    FolderState::TooLarge | FolderState::AboveTooLarge => {
                        obstacle.get_or_insert(FolderLevel::AboveTooLarge);
                    }
                },
            );
            after = last.cloned();
            if entries.len() > LEVEL_MAX {
                return FolderLevel::TooLarge;
            }
            if after.is_none() {
                break;
            }
        }
        // Files and folders are sorted already: this merges two runs.
        entries.sort_by(|a, b| a.path().file_name().cmp(b.path().file_name()));
        obstacle.unwrap_or(FolderLevel::Entries(entries))
    }
}

/// Computes the hash and the totals of the manifest with these entries.
///
/// # Errors
/// Returns `too_large` beyond the limits of a folder, and `invalid_argument` if two entries have the
/// same name.
pub fn summary(entries: &[FolderEntry]) -> Result<ManifestSummary, Problem> {
    let mut hasher = ManifestHasher::new(entries.len())?;
    for entry in entries {
        hasher.push(entry.to_manifest())?;
    }
    hasher.finish()
}
