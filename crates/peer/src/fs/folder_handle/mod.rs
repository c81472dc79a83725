//! An open folder: its entries are looked up, created, renamed and removed by name, without following
//! a symbolic link.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::fs::File;
use std::io;
use std::path::Path;

use crate::fs::identity::FileIdentity;

#[cfg(unix)]
use unix as system;
#[cfg(windows)]
use windows as system;

/// An open folder.
#[derive(Debug)]
pub(crate) struct FolderHandle(system::Handle);

/// An entry of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoundEntry {
    /// A regular file.
    File(FileIdentity),
    /// A folder.
    Folder,
    /// A link, pipe, socket or device.
    Other,
}

/// What a rename does if the new name exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfExists {
    /// The entry with that name is replaced.
    Replace,
    /// The rename fails with `AlreadyExists`.
    Fail,
}

/// The permissions of a new file, before the umask of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewFileMode {
    /// Anybody may read and write it.
    Plain,
    /// Anybody may also execute it. The same as `Plain` where files have no such bit (Windows).
    Executable,
}

impl FolderHandle {
    /// Opens the folder at `path`, which may be a link.
    ///
    /// # Errors
    /// Fails as the system does.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        system::open(path).map(Self)
    }

    /// Opens the folder `inner`, a path with `/` as separator, below this one; this one if `inner` is
    /// empty.
    ///
    /// # Errors
    /// Fails as the system does, also if a component is a symbolic link or not a folder.
    pub(crate) fn open_below(&self, inner: &str) -> io::Result<Self> {
        self.0.open_below(inner).map(Self)
    }

    /// Returns the entry `name`; `None` if there is none.
    ///
    /// # Errors
    /// Fails as the system does.
    pub(crate) fn look(&self, name: &str) -> io::Result<Option<FoundEntry>> {
        self.0.look(name)
    }

    /// Creates the folder `name` unless it exists.
    ///
    /// # Errors
    /// Fails as the system does, also if the name is that of something else.
    pub(crate) fn create_folder(&self, name: &str) -> io::Result<()> {
        match self.0.create_folder(name) {
            Err(error)
                if error.kind() == io::ErrorKind::AlreadyExists
                    && matches!(self.look(name)?, Some(FoundEntry::Folder)) =>
            {
                Ok(())
            }
            created => created,
        }
    }

    /// Creates the file `name` for reading and writing.
    ///
    /// # Errors
    /// Fails as the system does; with `AlreadyExists` if the name is taken.
    pub(crate) fn create_file(&self, name: &str, mode: NewFileMode) -> io::Result<File> {
        self.0.create_file(name, mode)
    }

    /// Opens the regular file `name` for reading.
    ///
    /// # Errors
    /// Fails as the system does; with `InvalidInput` if it is not a regular file.
    pub(crate) fn open_file(&self, name: &str) -> io::Result<File> {
        require_regular(self.0.open_file(name, false)?)
    }

    /// Opens the regular file `name` for reading and writing.
    ///
    /// # Errors
    /// As [`Self::open_file`].
    pub(crate) fn open_file_to_write(&self, name: &str) -> io::Result<File> {
        require_regular(self.0.open_file(name, true)?)
    }

    /// Moves the entry `name` into the folder `to`, with the name `new`.
    ///
    /// # Errors
    /// Fails as the system does; with `AlreadyExists` if the new name exists and must not be
    /// replaced.
    pub(crate) fn rename(
        &self,
        name: &str,
        to: &Self,
        new: &str,
        if_exists: IfExists,
    ) -> io::Result<()> {
        self.0.rename(name, &to.0, new, if_exists)
    }

    /// Removes the file `name`.
    ///
    /// # Errors
    /// Fails as the system does.
    pub(crate) fn remove_file(&self, name: &str) -> io::Result<()> {
        self.0.remove_file(name)
    }

    /// Removes the empty folder `name`.
    ///
    /// # Errors
    /// Fails as the system does; with `DirectoryNotEmpty` if it is not empty.
    pub(crate) fn remove_folder(&self, name: &str) -> io::Result<()> {
        self.0.remove_folder(name)
    }

    /// Returns the names of all entries that are UTF-8.
    ///
    /// # Errors
    /// Fails as the system does.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        self.0.names()
    }

    /// Flushes everything on the file system of this folder to disk. Returns false if the system has
    /// no such call; then files must be flushed one by one.
    ///
    /// # Errors
    /// Fails as the disk does.
    pub(crate) fn sync_file_system(&self) -> io::Result<bool> {
        self.0.sync_file_system()
    }

    /// Flushes the names in this folder to disk. Does nothing where folders cannot be flushed.
    ///
    /// # Errors
    /// Fails as the disk does.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    /// Returns the maximum length of a name in bytes, if the file system reports it.
    pub(crate) fn name_max(&self) -> Option<usize> {
        self.0.name_max()
    }
}

fn require_regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "not a regular file",
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn rename_replaces_only_if_asked() {
        let place = tempfile::tempdir().unwrap();
        let folder = FolderHandle::open(place.path()).unwrap();
        folder.create_folder("a").unwrap();
        folder.create_folder("a").unwrap();
        let below = folder.open_below("a").unwrap();
        drop(folder.create_file("new", NewFileMode::Plain).unwrap());
        fs::write(place.path().join("a/old"), b"old").unwrap();
        let refused = folder.rename("new", &below, "old", IfExists::Fail);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(place.path().join("a/old")).unwrap(), b"old");
        folder
            .rename("new", &below, "old", IfExists::Replace)
            .unwrap();
        assert_eq!(fs::read(place.path().join("a/old")).unwrap(), b"");
        assert_eq!(folder.look("new").unwrap(), None);
        below
            .rename("old", &folder, "moved", IfExists::Fail)
            .unwrap();
        assert!(matches!(
            folder.look("moved").unwrap(),
            Some(FoundEntry::File(_))
        ));
        folder.remove_folder("a").unwrap();
        let taken = folder.create_folder("moved").unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("file"), b"secret").unwrap();
        fs::create_dir(outside.path().join("sub")).unwrap();
        let link = |from: &str, to: &Path| {
            std::os::unix::fs::symlink(to, place.path().join(from)).unwrap();
        };
        link("folder", outside.path());
        link("file", &outside.path().join("file"));
        let folder = FolderHandle::open(place.path()).unwrap();
        assert_eq!(folder.look("folder").unwrap(), Some(FoundEntry::Other));
        assert_eq!(folder.look("file").unwrap(), Some(FoundEntry::Other));
        for inner in ["folder", "folder/sub", "..", "a/../..", "/"] {
            assert!(folder.open_below(inner).is_err(), "{inner}");
        }
        assert!(folder.open_file("file").is_err());
        assert!(folder.open_file_to_write("file").is_err());
        assert!(folder.create_file("file", NewFileMode::Plain).is_err());
        assert!(folder.create_folder("folder").is_err());
    }
}
