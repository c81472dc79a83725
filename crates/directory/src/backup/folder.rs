//! Files and folders of a backup: for their owner only, on the disk before they have their name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use convite_core::display::escape;
use convite_core::path::PRIVATE_MARK;
use convite_core::{ErrorCode, Problem};

/// What could not be done to a path, and why.
pub(super) fn failed(what: &str, path: &Path, error: &io::Error) -> Problem {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::NoSpace,
        io::ErrorKind::NotFound => ErrorCode::NotFound,
        _ => ErrorCode::Internal,
    };
    let path = path.to_string_lossy();
    Problem::new(code, format!("cannot {what} {}: {error}", escape(&path)))
}

/// A folder that is removed with all in it unless it is finished.
pub(super) struct Unfinished(Option<PathBuf>);

impl Unfinished {
    /// A new folder next to `target`, on the same disk.
    pub(super) fn beside(target: &Path) -> Result<Self, Problem> {
        let random = data_encoding::HEXLOWER.encode(&crate::random_bytes::<4>()?);
        let mut name = target.to_path_buf().into_os_string();
        name.push(format!(".partial-{random}"));
        let path = PathBuf::from(name);
        #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes"))]
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&path)
            .map_err(|e| failed("make", &path, &e))?;
        let unfinished = Self(Some(path));
        // It will hold keys: whoever shares a folder that it lies in gives none of them away.
        create_private(&unfinished.path().join(PRIVATE_MARK))?;
        Ok(unfinished)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// Gives it its name, for good.
    pub(super) fn finish(mut self, target: &Path) -> Result<(), Problem> {
        sync(self.path())?;
        rename(self.path(), target)?;
        self.0 = None;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // Its name says that it is nothing yet.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Renames, and notes it on the disk.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Problem> {
    fs::rename(from, to).map_err(|e| failed("rename", from, &e))?;
    match to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync(parent),
        None => sync(Path::new(".")),
    }
}

/// Makes the folders that `path` is to lie in.
pub(super) fn make_parents(path: &Path) -> Result<(), Problem> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(|e| failed("make", parent, &e))
}

/// Waits until a file or folder is on the disk.
pub(super) fn sync(path: &Path) -> Result<(), Problem> {
    if cfg!(windows) && path.is_dir() {
        // Nor need it be done there: renames last by themselves.
        return Ok(());
    }
    // Windows syncs only what is open for writing.
    File::options()
        .read(true)
        .write(cfg!(windows))
        .open(path)
        .and_then(|file| file.sync_all())
        .map_err(|e| failed("write", path, &e))
}

/// A new, empty file that only its owner can read.
pub(super) fn create_private(path: &Path) -> Result<File, Problem> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|e| failed("make", path, &e))
}

pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let mut file = create_private(path)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(|e| failed("write", path, &e))
}

pub(super) fn copy_private(from: &Path, to: &Path) -> Result<(), Problem> {
    let mut source = File::open(from).map_err(|e| failed("read", from, &e))?;
    let mut target = create_private(to)?;
    io::copy(&mut source, &mut target)
        .and_then(|_| target.sync_all())
        .map_err(|e| failed("write", to, &e))
}

/// Bytes that the disk of `folder` has room for.
pub(super) fn free_space(folder: &Path) -> Result<u64, Problem> {
    fs4::available_space(folder).map_err(|e| failed("ask the disk of", folder, &e))
}
