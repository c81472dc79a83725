//! A folder that arrives on disk: its target, from the first comparison to the last file.
//!
//! ```text
//! TARGET/.convite-unfinished            the marker: which folder, from where
//! TARGET/.convite-parts/lock            locked by the process that fills the target
//! TARGET/.convite-parts/HASH-INDEX      a small file before it has its name
//! TARGET/.convite-parts/HASH.part       a large file before it has its name, see `large_files`
//! HOME/folders/KEY                      the files that downloads placed, see `record`
//! ```
//!
//! [`FolderTarget::open`] judges all names, compares the folder with what is in the target, and resumes
//! what an earlier run left. Then verified pieces are written ([`FolderTarget::write_piece`]), complete
//! files get their names in batches ([`FolderTarget::place_written`]), and
//! [`FolderTarget::finish`] removes what the folder no longer has and the marker. Order of durability:
//! contents and times, sync, rename, sync, marker. So a final name never holds partial data, and an
//! older version of a file stays until the newer one is synced.
//!
//! A kill at any time loses nothing: files that have their names are found by their record or hash,
//! and files among the parts are hashed again.

mod comparison;
mod finishing;
mod folder_cursor;
mod hashing;
mod large_files;
mod local_copies;
mod marker;
mod naming;
mod opening;
mod options;
mod placing;
mod plan;
mod received;
pub mod record;
mod resuming;
mod selection;
mod writing;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use convite_core::folder::{FolderFile, LARGE_FILE, LocalNames};
use convite_core::{ContentHash, SafePath};
use convite_swarm::PieceSet;
use parking_lot::Mutex;

use crate::fs::folder_handle::FolderHandle;
use large_files::LargeFiles;
use record::Record;

pub use comparison::FileAction;
pub use marker::UnfinishedFolder;
pub use options::{ArrivalOptions, TargetOpening};
pub use plan::{ArrivalPlan, PlannedAction, PlannedChange, plan};
pub use received::{FileAttributes, ReceivedFolder};
pub use selection::{PathPattern, Selection};

pub use placing::Batch;

/// The folder in a target for files that have no name yet.
const PARTS: &str = ".convite-parts";

/// The state of a file during a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum FileState {
    /// It is not here.
    Missing,
    /// It is being written.
    Claimed,
    /// It is complete, or not wanted.
    Done,
}

/// The target of a folder, locked by this process.
pub struct FolderTarget {
    /// The absolute path.
    path: PathBuf,
    root: FolderHandle,
    parts: FolderHandle,
    /// Locked until the download has ended.
    lock: Mutex<Option<File>>,
    folder: Arc<ReceivedFolder>,
    names: LocalNames,
    options: ArrivalOptions,
    /// What happens to each file, by its index.
    actions: Vec<FileAction>,
    /// The [`FileState`] of each file, by its index.
    states: Vec<AtomicU8>,
    /// The pieces that need not be received.
    verified: PieceSet,
    /// Large files that have the contents of another one, by the content hash: they are copied.
    copies: HashMap<ContentHash, Vec<u32>>,
    record: Mutex<Record>,
    large: LargeFiles,
    /// Complete files without their names.
    written: Mutex<Vec<u32>>,
    /// Held while a batch is placed.
    placing: Mutex<()>,
    /// Files that were kept under a new name.
    kept_others: Mutex<Vec<SafePath>>,
    counts: ArrivalCounts,
}

/// The files and bytes of a target.
#[derive(Debug, Default)]
struct ArrivalCounts {
    files_done: AtomicU64,
    bytes_done: AtomicU64,
    placed: AtomicU64,
    files_total: u64,
    bytes_total: u64,
    /// Bytes that were here when the target was opened.
    bytes_before: u64,
}

impl FolderTarget {
    /// Returns the absolute path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the folder that arrives.
    pub fn folder(&self) -> &Arc<ReceivedFolder> {
        &self.folder
    }

    /// Returns the pieces that need not be received: all their files are here, or are not wanted.
    pub fn verified(&self) -> &PieceSet {
        &self.verified
    }

    /// Returns the number of wanted files that are here.
    pub fn files_done(&self) -> u64 {
        self.counts.files_done.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes of wanted files that are here.
    pub fn bytes_done(&self) -> u64 {
        self.counts.bytes_done.load(Ordering::Relaxed)
    }

    /// Returns the number of wanted files and their size in bytes.
    pub fn totals(&self) -> (u64, u64) {
        (self.counts.files_total, self.counts.bytes_total)
    }

    /// Returns the number of bytes that were here when the target was opened.
    pub fn bytes_before(&self) -> u64 {
        self.counts.bytes_before
    }

    /// Returns the number of files that were given their names.
    pub fn placed(&self) -> u64 {
        self.counts.placed.load(Ordering::Relaxed)
    }

    /// Returns the paths inside the target under which differing files were kept.
    pub fn kept_others(&self) -> Vec<SafePath> {
        self.kept_others.lock().clone()
    }

    /// Returns whether complete files wait for their names.
    pub fn has_written(&self) -> bool {
        !self.written.lock().is_empty()
    }

    fn count_placed(&self) {
        self.counts.placed.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the file with this index, with its path in the target.
    fn file(&self, index: u32) -> io::Result<FolderFile> {
        let index = index as usize;
        let mut found = self
            .folder
            .tree
            .local_files(&self.names, index..index.saturating_add(1));
        found
            .next()
            .ok_or_else(|| io::Error::other("a folder has no such file"))
    }

    fn is_large(&self, file: &FolderFile) -> bool {
        file.size >= LARGE_FILE && !self.is_copy(file)
    }

    /// Returns whether a large file is copied from another one.
    fn is_copy(&self, file: &FolderFile) -> bool {
        let copies = self.copies.get(&file.hash);
        copies.is_some_and(|copies| copies.binary_search(&(file.index as u32)).is_ok())
    }

    /// Returns the name of a complete file among the parts.
    fn temporary_name(&self, file: &FolderFile) -> String {
        if self.is_large(file) {
            large_files::part_name(file)
        } else {
            format!("{}-{}", file.hash, file.index)
        }
    }

    /// Makes this call the one that writes a file. Returns false if the file is here, or is written by
    /// another call.
    fn claim(&self, index: usize) -> bool {
        let (from, to) = (FileState::Missing as u8, FileState::Claimed as u8);
        self.states[index]
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn release(&self, index: usize) {
        self.states[index].store(FileState::Missing as u8, Ordering::Release);
    }

    fn is_done(&self, index: usize) -> bool {
        self.states[index].load(Ordering::Acquire) == FileState::Done as u8
    }

    /// Notes that a file is complete among the parts. `new_bytes` of it were not counted before.
    fn add_written(&self, file: &FolderFile, new_bytes: u64) {
        self.states[file.index].store(FileState::Done as u8, Ordering::Release);
        self.written.lock().push(file.index as u32);
        self.counts.files_done.fetch_add(1, Ordering::Relaxed);
        self.counts
            .bytes_done
            .fetch_add(new_bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
