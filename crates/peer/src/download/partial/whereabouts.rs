//! Where the contents of an unfinished download are, and how they get to another file system.
//!
//! ```text
//! where  the contents: a name in this folder, or the path of a hidden file beside a target
//! left   contents that were begun for a target on another file system, to be carried over
//! ```
//!
//! Contents have a random part in their name, kept in `where`, so that no two sizes, homes or
//! attempts ever share one. A note is written before what it names is made, and contents are
//! removed before the note of them: a kill in between leaves nothing that is not named.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use convite_client::home::{sync_folder, write_private};
use convite_core::{ContentHash, ErrorCode, Problem};
use data_encoding::HEXLOWER;

use super::super::place::{Target, disk_problem};
use crate::scan::PARTIAL_PREFIX;

/// How the names of contents begin that are in the folder of the download.
const INSIDE: &str = "contents";

/// Contents on disk, open and locked for this process.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) file: File,
}

/// The notes in the folder of a download, which is locked.
pub(super) struct Whereabouts<'a> {
    folder: &'a Path,
    /// How the names of contents beside a target begin.
    beside: String,
}

impl<'a> Whereabouts<'a> {
    pub(super) fn new(folder: &'a Path, hash: &ContentHash, size: u64) -> Self {
        Self {
            folder,
            beside: format!("{PARTIAL_PREFIX}{}-{size}-", hash.short()),
        }
    }

    /// The contents that an earlier run noted, if they are there and its own.
    pub(super) fn current(&self) -> Result<Option<Opened>, Problem> {
        self.noted("where", Some(INSIDE))
    }

    /// Contents that are to be carried over.
    pub(super) fn left(&self) -> Result<Option<Opened>, Problem> {
        let read = |note| fs::read(self.folder.join(note)).ok();
        if read("left") == read("where") {
            // A kill came before new ones were noted.
            let _ = fs::remove_file(self.folder.join("left"));
            return Ok(None);
        }
        self.noted("left", None)
    }

    /// Whether an earlier run has noted anything.
    pub(super) fn is_empty(&self) -> bool {
        let is_there = |name| self.folder.join(name).exists();
        !["where", "left", INSIDE].into_iter().any(is_there)
    }

    fn noted(&self, note: &str, default: Option<&str>) -> Result<Option<Opened>, Problem> {
        let text = fs::read(self.folder.join(note)).ok();
        let Some(noted) = text.map(path_from).or(default.map(PathBuf::from)) else {
            return Ok(None);
        };
        let name = noted.file_name().and_then(|name| name.to_str());
        let prefix = if noted.is_absolute() {
            &self.beside
        } else {
            INSIDE
        };
        if !name.is_some_and(|name| name.starts_with(prefix)) {
            return Ok(None);
        }
        let path = self.folder.join(&noted);
        let mut options = File::options();
        match no_follow(options.read(true).write(true)).open(&path) {
            Ok(file) if file.metadata().is_ok_and(|about| about.is_file()) => {
                claim(&file, &path)?;
                Ok(Some(Opened { path, file }))
            }
            Ok(_) => Ok(None),
            Err(error) => {
                tracing::debug!(%error, "contents that were begun are gone");
                Ok(None)
            }
        }
    }

    /// Whether contents can be renamed to `target`, as far as that is known before.
    pub(super) fn suit(path: &Path, target: &Target) -> bool {
        let folder = path.parent().unwrap_or(path);
        on_same_mount(folder, target.folder()).unwrap_or(false)
    }

    /// Where new contents can be made and renamed to `target` from.
    ///
    /// # Errors
    /// As the file system has them.
    pub(super) fn choose(&self, target: &Target) -> io::Result<PathBuf> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let random = HEXLOWER.encode(&random);
        let folder = dunce::canonicalize(target.folder())?;
        Ok(if on_same_mount(self.folder, &folder)? {
            self.folder.join(format!("{INSIDE}-{random}"))
        } else {
            folder.join(format!("{}{random}.part", self.beside))
        })
    }

    /// Notes that contents are going to be made at `path`, and those at `old`, if any, to be
    /// carried over.
    ///
    /// # Errors
    /// As the file system has them.
    pub(super) fn begin(&self, path: &Path, old: Option<&Path>) -> io::Result<()> {
        if let Some(old) = old {
            self.note("left", old)?;
        }
        self.note("where", path)
    }

    /// Names in the folder are noted as such: a home may move.
    fn note(&self, note: &str, path: &Path) -> io::Result<()> {
        let path = path.strip_prefix(self.folder).unwrap_or(path);
        write_private(&self.folder.join(note), path.as_os_str().as_encoded_bytes())
    }

    /// Everything worth it was carried over.
    pub(super) fn forget_left(&self, old: Opened) -> io::Result<()> {
        fs::remove_file(&old.path)?;
        fs::remove_file(self.folder.join("left"))
    }
}

/// Makes new contents.
///
/// # Errors
/// Those of the file system, also if something is there.
pub(super) fn create(path: PathBuf) -> Result<Opened, Problem> {
    let mut options = File::options();
    let file = no_follow(options.read(true).write(true).create_new(true))
        .open(&path)
        // Its own name means nothing to a user.
        .map_err(|error| disk_problem("write into", path.parent().unwrap_or(&path), &error))?;
    claim(&file, &path)?;
    if let Some(folder) = path.parent() {
        sync_folder(folder).map_err(|error| disk_problem("sync", folder, &error))?;
    }
    Ok(Opened { path, file })
}

fn no_follow(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        options,
        rustix::fs::OFlags::NOFOLLOW.bits().cast_signed(),
    );
    options
}

/// Locks contents: two homes may name the same ones, if one is a copy of the other.
fn claim(file: &File, path: &Path) -> Result<(), Problem> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(in_use()),
        Err(error) => {
            // The home's own lock is held all the same.
            tracing::debug!(%error, path = %path.display(), "contents cannot be locked there");
            Ok(())
        }
    }
}

/// Locks the folder of a download, which is made if need be.
///
/// # Errors
/// `in_use` if another process has it; those of the file system.
pub(super) fn lock(folder: &Path) -> Result<File, Problem> {
    let path = folder.join("lock");
    let failed = |error: io::Error| disk_problem("lock", &path, &error);
    loop {
        convite_client::home::create_private_folder(folder)
            .map_err(|error| disk_problem("make", folder, &error))?;
        let file = match File::create(&path) {
            // Whoever finished just now has removed the folder.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file.map_err(failed)?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use()),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // The lock on a file that was removed meanwhile keeps nobody out.
        if is_at(&file, &path).map_err(failed)? {
            return Ok(file);
        }
    }
}

fn in_use() -> Problem {
    Problem::new(
        ErrorCode::InUse,
        "another process is fetching this file already",
    )
    .hint("wait for it, or use another --home")
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

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (here, there) = (file.metadata()?, fs::metadata(path));
    Ok(there.is_ok_and(|there| (here.dev(), here.ino()) == (there.dev(), there.ino())))
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

/// Whether files can be renamed from one folder to the other: file systems may be mounted in
/// several places, and rename(2) does not go from one of them to the other.
pub(super) fn on_same_mount(a: &Path, b: &Path) -> io::Result<bool> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
        let mount = |path: &Path| {
            let found = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?;
            // Before Linux 5.8 it is not told.
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
pub(super) fn same_device(a: &Path, b: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(fs::metadata(a)?.dev() == fs::metadata(b)?.dev())
}

#[cfg(not(unix))]
pub(super) fn same_device(a: &Path, b: &Path) -> io::Result<bool> {
    Ok(a.components().next() == b.components().next())
}
