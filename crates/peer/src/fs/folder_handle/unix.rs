//! Unix: the calls relative to a file descriptor of the folder.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawMode, Stat};
use rustix::io::Errno;

use super::{FoundEntry, IfExists, NewFileMode};
use crate::fs::fallbacks::{if_supported, is_unsupported};
use crate::fs::identity::FileIdentity;
use crate::fs::open_beneath::open_folder_below;

#[derive(Debug)]
pub(super) struct Handle(OwnedFd);

pub(super) fn open(path: &Path) -> io::Result<Handle> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(Handle(rustix::fs::open(path, flags, Mode::empty())?))
}

impl Handle {
    pub(super) fn open_below(&self, inner: &str) -> io::Result<Self> {
        if inner.is_empty() {
            return Ok(Self(self.0.try_clone()?));
        }
        Ok(Self(open_folder_below(&self.0, inner)?))
    }

    pub(super) fn look(&self, name: &str) -> io::Result<Option<FoundEntry>> {
        match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(found(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn create_folder(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(&self.0, name, Mode::from(0o777))?)
    }

    pub(super) fn create_file(&self, name: &str, mode: NewFileMode) -> io::Result<File> {
        let mode = Mode::from(match mode {
            NewFileMode::Plain => 0o666,
            NewFileMode::Executable => 0o777,
        });
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, name, flags, mode)?.into())
    }

    pub(super) fn open_file(&self, name: &str, writes: bool) -> io::Result<File> {
        let access = if writes { OFlags::RDWR } else { OFlags::RDONLY };
        // Does not block on a pipe.
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, name, flags, Mode::empty())?.into())
    }

    pub(super) fn rename(
        &self,
        name: &str,
        to: &Self,
        new: &str,
        if_exists: IfExists,
    ) -> io::Result<()> {
        match if_exists {
            IfExists::Replace => Ok(rustix::fs::renameat(&self.0, name, &to.0, new)?),
            IfExists::Fail => self.rename_new(name, to, new),
        }
    }

    /// The fallback links and unlinks. Where there are no links, a file that appears between the check
    /// and the rename is replaced.
    fn rename_new(&self, name: &str, to: &Self, new: &str) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{RenameFlags, renameat_with};
            let renamed = renameat_with(&self.0, name, &to.0, new, RenameFlags::NOREPLACE);
            match renamed.map_err(io::Error::from) {
                Err(error) if is_unsupported(&error) => {}
                renamed => return renamed,
            }
        }
        match rustix::fs::linkat(&self.0, name, &to.0, new, AtFlags::empty()) {
            Ok(()) => return self.remove_file(name),
            Err(error) if is_unsupported(&error.into()) => {}
            Err(error) => return Err(error.into()),
        }
        if to.look(new)?.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(rustix::fs::renameat(&self.0, name, &to.0, new)?)
    }

    pub(super) fn remove_file(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    pub(super) fn remove_folder(&self, name: &str) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        // Not a clone of the descriptor, which would share the position of the listing.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed = rustix::fs::openat(&self.0, ".", flags, Mode::empty())?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(listed)? {
            if let Ok(name) = entry?.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    pub(super) fn sync_file_system(&self) -> io::Result<bool> {
        #[cfg(target_os = "linux")]
        {
            rustix::fs::syncfs(&self.0)?;
            Ok(true)
        }
        #[cfg(not(target_os = "linux"))]
        Ok(false)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        if_supported(rustix::fs::fsync(&self.0).map_err(io::Error::from))
    }

    pub(super) fn name_max(&self) -> Option<usize> {
        let about = rustix::fs::fstatvfs(&self.0).ok()?;
        usize::try_from(about.f_namemax).ok().filter(|max| *max > 0)
    }
}

#[allow(
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    reason = "the types of the fields differ between systems"
)]
fn found(stat: &Stat) -> FoundEntry {
    match FileType::from_raw_mode(stat.st_mode as RawMode) {
        FileType::RegularFile => {}
        FileType::Directory => return FoundEntry::Folder,
        _ => return FoundEntry::Other,
    }
    let nanoseconds =
        |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    FoundEntry::File(FileIdentity {
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        size: stat.st_size as u64,
        modified_ns: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        changed_ns: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        executable: stat.st_mode & 0o111 != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::folder_handle::FolderHandle;

    #[test]
    fn the_identity_is_that_of_the_open_file() {
        let place = tempfile::tempdir().unwrap();
        let folder = FolderHandle::open(place.path()).unwrap();
        for mode in [NewFileMode::Plain, NewFileMode::Executable] {
            let name = format!("{mode:?}");
            let file = folder.create_file(&name, mode).unwrap();
            let identity = FileIdentity::of(&file).unwrap();
            assert_eq!(
                folder.look(&name).unwrap(),
                Some(FoundEntry::File(identity))
            );
            assert_eq!(identity.executable, mode == NewFileMode::Executable);
        }
    }
}
