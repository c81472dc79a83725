//! Giving received files their final names, in batches: all data is synced first, so that no final
//! name ever holds partial data, also after a power failure.

use std::io;

use convite_core::SafePath;
use convite_core::folder::FolderFile;
use tokio_util::sync::CancellationToken;

use super::FolderTarget;
use super::comparison::FileAction;
use super::folder_cursor::FolderCursor;
use super::hashing::hash_contents;
use super::record::RecordedFile;
use crate::fs::fallbacks::sync_all;
use crate::fs::folder_handle::{FolderHandle, FoundEntry, IfExists};

/// The number of names tried for a kept file.
const NAME_ATTEMPTS: u32 = 1000;
/// The maximum length of a name in bytes.
const NAME_MAX: usize = 255;

/// When a batch is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// While more is received.
    Next,
    /// When nothing more is received.
    Last,
}

impl FolderTarget {
    /// Syncs all written data, gives complete files their names, and writes the checkpoints of large
    /// files. Blocks. One batch is placed at a time.
    ///
    /// # Errors
    /// Returns `AlreadyExists` if a file appeared at the path of another one. Fails otherwise as the
    /// file system does.
    pub fn place_written(&self, batch: Batch) -> io::Result<()> {
        let _turn = self.placing.lock();
        let mut written = std::mem::take(&mut *self.written.lock());
        let changed = self.large.take_changed();
        if written.is_empty() && changed.is_empty() {
            return Ok(());
        }
        written.sort_unstable();
        let placed = self
            .sync_written(&written)
            .and_then(|()| self.place_all(&written));
        if let Err((index, error)) = placed {
            // What has no name yet is placed by the next batch, or found by the next run.
            let rest = written.partition_point(|other| *other < index);
            self.written.lock().extend_from_slice(&written[rest..]);
            return Err(error);
        }
        for file in &changed {
            self.large
                .write_checkpoint(&self.parts, file, batch == Batch::Last)?;
        }
        self.record.lock().flush();
        Ok(())
    }

    fn sync_written(&self, written: &[u32]) -> Result<(), (u32, io::Error)> {
        let is_synced = self.parts.sync_file_system();
        if is_synced.map_err(|error| (0, error))? {
            return Ok(());
        }
        for index in written {
            let synced = self.file(*index).and_then(|file| {
                let open = self.parts.open_file_to_write(&self.temporary_name(&file))?;
                sync_all(&open)
            });
            synced.map_err(|error| (*index, error))?;
        }
        Ok(())
    }

    fn place_all(&self, written: &[u32]) -> Result<(), (u32, io::Error)> {
        let mut folders = FolderCursor::new(&self.root);
        for index in written {
            let placed = self.file(*index).and_then(|file| {
                let folder = folders.at(file.path.parent().unwrap_or(""))?;
                self.place(folder, &file)
            });
            placed.map_err(|error| (*index, error))?;
        }
        Ok(())
    }

    /// Gives a complete, synced file its name in `folder`.
    fn place(&self, folder: &FolderHandle, file: &FolderFile) -> io::Result<()> {
        let (temporary, name) = (self.temporary_name(file), file.path.file_name());
        match self.rename(folder, file) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !self.is_same_content(folder, file) {
                    return Err(io::Error::new(
                        io::ErrorKind::AlreadyExists,
                        format!("'{}' appeared during the download", file.path),
                    ));
                }
                self.parts.remove_file(&temporary)?;
            }
            renamed => renamed?,
        }
        if self.is_large(file) {
            self.large.remove_state(file)?;
        }
        // The time was set before, so a change by another program shows.
        if let Some(FoundEntry::File(identity)) = folder.look(name)?
            && identity.size == file.size
            && Some(identity.modified_seconds()) == self.folder.attributes.modified_seconds(file)
        {
            let recorded = RecordedFile::new(file.hash, identity, true);
            self.record.lock().add(file.path.as_str(), &recorded);
        }
        self.count_placed();
        Ok(())
    }

    fn rename(&self, folder: &FolderHandle, file: &FolderFile) -> io::Result<()> {
        let (temporary, name) = (self.temporary_name(file), file.path.file_name());
        let rename = |if_exists| self.parts.rename(&temporary, folder, name, if_exists);
        match self.actions[file.index] {
            FileAction::Create if !self.options.update => rename(IfExists::Fail),
            FileAction::Replace if self.is_as_recorded(folder, file)? => rename(IfExists::Replace),
            // A file that appeared or changed since the comparison is kept, too.
            _ => {
                match folder.look(name)? {
                    Some(FoundEntry::File(_)) if self.is_same_content(folder, file) => {
                        return rename(IfExists::Replace);
                    }
                    Some(_) => self.keep_other(folder, file)?,
                    None => {}
                }
                rename(IfExists::Fail)
            }
        }
    }

    /// Returns whether the file with the name of `file` is what an earlier download left there.
    fn is_as_recorded(&self, folder: &FolderHandle, file: &FolderFile) -> io::Result<bool> {
        let name = file.path.file_name();
        let Some(FoundEntry::File(identity)) = folder.look(name)? else {
            return Ok(false);
        };
        let recorded = self.record.lock().get(file.path.as_str()).copied();
        let Some(recorded) = recorded else {
            return Ok(false);
        };
        if recorded.is_unchanged(&identity) {
            return Ok(true);
        }
        let open = folder.open_file(name)?;
        let hash = hash_contents(&open, identity.size, &CancellationToken::new())?;
        Ok(hash == recorded.hash)
    }

    /// Returns whether the file with the name of `file` has its contents.
    fn is_same_content(&self, folder: &FolderHandle, file: &FolderFile) -> bool {
        let name = file.path.file_name();
        let Ok(Some(FoundEntry::File(identity))) = folder.look(name) else {
            return false;
        };
        identity.size == file.size
            && folder
                .open_file(name)
                .and_then(|open| hash_contents(&open, file.size, &CancellationToken::new()))
                .is_ok_and(|hash| hash == file.hash)
    }

    /// Renames the file that has the name of `file`.
    fn keep_other(&self, folder: &FolderHandle, file: &FolderFile) -> io::Result<()> {
        let name = file.path.file_name();
        for number in 1..=NAME_ATTEMPTS {
            let new = conflict_name(name, number);
            match folder.rename(name, folder, &new, IfExists::Fail) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                renamed => {
                    renamed?;
                    let kept = match file.path.parent() {
                        Some(parent) => format!("{parent}/{new}"),
                        None => new,
                    };
                    self.kept_others
                        .lock()
                        .extend(kept.parse::<SafePath>().ok());
                    return Ok(());
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

/// Returns the name under which a file named `name` is kept: `plan (conflict).txt`,
/// `plan (conflict 2).txt`.
fn conflict_name(name: &str, number: u32) -> String {
    let dot = name
        .rfind('.')
        .filter(|dot| *dot > 0 && name.len() - dot <= 32);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let mark = match number {
        1 => " (conflict)".to_owned(),
        number => format!(" (conflict {number})"),
    };
    let mut end = stem.len().min(NAME_MAX - extension.len() - mark.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{mark}{extension}", &stem[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflict_names_keep_the_extension_and_fit() {
        assert_eq!(conflict_name("plan.txt", 1), "plan (conflict).txt");
        assert_eq!(conflict_name("plan", 3), "plan (conflict 3)");
        let long = "é".repeat(127);
        for number in [1, 1000] {
            assert!(conflict_name(&long, number).len() <= NAME_MAX);
            assert!(conflict_name(&format!("{}.txt", "x".repeat(251)), number).len() <= NAME_MAX);
        }
    }
}
