//! Opening a target: names, comparison, marker, folders, and what an earlier run left.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use convite_core::display::format_bytes;
use convite_core::folder::{FolderItem, LARGE_FILE, LocalNames, NameRules};
use convite_core::{ContentHash, ErrorCode, Problem, SafePath};
use convite_swarm::PieceSet;
use parking_lot::Mutex;

use super::comparison::{Comparer, Comparison, FileAction};
use super::folder_cursor::FolderCursor;
use super::large_files::LargeFiles;
use super::marker::UnfinishedFolder;
use super::naming::{local_names, probe_rules};
use super::options::TargetOpening;
use super::received::ReceivedFolder;
use super::record::{Record, RecordedFile};
use super::selection::Selection;
use super::{ArrivalCounts, FileState, FolderTarget, PARTS};
use crate::download::target::disk_problem;
use crate::fs::fallbacks::is_unsupported;
use crate::fs::folder_handle::FolderHandle;
use crate::fs::free_space::Space;
use crate::fs::names::UNFINISHED_MARKER;

/// What is known of a target before anything is written to it.
pub(super) struct Judged {
    pub(super) names: LocalNames,
    pub(super) comparison: Comparison,
}

impl Judged {
    /// Judges the names of a folder by `rules`, and compares it with `root`, if the target exists.
    ///
    /// # Errors
    /// Returns `invalid_argument` if names cannot be stored or no file is wanted, and `file_exists` if
    /// something in the target is in the way or differs. Fails otherwise as the file system does.
    pub(super) fn new(
        opening: &TargetOpening,
        rules: &NameRules,
        root: Option<&FolderHandle>,
        record: &Record,
    ) -> Result<Self, Problem> {
        let (tree, options) = (&opening.folder.tree, &opening.options);
        let selection = &options.selection;
        let wanted = wanted_files(&opening.folder, selection)?;
        let is_wanted = |path: &SafePath| match tree.find(path) {
            Some(FolderItem::File(file)) => wanted[file.index],
            Some(FolderItem::Folder { files, .. }) => {
                selection.is_everything() || wanted[files].contains(&true)
            }
            None => false,
        };
        let names = local_names(tree, rules, options.rename_collisions, is_wanted)?;
        let comparer = Comparer {
            tree,
            names: &names,
            wanted: &wanted,
            with_empty_folders: selection.is_everything(),
            record,
            stop: &opening.stop,
        };
        let comparison = comparer
            .compare(root)
            .map_err(|error| disk_problem("read", &opening.path, &error))?;
        comparison.check(options.update)?;
        Ok(Self { names, comparison })
    }
}

fn wanted_files(folder: &ReceivedFolder, selection: &Selection) -> Result<Vec<bool>, Problem> {
    let count = folder.tree.file_count();
    if selection.is_everything() {
        return Ok(vec![true; count]);
    }
    let files = folder.tree.files(0..count);
    let wanted: Vec<bool> = files.map(|file| selection.contains(&file.path)).collect();
    if wanted.contains(&true) {
        Ok(wanted)
    } else {
        Err(
            Problem::invalid("no file of the folder matches --include and --exclude")
                .hint("a pattern without / applies to names at any depth, as in .gitignore"),
        )
    }
}

/// Checks the marker of an earlier run in the target at `path`. Returns whether there is one.
///
/// # Errors
/// Returns `file_exists` if it is that of another folder, unless `update` is set.
pub(super) fn check_marker(path: &Path, hash: ContentHash, update: bool) -> Result<bool, Problem> {
    let Some(marker) = UnfinishedFolder::read(path) else {
        return Ok(false);
    };
    let is_other = |marker: &UnfinishedFolder| marker.hash != hash;
    if update || !marker.as_ref().is_none_or(is_other) {
        return Ok(true);
    }
    let which = marker.map_or_else(
        || "another folder".to_owned(),
        |marker| format!("another folder ({})", marker.hash),
    );
    Err(Problem::new(
        ErrorCode::FileExists,
        format!(
            "{} holds an unfinished download of {which}",
            path.display()
        ),
    )
    .hint("complete that download, replace what differs with --update, or choose another target with -o PATH"))
}

impl FolderTarget {
    /// Opens a target, which is created if it does not exist. Blocks.
    ///
    /// # Errors
    /// Returns `invalid_argument` if names cannot be stored or no file is wanted, `file_exists` if
    /// something in the target is in the way or differs, `in_use` if another process fills the target,
    /// and `no_space` if the disk has too little free space. Fails otherwise as the file system does.
    pub fn open(opening: TargetOpening) -> Result<Self, Problem> {
        let failed = |error: io::Error| disk_problem("write to", &opening.path, &error);
        let is_new = fs::symlink_metadata(&opening.path).is_err();
        fs::create_dir_all(&opening.path).map_err(failed)?;
        let path = dunce::canonicalize(&opening.path).map_err(failed)?;
        let (hash, update) = (opening.folder.tree.hash(), opening.options.update);
        let is_resumed = check_marker(&path, hash, update)?;
        let root = FolderHandle::open(&path).map_err(failed)?;
        root.create_folder(PARTS).map_err(failed)?;
        let parts = root.open_below(PARTS).map_err(failed)?;
        let lock = lock(&path)?;
        let opened = Judging {
            opening: &opening,
            path: &path,
            root: &root,
            parts: &parts,
        }
        .judge();
        let (judged, record) = match opened {
            Ok(opened) => opened,
            Err(problem) => {
                if !is_resumed {
                    drop(lock);
                    abandon(&path, &root, is_new);
                }
                return Err(problem);
            }
        };
        let mut target = Self::new(&opening, (path, root, parts, lock), judged, record);
        target.begin(&opening).map_err(failed)?;
        target.check_space()?;
        Ok(target)
    }

    fn new(
        opening: &TargetOpening,
        (path, root, parts, lock): (PathBuf, FolderHandle, FolderHandle, File),
        judged: Judged,
        record: Record,
    ) -> Self {
        let Judged {
            names,
            comparison: Comparison { actions, .. },
        } = judged;
        let state = |action: &FileAction| match action {
            FileAction::Exclude | FileAction::Keep => FileState::Done,
            FileAction::Create | FileAction::Replace | FileAction::KeepOther => FileState::Missing,
        };
        let states = actions
            .iter()
            .map(|action| AtomicU8::new(state(action) as u8));
        Self {
            states: states.collect(),
            verified: PieceSet::empty(opening.folder.pieces.piece_count()),
            copies: copies(&opening.folder, &actions),
            counts: counts(&opening.folder, &actions),
            large: LargeFiles::new(&path.join(PARTS)),
            path,
            root,
            parts,
            lock: Mutex::new(Some(lock)),
            folder: opening.folder.clone(),
            names,
            options: opening.options.clone(),
            actions,
            record: Mutex::new(record),
            written: Mutex::default(),
            placing: Mutex::default(),
            kept_others: Mutex::default(),
        }
    }

    /// Writes the marker, creates all folders, and finds what is here already.
    fn begin(&mut self, opening: &TargetOpening) -> io::Result<()> {
        let marker = UnfinishedFolder {
            hash: self.folder.tree.hash(),
            place: opening.place.clone(),
        };
        marker.write(&self.path, &self.path.join(PARTS))?;
        self.create_folders()?;
        self.resume_small(&opening.stop)?;
        self.copy_from_target(&opening.stop)?;
        self.resume_large(&opening.stop)?;
        self.verified = self.pieces_here();
        self.counts.bytes_before = self.bytes_done();
        Ok(())
    }

    fn create_folders(&self) -> io::Result<()> {
        let mut folders = FolderCursor::new(&self.root);
        let everything = self.options.selection.is_everything();
        for item in self.folder.tree.local_walk(&self.names) {
            if let FolderItem::Folder { path, files, .. } = item
                && (everything
                    || self.actions[files]
                        .iter()
                        .any(|a| *a != FileAction::Exclude))
            {
                let parent = folders.at(path.parent().unwrap_or(""))?;
                parent.create_folder(path.file_name())?;
            }
        }
        Ok(())
    }

    fn check_space(&self) -> Result<(), Problem> {
        let needed = self.counts.bytes_total.saturating_sub(self.bytes_done());
        let free = match Space::of(&self.path) {
            Some(space) if space.free < needed => space.free,
            _ => return Ok(()),
        };
        Err(Problem::new(
            ErrorCode::NoSpace,
            format!(
                "{} has too little free space: {} are needed, {} are free",
                self.path.display(),
                format_bytes(needed),
                format_bytes(free)
            ),
        )
        .hint("free disk space, or choose another target with -o PATH"))
    }
}

/// A target whose names and files are judged.
struct Judging<'a> {
    opening: &'a TargetOpening,
    path: &'a Path,
    root: &'a FolderHandle,
    parts: &'a FolderHandle,
}

impl Judging<'_> {
    fn judge(&self) -> Result<(Judged, Record), Problem> {
        let failed = |error: io::Error| disk_problem("write to", self.path, &error);
        let home = &self.opening.home;
        let record_failed = |error: io::Error| disk_problem("use", home.root(), &error);
        let rules = probe_rules(self.parts, self.path).map_err(failed)?;
        let mut record = Record::read(home, self.path).map_err(record_failed)?;
        let judged = Judged::new(self.opening, &rules, Some(self.root), &record)?;
        record.open_log().map_err(record_failed)?;
        for (index, identity) in &judged.comparison.adopted {
            let index = *index as usize;
            let tree = &self.opening.folder.tree;
            for file in tree.local_files(&judged.names, index..index + 1) {
                let path = file.path.as_str();
                // A file that an earlier download placed stays one.
                let was_placed = record
                    .get(path)
                    .is_some_and(|known| known.was_placed && known.hash == file.hash);
                let found = RecordedFile::new(file.hash, *identity, was_placed);
                record.add(path, &found);
            }
        }
        record.flush();
        Ok((judged, record))
    }
}

/// Locks the parts of the target at `path`.
///
/// # Errors
/// Returns `in_use` if another process has locked them.
fn lock(path: &Path) -> Result<File, Problem> {
    let place = path.join(PARTS).join("lock");
    let failed = |error: io::Error| disk_problem("lock", path, &error);
    let file = File::create(place).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Problem::new(
            ErrorCode::InUse,
            format!("another process is downloading into {}", path.display()),
        )
        .hint("wait until it has finished, or choose another target with -o PATH")),
        Err(TryLockError::Error(error)) if is_unsupported(&error) => Ok(file),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Removes what was created in a target that was refused.
fn abandon(path: &Path, root: &FolderHandle, is_new: bool) {
    // The folder is not removed if it is not empty.
    let _ = fs::remove_file(path.join(PARTS).join("lock"));
    let _ = root.remove_folder(PARTS);
    if is_new {
        let _ = fs::remove_dir(path);
    }
}

impl FolderTarget {
    /// Removes everything among the parts, and the marker.
    ///
    /// # Errors
    /// Fails as the file system does.
    pub(super) fn remove_parts(&self) -> io::Result<()> {
        for name in self.parts.names()? {
            if name != "lock" {
                self.parts.remove_file(&name)?;
            }
        }
        drop(self.lock.lock().take());
        self.parts.remove_file("lock")?;
        if let Err(error) = self.root.remove_folder(PARTS) {
            // On Windows, an open folder cannot be removed.
            tracing::debug!(%error, "cannot remove the folder of parts");
        }
        self.root.remove_file(UNFINISHED_MARKER)?;
        self.root.sync()
    }
}

/// Returns the missing large files that have the contents of an earlier one.
fn copies(folder: &Arc<ReceivedFolder>, actions: &[FileAction]) -> HashMap<ContentHash, Vec<u32>> {
    let mut copies: HashMap<ContentHash, Vec<u32>> = HashMap::new();
    let mut first = std::collections::HashSet::new();
    for file in folder.tree.files(0..folder.tree.file_count()) {
        let is_here = matches!(actions[file.index], FileAction::Keep | FileAction::Exclude);
        if file.size >= LARGE_FILE && !is_here && !first.insert(file.hash) {
            copies.entry(file.hash).or_default().push(file.index as u32);
        }
    }
    copies
}

fn counts(folder: &Arc<ReceivedFolder>, actions: &[FileAction]) -> ArrivalCounts {
    let mut counts = ArrivalCounts::default();
    let (mut files_done, mut bytes_done) = (0, 0);
    for file in folder.tree.files(0..folder.tree.file_count()) {
        match actions[file.index] {
            FileAction::Exclude => continue,
            FileAction::Keep => {
                files_done += 1;
                bytes_done += file.size;
            }
            _ => {}
        }
        counts.files_total += 1;
        counts.bytes_total += file.size;
    }
    counts.files_done = files_done.into();
    counts.bytes_done = bytes_done.into();
    counts
}
