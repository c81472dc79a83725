//! Copies of contents that are on this machine already: they are cloned where the file system can,
//! else copied, and verified. Nothing of them is received.

use std::collections::HashMap;
use std::fs::File;
use std::io;

use convite_core::folder::FolderFile;
use convite_core::{ContentHash, SafePath};
use tokio_util::sync::CancellationToken;

use super::comparison::FileAction;
use super::hashing::hash_contents;
use super::{FileState, FolderTarget};
use crate::fs::folder_handle::FoundEntry;
use crate::fs::positioned_io::{read_exact_at, write_all_at};

/// Bytes per read.
const BLOCK: u64 = 1 << 20;

impl FolderTarget {
    /// Copies missing files whose contents are elsewhere in the target: files with another path, for
    /// example because they were renamed since an earlier download.
    ///
    /// # Errors
    /// Returns `Interrupted` if it was cancelled. Fails otherwise as the file system does; a source
    /// that cannot be read is not an error.
    pub(super) fn copy_from_target(&self, stop: &CancellationToken) -> io::Result<()> {
        let missing = |file: &FolderFile| file.size > 0 && !self.is_done(file.index);
        let files = || {
            let all = 0..self.folder.tree.file_count();
            self.folder.tree.local_files(&self.names, all)
        };
        let mut wanted: HashMap<ContentHash, Option<SafePath>> = files()
            .filter(missing)
            .map(|file| (file.hash, None))
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        for (path, recorded) in self.record.lock().files() {
            if let Some(source) = wanted.get_mut(&recorded.hash) {
                *source = path.parse().ok();
            }
        }
        for file in files().filter(|file| self.actions[file.index] == FileAction::Keep) {
            if let Some(source) = wanted.get_mut(&file.hash) {
                *source = Some(file.path);
            }
        }
        wanted.retain(|_, source| source.is_some());
        if wanted.is_empty() {
            return Ok(());
        }
        for file in files().filter(missing) {
            if stop.is_cancelled() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let Some(Some(source)) = wanted.get(&file.hash) else {
                continue;
            };
            let Some(source) = self.open_source(source, file.size) else {
                continue;
            };
            if self.claim(file.index) {
                match self.copy_verified(&source, &file, stop) {
                    Ok(true) => self.large.forget(&file),
                    Ok(false) => self.release(file.index),
                    Err(error) => {
                        self.release(file.index);
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    fn open_source(&self, path: &SafePath, size: u64) -> Option<File> {
        let folder = self.root.open_below(path.parent().unwrap_or("")).ok()?;
        let name = path.file_name();
        match folder.look(name).ok()? {
            Some(FoundEntry::File(identity)) if identity.size == size => {
                folder.open_file(name).ok()
            }
            _ => None,
        }
    }

    /// Copies a complete large file to the other files with its contents.
    pub(super) fn copy_large(&self, file: &FolderFile, from: &File) -> io::Result<()> {
        let Some(copies) = self.copies.get(&file.hash) else {
            return Ok(());
        };
        for index in copies {
            let copy = self.file(*index)?;
            if self.claim(copy.index)
                && !self
                    .copy_verified(from, &copy, &CancellationToken::new())
                    .inspect_err(|_| self.release(copy.index))?
            {
                self.release(copy.index);
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "another program changed a downloaded file",
                ));
            }
        }
        Ok(())
    }

    /// Copies `from` to the parts as `file`, which was claimed. Returns false if the contents are not
    /// those of the file.
    fn copy_verified(
        &self,
        from: &File,
        file: &FolderFile,
        stop: &CancellationToken,
    ) -> io::Result<bool> {
        debug_assert_eq!(
            self.states[file.index].load(std::sync::atomic::Ordering::Relaxed),
            FileState::Claimed as u8
        );
        let to = self.create_temporary(file)?;
        let copied = clone_or_copy(from, &to, file.size, stop)
            .and_then(|()| hash_contents(&to, file.size, stop));
        match copied {
            Ok(hash) if hash == file.hash => {
                self.set_time(file, &to);
                self.add_written(file, file.size);
                Ok(true)
            }
            Ok(_) => {
                self.parts.remove_file(&self.temporary_name(file))?;
                Ok(false)
            }
            // The source became shorter.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.parts.remove_file(&self.temporary_name(file))?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// Gives `to`, an empty file, the first `size` bytes of `from`.
fn clone_or_copy(from: &File, to: &File, size: u64, stop: &CancellationToken) -> io::Result<()> {
    // FICLONE of ioctl(2): both files share their blocks, on Btrfs, XFS and others.
    #[cfg(target_os = "linux")]
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return to.set_len(size);
    }
    let mut buffer = vec![0; BLOCK.min(size) as usize];
    let mut at = 0;
    while at < size {
        if stop.is_cancelled() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let part = &mut buffer[..BLOCK.min(size - at) as usize];
        read_exact_at(from, part, at)?;
        write_all_at(to, part, at)?;
        at += part.len() as u64;
    }
    Ok(())
}
