//! The partial location: where the contents of an unfinished download are, and how they move to
//! another file system.
//!
//! ```text
//! where  the contents: a name in this folder, or the path of a hidden file beside the target
//! left   older contents for a target on another file system, to be moved
//! ```
//!
//! Names of contents have a random part, stored in `where`, so that different sizes, homes and
//! attempts never share a file. A path is stored before its file is created, and the file is
//! removed before the stored path, so that a kill never leaves a file without a stored path.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use convite_client::home::{sync_folder, write_private};
use convite_core::{ContentHash, ErrorCode, Problem};
use convite_net::random;
use data_encoding::HEXLOWER;

use super::super::target::{Target, disk_problem};
use crate::fs::fallbacks::{is_same_file, is_unsupported};
use crate::fs::names::PARTIAL_PREFIX;

/// The prefix of the names of contents in the folder of the download.
const CONTENTS_PREFIX: &str = "contents";

/// The number of attempts to take a lock, and the delay between them.
const LOCK_ATTEMPTS: u32 = 4;
const LOCK_RETRY_DELAY: std::time::Duration = std::time::Duration::from_millis(25);

/// Contents on disk, open and locked by this process.
pub(super) struct LockedContents {
    pub(super) path: PathBuf,
    pub(super) file: File,
}

/// The stored paths in the folder of a download, which is locked.
pub(super) struct PartialLocation<'a> {
    folder: &'a Path,
    /// The prefix of the names of contents beside a target.
    beside: String,
}

impl<'a> PartialLocation<'a> {
    pub(super) fn new(folder: &'a Path, hash: &ContentHash, size: u64) -> Self {
        Self {
            folder,
            beside: format!("{PARTIAL_PREFIX}{}-{size}-", hash.short()),
        }
    }

    /// Opens the contents stored by an earlier run, if they exist and belong to this download.
    pub(super) fn current(&self) -> Result<Option<LockedContents>, Problem> {
        self.noted("where", Some(CONTENTS_PREFIX))
    }

    /// Opens the contents that are to be moved.
    pub(super) fn left(&self) -> Result<Option<LockedContents>, Problem> {
        let read = |note| fs::read(self.folder.join(note)).ok();
        if read("left") == read("where") {
            // A kill came before the new contents were stored.
            let _ = fs::remove_file(self.folder.join("left"));
            return Ok(None);
        }
        self.noted("left", None)
    }

    /// Returns whether an earlier run has stored nothing.
    pub(super) fn is_empty(&self) -> bool {
        let is_there = |name| self.folder.join(name).exists();
        !["where", "left", CONTENTS_PREFIX].into_iter().any(is_there)
    }

    /// Returns the stored paths of contents. Does not open or lock the files.
    pub(super) fn places(&self) -> impl Iterator<Item = PathBuf> + '_ {
        let notes = [("where", Some(CONTENTS_PREFIX)), ("left", None)];
        notes
            .into_iter()
            .filter_map(|(note, default)| self.noted_path(note, default))
    }

    fn noted_path(&self, note: &str, default: Option<&str>) -> Option<PathBuf> {
        let text = fs::read(self.folder.join(note)).ok();
        let noted = text.map(path_from).or(default.map(PathBuf::from))?;
        let name = noted.file_name().and_then(|name| name.to_str());
        let prefix = if noted.is_absolute() {
            &self.beside
        } else {
            CONTENTS_PREFIX
        };
        // A stored path must not lead to a file of another download.
        let is_own = name.is_some_and(|name| name.starts_with(prefix));
        is_own.then(|| self.folder.join(&noted))
    }

    fn noted(&self, note: &str, default: Option<&str>) -> Result<Option<LockedContents>, Problem> {
        let Some(path) = self.noted_path(note, default) else {
            return Ok(None);
        };
        let mut options = File::options();
        match no_follow(options.read(true).write(true)).open(&path) {
            Ok(file) if file.metadata().is_ok_and(|about| about.is_file()) => {
                lock_contents(&file, &path)?;
                Ok(Some(LockedContents { path, file }))
            }
            Ok(_) => Ok(None),
            Err(error) => {
                tracing::debug!(%error, "the contents of an unfinished download are gone");
                Ok(None)
            }
        }
    }

    /// Returns whether contents can be renamed to `target`, as far as that is known beforehand.
    pub(super) fn suit(path: &Path, target: &Target) -> bool {
        let folder = path.parent().unwrap_or(path);
        on_same_mount(folder, target.folder()).unwrap_or(false)
    }

    /// Returns a path for new contents that can be renamed to `target`.
    ///
    /// # Errors
    /// Fails as the file system does.
    pub(super) fn choose(&self, target: &Target) -> io::Result<PathBuf> {
        let random: [u8; 8] = random::bytes().map_err(io::Error::other)?;
        let random = HEXLOWER.encode(&random);
        // A folder that cannot be resolved may still be writable.
        let folder = dunce::canonicalize(target.folder())
            .or_else(|_| std::path::absolute(target.folder()))?;
        Ok(if on_same_mount(self.folder, &folder)? {
            self.folder.join(format!("{CONTENTS_PREFIX}-{random}"))
        } else {
            folder.join(format!("{}{random}.part", self.beside))
        })
    }

    /// Creates new contents at `path`. `old`, if any, are contents to be moved. The path is stored
    /// before the file exists, so that a kill leaves no file that nobody knows.
    ///
    /// If the file cannot be created, the stored path stays as it was: its contents may be on a
    /// disk that is not mounted at the moment.
    ///
    /// # Errors
    /// Fails as the file system does, also if the file exists.
    pub(super) fn create(
        &self,
        path: PathBuf,
        old: Option<&Path>,
    ) -> Result<LockedContents, Problem> {
        let failed = |error: io::Error| disk_problem("use", self.folder, &error);
        let before = fs::read(self.folder.join("where")).ok();
        if let Some(old) = old {
            self.note("left", old).map_err(failed)?;
        }
        self.note("where", &path).map_err(failed)?;
        create(path).inspect_err(|_| {
            let restored = match before {
                Some(before) => write_private(&self.folder.join("where"), &before),
                None => fs::remove_file(self.folder.join("where")),
            };
            if let Err(error) = restored {
                tracing::warn!(%error, "cannot restore the location of an unfinished download");
            }
        })
    }

    /// Stores a path. Names in the folder are stored relative to it, because a home may be moved.
    fn note(&self, note: &str, path: &Path) -> io::Result<()> {
        let path = path.strip_prefix(self.folder).unwrap_or(path);
        write_private(&self.folder.join(note), path.as_os_str().as_encoded_bytes())
    }

    /// Removes old contents after their pieces were moved.
    pub(super) fn forget_left(&self, old: LockedContents) -> io::Result<()> {
        fs::remove_file(&old.path)?;
        fs::remove_file(self.folder.join("left"))
    }
}

/// Creates new contents.
///
/// # Errors
/// Fails as the file system does, also if the file exists.
fn create(path: PathBuf) -> Result<LockedContents, Problem> {
    let mut options = File::options();
    let file = no_follow(options.read(true).write(true).create_new(true))
        .open(&path)
        // The random name would mean nothing to the user.
        .map_err(|error| disk_problem("write to", path.parent().unwrap_or(&path), &error))?;
    lock_contents(&file, &path)?;
    if let Some(folder) = path.parent() {
        sync_folder(folder).map_err(|error| disk_problem("sync", folder, &error))?;
    }
    Ok(LockedContents { path, file })
}

fn no_follow(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        options,
        rustix::fs::OFlags::NOFOLLOW.bits().cast_signed(),
    );
    options
}

/// Locks contents. Two homes may name the same ones if one is a copy of the other.
fn lock_contents(file: &File, path: &Path) -> Result<(), Problem> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(in_use()),
        Err(error) => {
            // The lock of the download's folder is held anyway.
            tracing::debug!(%error, path = %path.display(), "the file system does not support locks on contents");
            Ok(())
        }
    }
}

/// Locks the folder of a download. Creates it if it is missing.
///
/// # Errors
/// Returns `in_use` if another process has locked it. Fails otherwise as the file system does.
pub(crate) fn lock(folder: &Path) -> Result<File, Problem> {
    let path = folder.join("lock");
    let failed = |error: io::Error| disk_problem("lock", &path, &error);
    let mut tries = 0;
    loop {
        convite_client::home::create_private_folder(folder)
            .map_err(|error| disk_problem("create", folder, &error))?;
        let file = match File::create(&path) {
            // Another process finished the download and removed the folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file.map_err(failed)?,
        };
        match file.try_lock() {
            Ok(()) => {}
            // A process that lists downloads holds the lock briefly.
            Err(TryLockError::WouldBlock) if tries < LOCK_ATTEMPTS => {
                tries += 1;
                std::thread::sleep(LOCK_RETRY_DELAY);
                continue;
            }
            Err(TryLockError::WouldBlock) => return Err(in_use()),
            Err(TryLockError::Error(error)) if is_unsupported(&error) => {
                tracing::debug!(%error, "the file system of the home does not support locks");
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // A lock on a file that was removed meanwhile does not exclude other processes.
        if is_same_file(&file, &path) {
            return Ok(file);
        }
    }
}

fn in_use() -> Problem {
    Problem::new(
        ErrorCode::InUse,
        "another process is already downloading this file",
    )
    .hint("wait until it has finished, or use another --home")
}

#[cfg(unix)]
fn path_from(noted: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(noted).into()
}

#[cfg(not(unix))]
fn path_from(noted: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&noted).into_owned().into()
}

/// Returns whether files can be renamed from one folder to the other. A file system may be mounted
/// in several places, and rename(2) does not work across them.
pub(crate) fn on_same_mount(a: &Path, b: &Path) -> io::Result<bool> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
        let mount = |path: &Path| {
            let found = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?;
            // Not reported before Linux 5.8.
            let told = found.stx_mask & StatxFlags::MNT_ID.bits() != 0;
            told.then_some(found.stx_mnt_id)
        };
        if let (Some(a), Some(b)) = (mount(a), mount(b))
            && a != b
        {
            return Ok(false);
        }
    }
    same_device(a, b)
}

#[cfg(unix)]
pub(crate) fn same_device(a: &Path, b: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(fs::metadata(a)?.dev() == fs::metadata(b)?.dev())
}

#[cfg(not(unix))]
pub(crate) fn same_device(a: &Path, b: &Path) -> io::Result<bool> {
    Ok(a.components().next() == b.components().next())
}
