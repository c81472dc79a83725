//! Windows: no link is followed in the last part, and the folders before it are held open, in a
//! way in which nobody can rename, remove or replace them, until the file is.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;

use super::Identity;

// Of CreateFileW.
const FILE_SHARE_READ: u32 = 1;
const FILE_SHARE_WRITE: u32 = 2;
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

/// From 1601, when the times of files begin, to 1970, in steps of 100 ns.
const TO_1970: i64 = 116_444_736_000_000_000;

pub(super) fn open(root: &Path, inner: &str) -> io::Result<File> {
    if inner.is_empty() {
        return no_link(open_as_it_is(root)?);
    }
    let mut place = root.to_path_buf();
    let mut held = vec![hold(&place)?];
    let (folders, name) = inner.rsplit_once('/').unwrap_or(("", inner));
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        place.push(plain(part)?);
        held.push(hold(&place)?);
    }
    place.push(plain(name)?);
    let file = no_link(open_as_it_is(&place)?)?;
    // An empty folder can be made a link while it is held: then nothing below it is what was meant.
    for folder in held {
        no_link(folder)?;
    }
    Ok(file)
}

pub(super) fn identity_of(file: &File) -> io::Result<Identity> {
    let about = winapi_util::file::information(file)?;
    let modified = about.last_write_time().unwrap_or_default().cast_signed();
    Ok(Identity {
        device: about.volume_serial_number(),
        inode: about.file_index(),
        size: about.file_size(),
        modified_ns: modified.saturating_sub(TO_1970).saturating_mul(100),
    })
}

/// The number of a file is told only of one that is open.
pub(super) fn identity_at(path: &Path, _: &Metadata) -> io::Result<Identity> {
    identity_of(&open_as_it_is(path)?)
}

/// Opens what is there to be read: a link itself, not what it leads to.
fn open_as_it_is(path: &Path) -> io::Result<File> {
    let flags = FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// Opens a folder, which then keeps its name.
fn hold(path: &Path) -> io::Result<File> {
    let folder = OpenOptions::new()
        .read(true)
        .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS)
        .open(path)?;
    if !folder.metadata()?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    no_link(folder)
}

/// # Errors
/// `InvalidInput` for a link, of whatever kind.
fn no_link(file: File) -> io::Result<File> {
    match file.metadata()?.is_symlink() {
        true => Err(io::Error::new(io::ErrorKind::InvalidInput, "a link")),
        false => Ok(file),
    }
}

/// A name of one part: it leads nowhere else, and names no stream of a file (`file:stream`).
fn plain(part: &str) -> io::Result<&str> {
    if matches!(part, "" | "." | "..") || part.contains(['\\', '/', ':']) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no name"));
    }
    Ok(part)
}
