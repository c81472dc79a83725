//! Unix: each part of the path from the folder before it, and no link followed.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::Identity;

/// Not to hang on a pipe that took a file's place, and to pass nothing on to other programs.
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
    Ok(open_below(folder, inner)?.into())
}

pub(super) fn identity_of(file: &File) -> io::Result<Identity> {
    file.metadata().map(|metadata| identity(&metadata))
}

pub(super) fn identity_at(_: &Path, metadata: &Metadata) -> io::Result<Identity> {
    Ok(identity(metadata))
}

fn identity(metadata: &Metadata) -> Identity {
    Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified_ns: metadata
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.mtime_nsec()),
    }
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
    use std::fs;

    use super::*;

    #[test]
    fn part_by_part_nothing_outside_and_no_link_is_opened_either() {
        let place = tempfile::tempdir().unwrap();
        let root = super::super::tests::share_with_traps(place.path());
        let folder = || openat(CWD, &root, FOLDER, Mode::empty()).unwrap();
        assert!(open_by_parts(folder(), "in/ner/file").is_ok());
        for bad in super::super::tests::TRAPS {
            assert!(open_by_parts(folder(), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pipe_in_the_place_of_a_file_is_refused_and_keeps_nobody_waiting() {
        let place = tempfile::tempdir().unwrap();
        let pipe = place.path().join("pipe");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(CWD, &pipe, kind, Mode::RWXU, 0).unwrap();
        assert!(super::super::open(place.path(), "pipe").is_err());
        fs::remove_file(pipe).unwrap();
    }
}
