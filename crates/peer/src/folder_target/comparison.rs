//! The comparison of a folder with what is in its target: what is there already, what is missing, and
//! what differs.

use std::io;

use convite_core::folder::{FolderFile, FolderItem, LocalNames};
use convite_core::{ErrorCode, FolderTree, Problem, SafePath, display};
use rayon::prelude::*;
use tokio_util::sync::CancellationToken;

use super::folder_cursor::FolderCursor;
use super::hashing::hash_contents;
use super::record::{Record, RecordedFile};
use crate::fs::folder_handle::{FolderHandle, FoundEntry};
use crate::fs::identity::FileIdentity;

/// The number of paths in an error message.
const LISTED_MAX: usize = 10;

/// What happens to a file of the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAction {
    /// It is not wanted.
    Exclude,
    /// It is in the target already.
    Keep,
    /// There is no file at its path.
    Create,
    /// It replaces a file that an earlier download left there, unchanged since.
    Replace,
    /// It takes the name of another file, which is kept under a new name.
    KeepOther,
}

/// Paths for an error message: the first few, and the number of all.
#[derive(Debug, Default)]
struct PathList {
    first: Vec<SafePath>,
    count: usize,
}

impl PathList {
    fn add(&mut self, path: &SafePath) {
        self.count += 1;
        if self.first.len() < LISTED_MAX {
            self.first.push(path.clone());
        }
    }

    fn text(&self) -> String {
        let mut listed: Vec<String> = self
            .first
            .iter()
            .map(|path| format!("'{}'", display::escape(path.as_str())))
            .collect();
        if self.count > listed.len() {
            listed.push(format!("and {} more", self.count - listed.len()));
        }
        listed.join(", ")
    }
}

/// The result of a comparison.
#[derive(Debug)]
pub(super) struct Comparison {
    /// What happens to each file, by its index.
    pub(super) actions: Vec<FileAction>,
    /// Files that were hashed and are those of the folder: their index and identity.
    pub(super) adopted: Vec<(u32, FileIdentity)>,
    /// Paths at which something is that is neither a file nor, where one belongs, a folder.
    blocked: PathList,
    differing: PathList,
}

/// A comparison of a folder with its target.
pub(super) struct Comparer<'a> {
    pub(super) tree: &'a FolderTree,
    pub(super) names: &'a LocalNames,
    /// Whether each file is wanted, by its index.
    pub(super) wanted: &'a [bool],
    /// Whether empty folders are wanted.
    pub(super) with_empty_folders: bool,
    pub(super) record: &'a Record,
    pub(super) stop: &'a CancellationToken,
}

/// A file in the target whose contents are not known.
struct UnknownFile {
    file: FolderFile,
    identity: FileIdentity,
    recorded: Option<RecordedFile>,
}

impl Comparer<'_> {
    /// Compares the folder with the target at `root`; `None` if the target does not exist.
    ///
    /// # Errors
    /// Returns `Interrupted` if it was cancelled. Fails otherwise as the file system does.
    pub(super) fn compare(&self, root: Option<&FolderHandle>) -> io::Result<Comparison> {
        let absent = |wanted: &bool| match wanted {
            true => FileAction::Create,
            false => FileAction::Exclude,
        };
        let mut found = Comparison {
            actions: self.wanted.iter().map(absent).collect(),
            adopted: Vec::new(),
            blocked: PathList::default(),
            differing: PathList::default(),
        };
        let Some(root) = root else {
            return Ok(found);
        };
        let unknown = self.look(root, &mut found)?;
        self.hash(root, &unknown, &mut found)?;
        if found.differing.count > 0 {
            found.differing = PathList::default();
            for file in self.tree.local_files(self.names, 0..self.tree.file_count()) {
                if matches!(
                    found.actions[file.index],
                    FileAction::Replace | FileAction::KeepOther
                ) {
                    found.differing.add(&file.path);
                }
            }
        }
        Ok(found)
    }

    /// Looks at all paths. Returns the files that must be hashed.
    fn look(&self, root: &FolderHandle, found: &mut Comparison) -> io::Result<Vec<UnknownFile>> {
        let mut folders = FolderCursor::new(root);
        let mut unknown = Vec::new();
        // Nothing is below this path: it does not exist, or is not a folder.
        let mut nothing_below: Option<String> = None;
        for item in self.tree.local_walk(self.names) {
            let path = item.path();
            if let Some(absent) = &nothing_below {
                let below = path.as_str().strip_prefix(absent.as_str());
                if below.is_some_and(|below| below.starts_with('/')) {
                    continue;
                }
                nothing_below = None;
            }
            let files = match &item {
                FolderItem::File(file) => file.index..file.index + 1,
                FolderItem::Folder { files, .. } => files.clone(),
            };
            let is_wanted = match files.is_empty() {
                true => self.with_empty_folders,
                false => self.wanted[files].contains(&true),
            };
            if !is_wanted {
                continue;
            }
            if self.stop.is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let there = folders.at(path.parent().unwrap_or(""))?;
            let there = there.look(path.file_name())?;
            match (item, there) {
                (FolderItem::Folder { path, .. }, None) => {
                    nothing_below = Some(path.as_str().to_owned());
                }
                (FolderItem::Folder { .. }, Some(FoundEntry::Folder)) => {}
                (FolderItem::Folder { path, .. }, Some(_)) => {
                    found.blocked.add(&path);
                    nothing_below = Some(path.as_str().to_owned());
                }
                (FolderItem::File(_), None) => {}
                (FolderItem::File(file), Some(FoundEntry::File(identity))) => {
                    unknown.extend(self.look_at_file(file, identity, found));
                }
                (FolderItem::File(file), Some(_)) => found.blocked.add(&file.path),
            }
        }
        Ok(unknown)
    }

    fn look_at_file(
        &self,
        file: FolderFile,
        identity: FileIdentity,
        found: &mut Comparison,
    ) -> Option<UnknownFile> {
        let recorded = self.record.get(file.path.as_str()).copied();
        match recorded {
            Some(known) if known.is_unchanged(&identity) => {
                if known.hash == file.hash {
                    found.actions[file.index] = FileAction::Keep;
                } else {
                    found.actions[file.index] = FileAction::Replace;
                    found.differing.count += 1;
                }
                None
            }
            recorded => Some(UnknownFile {
                file,
                identity,
                recorded,
            }),
        }
    }

    /// Hashes files in parallel, and decides what happens to each.
    fn hash(
        &self,
        root: &FolderHandle,
        unknown: &[UnknownFile],
        found: &mut Comparison,
    ) -> io::Result<()> {
        let decided: Vec<FileAction> = unknown
            .par_iter()
            .with_max_len(16)
            .map(|unknown| self.decide(root, unknown))
            .collect::<io::Result<_>>()?;
        let now = std::time::SystemTime::now();
        for (unknown, action) in unknown.iter().zip(decided) {
            found.actions[unknown.file.index] = action;
            match action {
                FileAction::Keep if !unknown.identity.changed_too_recently(now) => {
                    // Fits: the limits of a folder bound the number of files.
                    let index = unknown.file.index as u32;
                    found.adopted.push((index, unknown.identity));
                }
                FileAction::Keep => {}
                _ => found.differing.count += 1,
            }
        }
        Ok(())
    }

    fn decide(&self, root: &FolderHandle, unknown: &UnknownFile) -> io::Result<FileAction> {
        let UnknownFile {
            file,
            identity,
            recorded,
        } = unknown;
        if identity.size != file.size && recorded.is_none() {
            return Ok(FileAction::KeepOther);
        }
        let folder = root.open_below(file.path.parent().unwrap_or(""))?;
        let opened = folder.open_file(file.path.file_name());
        let hashed = opened.and_then(|open| hash_contents(&open, identity.size, self.stop));
        let hash = match hashed {
            Ok(hash) => hash,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            // A file that cannot be read is never replaced.
            Err(_) => return Ok(FileAction::KeepOther),
        };
        Ok(if hash == file.hash && identity.size == file.size {
            FileAction::Keep
        } else if recorded.is_some_and(|known| known.hash == hash) {
            FileAction::Replace
        } else {
            FileAction::KeepOther
        })
    }
}

impl Comparison {
    /// Checks that the folder can be placed.
    ///
    /// # Errors
    /// Returns `file_exists` with the paths that are in the way, or, unless `update` is set, with
    /// those that differ.
    pub(super) fn check(&self, update: bool) -> Result<(), Problem> {
        if self.blocked.count > 0 {
            let paths = self.blocked.text();
            return Err(Problem::new(
                ErrorCode::FileExists,
                format!("the target has a folder, a link or a file of another kind at: {paths}"),
            )
            .hint("remove or rename it, or choose another target with -o PATH"));
        }
        if self.differing.count > 0 && !update {
            let (count, paths) = (self.differing.count, self.differing.text());
            let files = match count {
                1 => "1 file in the target differs",
                _ => &format!("{count} files in the target differ"),
            };
            return Err(Problem::new(
                ErrorCode::FileExists,
                format!("{files}: {paths}"),
            )
            .hint("replace them with --update, which keeps a copy of each file that was changed here, or choose another target with -o PATH"));
        }
        Ok(())
    }
}
