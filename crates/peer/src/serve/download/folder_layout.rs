//! The layout of a shared folder: where each file is in the folder bytes, and the entries of each
//! manifest.
//!
//! It is built from the catalogue when a folder is first requested, checked manifest by manifest
//! against the hashes, and kept for later requests ([`FolderLayouts`]). It takes about 32 bytes for
//! each file; the files themselves are those of the catalogue.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use convite_core::{ContentHash, ErrorCode, FolderPieces, Problem};
use convite_net::task::blocking;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use crate::sharing::catalogue::{
    Catalogue, FolderEntry, FolderLevel, IndexedFile, IndexedFolder, summary,
};

/// The layouts that are kept: at most this many...
const LAYOUTS_MAX: usize = 64;
/// ...and of folders with at most this many files in all, except for the last one.
const FILES_MAX: u64 = 2_000_000;

/// The layout of a folder.
#[derive(Debug)]
pub(crate) struct FolderLayout {
    /// The entries of all folders, one level after the other.
    entries: Vec<FolderEntry>,
    /// The folder itself and all folders below it, depth first.
    levels: Vec<Level>,
    /// The indexes of files in `entries`, in canonical order.
    files: Vec<u32>,
    /// The end of each file in the folder bytes.
    ends: Vec<u64>,
    pieces: FolderPieces,
}

/// One folder of a layout.
#[derive(Debug)]
pub(crate) struct Level {
    /// The folder.
    pub(crate) folder: Arc<IndexedFolder>,
    entries: Range<u32>,
    /// Whether no earlier folder has the same hash.
    pub(crate) is_first: bool,
}

impl FolderLayout {
    /// Builds the layout of `folder`. Blocks.
    ///
    /// # Errors
    /// Returns `content_changed` if the entries in the catalogue are no longer those of the folder.
    fn build(catalogue: &Catalogue, folder: &Arc<IndexedFolder>) -> Result<Self, Problem> {
        let mut layout = Self {
            entries: Vec::new(),
            levels: Vec::new(),
            files: Vec::with_capacity(usize::try_from(folder.files).unwrap_or_default()),
            ends: Vec::with_capacity(usize::try_from(folder.files).unwrap_or_default()),
            pieces: FolderPieces::of_sizes(0, std::iter::empty()),
        };
        let mut known = HashSet::new();
        // The levels on the way to the current one, each with the rest of its entries.
        let mut open = vec![layout.add_level(catalogue, folder.clone(), &mut known)?];
        let mut end = 0;
        while let Some(rest) = open.last_mut() {
            let Some(index) = rest.next() else {
                open.pop();
                continue;
            };
            match layout.entries[index as usize].clone() {
                FolderEntry::File(file) => {
                    end += file.identity.size;
                    layout.files.push(index);
                    layout.ends.push(end);
                }
                FolderEntry::Folder(below) => {
                    open.push(layout.add_level(catalogue, below, &mut known)?);
                }
            }
        }
        layout.entries.shrink_to_fit();
        layout.pieces = FolderPieces::of_sizes(end, layout.file_sizes());
        Ok(layout)
    }

    /// Adds a folder and returns the indexes of its entries.
    fn add_level(
        &mut self,
        catalogue: &Catalogue,
        folder: Arc<IndexedFolder>,
        known: &mut HashSet<ContentHash>,
    ) -> Result<Range<u32>, Problem> {
        let FolderLevel::Entries(entries) = catalogue.folder_level(&folder.path) else {
            return Err(folder_changed());
        };
        let found = summary(&entries).map_err(|_| folder_changed())?;
        if found.hash != folder.hash {
            return Err(folder_changed());
        }
        // Fits: the limits of a folder bound the numbers of files and folders.
        let first = self.entries.len() as u32;
        self.entries.extend(entries);
        let entries = first..self.entries.len() as u32;
        self.levels.push(Level {
            is_first: known.insert(folder.hash),
            folder,
            entries: entries.clone(),
        });
        Ok(entries)
    }

    fn file_sizes(&self) -> impl Iterator<Item = u64> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        self.ends.iter().zip(starts).map(|(end, start)| end - start)
    }

    /// Returns the folders, depth first.
    pub(crate) fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Returns the entries of a folder in the order of its manifest.
    pub(crate) fn entries_of(&self, level: &Level) -> &[FolderEntry] {
        &self.entries[level.entries.start as usize..level.entries.end as usize]
    }

    /// Returns the pieces of the folder.
    pub(crate) fn pieces(&self) -> &FolderPieces {
        &self.pieces
    }

    /// Returns the index of the file with the byte at `offset` of the folder bytes; the number of
    /// files at the end.
    pub(crate) fn file_at(&self, offset: u64) -> usize {
        self.ends.partition_point(|end| *end <= offset)
    }

    /// Returns the file with this index in canonical order, and its range in the folder bytes.
    pub(crate) fn file(&self, index: usize) -> Option<(&Arc<IndexedFile>, Range<u64>)> {
        let entry = self.entries.get(*self.files.get(index)? as usize)?;
        let FolderEntry::File(file) = entry else {
            return None;
        };
        let start = match index.checked_sub(1) {
            Some(before) => self.ends[before],
            None => 0,
        };
        Some((file, start..self.ends[index]))
    }
}

/// Returns the error for a folder that is not what it was.
pub(crate) fn folder_changed() -> Problem {
    Problem::new(
        ErrorCode::ContentChanged,
        "the folder changed since it was listed",
    )
    .hint("download it from another source, or get its new version in a moment")
}

/// The layouts of folders that were requested recently.
#[derive(Debug, Default)]
pub struct FolderLayouts {
    /// The last one is the one requested last.
    kept: Mutex<Vec<KeptLayout>>,
}

#[derive(Debug, Clone)]
struct KeptLayout {
    folder: Arc<IndexedFolder>,
    layout: Arc<OnceCell<Arc<FolderLayout>>>,
}

impl FolderLayouts {
    /// Returns the layout of `folder`, which is in the catalogue.
    ///
    /// # Errors
    /// Returns `content_changed` if the folder is no longer what it was.
    pub(crate) async fn of(
        &self,
        catalogue: &Arc<Catalogue>,
        folder: &Arc<IndexedFolder>,
    ) -> Result<Arc<FolderLayout>, Problem> {
        let cell = self.cell_of(folder);
        let build = || {
            let (catalogue, folder) = (catalogue.clone(), folder.clone());
            blocking(move || FolderLayout::build(&catalogue, &folder).map(Arc::new))
        };
        cell.get_or_try_init(build).await.cloned()
    }

    /// Forgets the layout of a folder with a file that changed.
    pub(crate) fn forget(&self, folder: &IndexedFolder) {
        self.kept.lock().retain(|kept| *kept.folder != *folder);
    }

    fn cell_of(&self, folder: &Arc<IndexedFolder>) -> Arc<OnceCell<Arc<FolderLayout>>> {
        let mut all = self.kept.lock();
        let place = all.iter().position(|kept| kept.folder == *folder);
        let kept = match place {
            Some(place) => all.remove(place),
            None => KeptLayout {
                folder: folder.clone(),
                layout: Arc::default(),
            },
        };
        all.push(kept.clone());
        while all.len() > 1
            && (all.len() > LAYOUTS_MAX
                || all.iter().map(|kept| kept.folder.files).sum::<u64>() > FILES_MAX)
        {
            all.remove(0);
        }
        kept.layout
    }
}
