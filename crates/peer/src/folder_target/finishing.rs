//! The end of a folder's arrival: files that the folder no longer has are removed, then the marker.

use std::collections::HashSet;
use std::io;

use convite_core::folder::{FolderItem, LocalNames};
use convite_core::{FolderTree, SafePath};
use tokio_util::sync::CancellationToken;

use super::FolderTarget;
use super::folder_cursor::FolderCursor;
use super::hashing::hash_contents;
use super::placing::Batch;
use super::record::{Record, RecordedFile};
use crate::fs::folder_handle::{FolderHandle, FoundEntry};

impl FolderTarget {
    /// Completes the folder: places the last files, removes what it no longer has, if wanted, and
    /// removes the marker. Returns the removed files. Blocks.
    ///
    /// # Errors
    /// Fails as the file system does, also if a file is missing.
    pub fn finish(&self) -> io::Result<Vec<SafePath>> {
        self.place_written(Batch::Last)?;
        if let Some(missing) = (0..self.states.len()).find(|index| !self.is_done(*index)) {
            return Err(io::Error::other(format!("file {missing} is missing")));
        }
        let removed = match self.options.delete {
            true => self.remove_absent()?,
            false => Vec::new(),
        };
        // The names; without such a call, the folders of all files.
        if !self.root.sync_file_system()? {
            self.sync_folders()?;
        }
        self.record.lock().flush();
        self.remove_parts()?;
        Ok(removed)
    }

    fn sync_folders(&self) -> io::Result<()> {
        for item in self.folder.tree.local_walk(&self.names) {
            if let FolderItem::Folder { path, .. } = item
                && let Ok(folder) = self.root.open_below(path.as_str())
            {
                folder.sync()?;
            }
        }
        self.root.sync()
    }

    fn remove_absent(&self) -> io::Result<Vec<SafePath>> {
        let mut record = self.record.lock();
        let gone = removable(&self.root, &self.folder.tree, &self.names, &record)?;
        for path in &gone {
            let parent = self.root.open_below(path.parent().unwrap_or(""))?;
            parent.remove_file(path.file_name())?;
            record.remove(path.as_str());
            self.remove_empty_parents(path);
        }
        Ok(gone)
    }

    /// Removes the folders of a removed file that are empty now and not part of the folder.
    fn remove_empty_parents(&self, path: &SafePath) {
        let mut parent = path.parent();
        while let Some(place) = parent {
            let Ok(folder) = place.parse::<SafePath>() else {
                return;
            };
            let is_part = !self.names.is_empty() || self.folder.tree.find(&folder).is_some();
            if is_part {
                return;
            }
            let above = self.root.open_below(folder.parent().unwrap_or(""));
            if above
                .and_then(|above| above.remove_folder(folder.file_name()))
                .is_err()
            {
                // It is not empty.
                return;
            }
            parent = place.rsplit_once('/').map(|(above, _)| above);
        }
    }
}

/// Returns the files that earlier downloads placed in `root`, that are unchanged since, and that are
/// not part of the folder, in order.
///
/// # Errors
/// Fails as the file system does.
pub(super) fn removable(
    root: &FolderHandle,
    tree: &FolderTree,
    names: &LocalNames,
    record: &Record,
) -> io::Result<Vec<SafePath>> {
    let local: Option<HashSet<SafePath>> = (!names.is_empty()).then(|| {
        let files = tree.local_files(names, 0..tree.file_count());
        files.map(|file| file.path).collect()
    });
    let is_part = |path: &SafePath| match &local {
        Some(local) => local.contains(path),
        None => tree.find(path).is_some(),
    };
    let mut absent: Vec<(SafePath, RecordedFile)> = record
        .files()
        .filter(|(_, known)| known.was_placed)
        .filter_map(|(path, known)| Some((path.parse().ok()?, *known)))
        .filter(|(path, _)| !is_part(path))
        .collect();
    absent.sort_unstable_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
    let mut folders = FolderCursor::new(root);
    let mut gone = Vec::new();
    for (path, known) in absent {
        // A folder that is gone, or was replaced by a link, has nothing to remove.
        if let Ok(folder) = folders.at(path.parent().unwrap_or(""))
            && is_unchanged(folder, path.file_name(), &known)?
        {
            gone.push(path);
        }
    }
    Ok(gone)
}

fn is_unchanged(folder: &FolderHandle, name: &str, known: &RecordedFile) -> io::Result<bool> {
    let Some(FoundEntry::File(identity)) = folder.look(name)? else {
        return Ok(false);
    };
    if known.is_unchanged(&identity) {
        return Ok(true);
    }
    let open = folder.open_file(name)?;
    let hash = hash_contents(&open, identity.size, &CancellationToken::new());
    Ok(hash.is_ok_and(|hash| hash == known.hash))
}
