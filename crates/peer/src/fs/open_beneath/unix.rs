//! Unix: opens each component relative to the previous folder and follows no link.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

/// Does not block on a pipe, and is not inherited by child processes.
const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);
const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

pub(super) fn open(root: &Path, inner: &str) -> io::Result<File> {
    if inner.is_empty() {
        return Ok(openat(CWD, root, READ, Mode::empty())?.into());
    }
    let folder = openat(CWD, root, FOLDER, Mode::empty())?;
    Ok(open_below(&folder, inner, READ)?.into())
}

/// Opens the folder `inner` below `folder`.
///
/// # Errors
/// Fails as the system does, also if a component is a symbolic link or not a folder.
pub(crate) fn open_folder_below(folder: &OwnedFd, inner: &str) -> io::Result<OwnedFd> {
    Ok(open_below(folder, inner, FOLDER)?)
}

fn open_below(folder: &OwnedFd, inner: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    if let Some(opened) = open_with_openat2(folder, inner, flags) {
        return opened;
    }
    open_by_components(folder, inner, flags)
}

/// Opens with openat2(2); `None` where the call is missing.
#[cfg(target_os = "linux")]
fn open_with_openat2(
    folder: &OwnedFd,
    inner: &str,
    flags: OFlags,
) -> Option<rustix::io::Result<OwnedFd>> {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{ResolveFlags, openat2};

    // Kernels before 5.6 and some sandboxes lack it. Checked once.
    static MISSING: AtomicBool = AtomicBool::new(false);
    if MISSING.load(Ordering::Relaxed) {
        return None;
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(folder, inner, flags, Mode::empty(), resolve) {
        Err(Errno::NOSYS | Errno::PERM) => {
            MISSING.store(true, Ordering::Relaxed);
            None
        }
        opened => Some(opened),
    }
}

fn open_by_components(folder: &OwnedFd, inner: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let (folders, name) = inner.rsplit_once('/').unwrap_or(("", inner));
    let mut last = None;
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        refuse_dots(part)?;
        let parent = last.as_ref().unwrap_or(folder);
        last = Some(openat(parent, part, FOLDER, Mode::empty())?);
    }
    refuse_dots(name)?;
    openat(last.as_ref().unwrap_or(folder), name, flags, Mode::empty())
}

fn refuse_dots(part: &str) -> rustix::io::Result<()> {
    if matches!(part, "" | "." | "..") {
        return Err(Errno::XDEV);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn opening_by_components_rejects_links_and_outside_paths() {
        let place = tempfile::tempdir().unwrap();
        let root = super::super::tests::share_with_traps(place.path());
        let folder = || openat(CWD, &root, FOLDER, Mode::empty()).unwrap();
        assert!(open_by_components(&folder(), "in/ner/file", READ).is_ok());
        for bad in super::super::tests::TRAPS {
            assert!(open_by_components(&folder(), bad, READ).is_err(), "{bad}");
        }
    }

    #[test]
    fn pipe_is_refused_without_blocking() {
        let place = tempfile::tempdir().unwrap();
        let pipe = place.path().join("pipe");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(CWD, &pipe, kind, Mode::RWXU, 0).unwrap();
        assert!(super::super::open(place.path(), "pipe").is_err());
        fs::remove_file(pipe).unwrap();
    }
}
