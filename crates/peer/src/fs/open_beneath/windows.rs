//! Windows: follows no link in the last component, and holds the folders before it open, so that
//! they cannot be renamed, removed or replaced until the file is open.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;

use crate::fs::identity::open_without_following;

// From CreateFileW.
const FILE_SHARE_READ: u32 = 1;
const FILE_SHARE_WRITE: u32 = 2;
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

pub(super) fn open(root: &Path, inner: &str) -> io::Result<File> {
    if inner.is_empty() {
        return reject_link(open_without_following(root)?);
    }
    let mut place = root.to_path_buf();
    let mut held = vec![open_folder_locked(&place)?];
    let (folders, name) = inner.rsplit_once('/').unwrap_or(("", inner));
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        place.push(check_component(part)?);
        held.push(open_folder_locked(&place)?);
    }
    place.push(check_component(name)?);
    let file = reject_link(open_without_following(&place)?)?;
    // An empty folder can be turned into a link while it is held, so check for links again.
    for folder in held {
        reject_link(folder)?;
    }
    Ok(file)
}

/// Opens a folder in a way that keeps it from being renamed.
pub(crate) fn open_folder_locked(path: &Path) -> io::Result<File> {
    let folder = OpenOptions::new()
        .read(true)
        .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS)
        .open(path)?;
    if !folder.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    reject_link(folder)
}

/// # Errors
/// Returns `InvalidInput` for a link of any kind.
fn reject_link(file: File) -> io::Result<File> {
    if file.metadata()?.is_symlink() {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is a symbolic link",
        ))
    } else {
        Ok(file)
    }
}

/// Checks that a name is a single component and names no stream of a file (`file:stream`).
pub(crate) fn check_component(part: &str) -> io::Result<&str> {
    if matches!(part, "" | "." | "..") || part.contains(['\\', '/', ':']) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a file name",
        ));
    }
    Ok(part)
}
