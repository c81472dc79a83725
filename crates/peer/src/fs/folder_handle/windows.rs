//! Windows: paths, of which each component below the folder is checked not to be a link. The folder
//! is held open, so that it cannot be renamed or replaced.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{FoundEntry, IfExists, NewFileMode};
use crate::fs::fallbacks::rename_new;
use crate::fs::identity::{FileIdentity, open_without_following};
use crate::fs::open_beneath::{check_component, open_folder_locked};

// From CreateFileW.
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

#[derive(Debug)]
pub(super) struct Handle {
    path: PathBuf,
    /// Keeps this folder and those above it, up to the first one, from being replaced.
    held: Vec<File>,
}

pub(super) fn open(path: &Path) -> io::Result<Handle> {
    let path = dunce::canonicalize(path)?;
    let held = vec![open_folder_locked(&path)?];
    Ok(Handle { path, held })
}

impl Handle {
    fn place(&self, name: &str) -> io::Result<PathBuf> {
        Ok(self.path.join(check_component(name)?))
    }

    pub(super) fn open_below(&self, inner: &str) -> io::Result<Self> {
        let mut path = self.path.clone();
        let mut held = Vec::new();
        for file in &self.held {
            held.push(file.try_clone()?);
        }
        for part in inner.split('/').filter(|_| !inner.is_empty()) {
            path.push(check_component(part)?);
            held.push(open_folder_locked(&path)?);
        }
        Ok(Self { path, held })
    }

    pub(super) fn look(&self, name: &str) -> io::Result<Option<FoundEntry>> {
        let path = self.place(name)?;
        match fs::symlink_metadata(&path) {
            Ok(about) if about.is_file() => {
                Ok(Some(FoundEntry::File(FileIdentity::at(&path, &about)?)))
            }
            Ok(about) if about.is_dir() => Ok(Some(FoundEntry::Folder)),
            Ok(_) => Ok(Some(FoundEntry::Other)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn create_folder(&self, name: &str) -> io::Result<()> {
        fs::create_dir(self.place(name)?)
    }

    pub(super) fn create_file(&self, name: &str, _: NewFileMode) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        options.open(self.place(name)?)
    }

    pub(super) fn open_file(&self, name: &str, writes: bool) -> io::Result<File> {
        let path = self.place(name)?;
        if !writes {
            return open_without_following(&path);
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        options
            .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
            .open(path)
    }

    pub(super) fn rename(
        &self,
        name: &str,
        to: &Self,
        new: &str,
        if_exists: IfExists,
    ) -> io::Result<()> {
        let (from, to) = (self.place(name)?, to.place(new)?);
        match if_exists {
            IfExists::Replace => fs::rename(from, to),
            IfExists::Fail => rename_new(&from, &to),
        }
    }

    pub(super) fn remove_file(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.place(name)?)
    }

    pub(super) fn remove_folder(&self, name: &str) -> io::Result<()> {
        fs::remove_dir(self.place(name)?)
    }

    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    pub(super) fn sync_file_system(&self) -> io::Result<bool> {
        Ok(false)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn name_max(&self) -> Option<usize> {
        None
    }
}
