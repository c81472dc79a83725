//! Files and folders of a backup: readable only by their owner, and synced before they are renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use convite_core::display::escape;
use convite_core::path::PRIVATE_MARKER;
use convite_core::{ErrorCode, Problem};
use convite_net::random;

/// Returns the error for a failed file operation.
pub(super) fn failed(what: &str, path: &Path, error: &io::Error) -> Problem {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::NoSpace,
        io::ErrorKind::NotFound => ErrorCode::NotFound,
        _ => ErrorCode::Internal,
    };
    let path = path.to_string_lossy();
    Problem::new(code, format!("cannot {what} {}: {error}", escape(&path)))
}

/// A folder that is removed with its contents unless it is finished.
pub(super) struct PartialFolder(Option<PathBuf>);

impl PartialFolder {
    /// Creates a new folder next to `target`, on the same disk.
    pub(super) fn create_next_to(target: &Path) -> Result<Self, Problem> {
        let random = data_encoding::HEXLOWER.encode(&random::bytes::<4>()?);
        let mut name = target.to_path_buf().into_os_string();
        name.push(format!(".partial-{random}"));
        let path = PathBuf::from(name);
        #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes"))]
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(&path)
            .map_err(|e| failed("create", &path, &e))?;
        let unfinished = Self(Some(path));
        // It will hold keys: the mark excludes it from shares.
        create_private(&unfinished.path().join(PRIVATE_MARKER))?;
        Ok(unfinished)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new(""))
    }

    /// Renames the folder to its final name.
    pub(super) fn finish(mut self, target: &Path) -> Result<(), Problem> {
        sync(self.path())?;
        rename(self.path(), target)?;
        self.0 = None;
        Ok(())
    }
}

impl Drop for PartialFolder {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // If this fails, the name shows that the folder is incomplete.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Renames a path and syncs its folder.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Problem> {
    fs::rename(from, to).map_err(|e| failed("rename", from, &e))?;
    match to.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync(parent),
        None => sync(Path::new(".")),
    }
}

/// Creates the parent folders of `path`.
pub(super) fn make_parents(path: &Path) -> Result<(), Problem> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(|e| failed("create", parent, &e))
}

/// Syncs a file or folder to the disk.
pub(super) fn sync(path: &Path) -> Result<(), Problem> {
    if cfg!(windows) && path.is_dir() {
        // Windows cannot sync folders; its renames are durable.
        return Ok(());
    }
    // Windows only syncs files that are open for writing.
    File::options()
        .read(true)
        .write(cfg!(windows))
        .open(path)
        .and_then(|file| file.sync_all())
        .map_err(|e| failed("write", path, &e))
}

/// Creates a new, empty file that only its owner can read.
pub(super) fn create_private(path: &Path) -> Result<File, Problem> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|e| failed("create", path, &e))
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

/// Returns the free space on the disk of `folder`, in bytes.
pub(super) fn free_space(folder: &Path) -> Result<u64, Problem> {
    fs4::available_space(folder).map_err(|e| failed("get the free space of", folder, &e))
}

/// Returns a path for messages.
pub(super) fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy()).to_string()
}
