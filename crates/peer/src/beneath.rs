//! Opening a shared file without ever leaving its share: no symbolic link is followed in any
//! part of the path below the root, whatever someone puts there between a scan and now.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

/// What a file is to the system, and when it last changed: the same identity, the same contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The device it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// In bytes.
    pub size: u64,
    /// When it was modified, in nanoseconds since 1970.
    pub modified_ns: i64,
}

impl Identity {
    /// From what `stat` says.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified_ns: metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec()),
        }
    }

    /// When it was modified, in seconds since 1970.
    pub fn modified_seconds(&self) -> i64 {
        self.modified_ns.div_euclid(1_000_000_000)
    }
}

/// Not to hang on a pipe that took a file's place, and to pass nothing on to other programs.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);
const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Opens the regular file `inner` below `root`, or `root` itself if `inner` is empty.
///
/// # Errors
/// What the system says; `InvalidInput` if it is not a regular file; a symbolic link anywhere
/// below the root is an error (`ELOOP` or `ENOTDIR`).
pub fn open(root: &Path, inner: &str) -> io::Result<(File, Identity)> {
    let file: File = if inner.is_empty() {
        openat(CWD, root, READ, Mode::empty())?.into()
    } else {
        let folder = openat(CWD, root, FOLDER, Mode::empty())?;
        open_below(folder, inner)?.into()
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    Ok((file, Identity::of(&metadata)))
}

fn open_below(folder: OwnedFd, inner: &str) -> rustix::io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    if let Some(opened) = open_at_once(&folder, inner) {
        return opened;
    }
    open_by_parts(folder, inner)
}

/// openat2(2); none where there is no such call.
#[cfg(target_os = "linux")]
fn open_at_once(folder: &OwnedFd, inner: &str) -> Option<rustix::io::Result<OwnedFd>> {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{ResolveFlags, openat2};

    // Kernels before 5.6 and some sandboxes have none; that is found out once.
    static MISSING: AtomicBool = AtomicBool::new(false);
    if MISSING.load(Ordering::Relaxed) {
        return None;
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(folder, inner, READ, Mode::empty(), resolve) {
        Err(Errno::NOSYS | Errno::PERM) => {
            MISSING.store(true, Ordering::Relaxed);
            None
        }
        opened => Some(opened),
    }
}

fn open_by_parts(mut folder: OwnedFd, inner: &str) -> rustix::io::Result<OwnedFd> {
    let (folders, name) = inner.rsplit_once('/').unwrap_or(("", inner));
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        refuse_dots(part)?;
        folder = openat(&folder, part, FOLDER, Mode::empty())?;
    }
    refuse_dots(name)?;
    openat(&folder, name, READ, Mode::empty())
}

fn refuse_dots(part: &str) -> rustix::io::Result<()> {
    if matches!(part, "" | "." | "..") {
        return Err(Errno::XDEV);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_outside_and_no_link_is_opened() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("share");
        fs::create_dir_all(root.join("in/ner")).unwrap();
        fs::create_dir(place.path().join("out")).unwrap();
        fs::write(place.path().join("out/secret"), "s").unwrap();
        fs::write(root.join("in/ner/file"), "f").unwrap();
        symlink(place.path().join("out"), root.join("folder-link")).unwrap();
        symlink(place.path().join("out/secret"), root.join("file-link")).unwrap();
        symlink("in", root.join("inside-link")).unwrap();
        rustix::fs::mknodat(
            CWD,
            root.join("pipe"),
            rustix::fs::FileType::Fifo,
            Mode::RWXU,
            0,
        )
        .unwrap();

        assert!(open(&root, "in/ner/file").is_ok());
        assert!(open(&root.join("in/ner/file"), "").is_ok());
        let folder = || openat(CWD, &root, FOLDER, Mode::empty()).unwrap();
        assert!(open_by_parts(folder(), "in/ner/file").is_ok());
        for bad in [
            "folder-link/secret",
            "file-link",
            "inside-link/ner/file",
            "../out/secret",
            "in/../../out/secret",
            "/etc/passwd",
        ] {
            assert!(open(&root, bad).is_err(), "{bad}");
            assert!(open_by_parts(folder(), bad).is_err(), "{bad}");
        }
        for not_a_file in ["pipe", "in"] {
            assert!(open(&root, not_a_file).is_err(), "{not_a_file}");
        }
        assert!(open(&root.join("file-link"), "").is_err());
    }
}
