//! File system calls that some file systems lack, each with a fallback.
//!
//! FAT has no links and, through FUSE, often no `ftruncate`. Network file systems lack `renameat2`
//! flags, `fallocate` or `O_DIRECT`. A missing call is never an error here: each function documents
//! its slower or weaker fallback.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::fs::positioned_io::write_all_at;

/// Bytes of zeros per write where a file cannot be extended otherwise.
const ZEROS: usize = 1 << 20;

/// Returns whether an error means that the file system lacks a call, or lacks it for this file.
/// FUSE file systems return `EPERM` for calls that they do not implement.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let known = [
            Errno::PERM,
            Errno::INVAL,
            Errno::NOSYS,
            Errno::OPNOTSUPP,
            Errno::NOTSUP,
            Errno::NOTTY,
        ];
        Errno::from_io_error(error).is_some_and(|errno| known.contains(&errno))
    }
    #[cfg(not(unix))]
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput
    )
}

/// Turns the error of a missing call into `Ok`.
pub(crate) fn if_supported(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if is_unsupported(&error) => Ok(()),
        done => done,
    }
}

/// How a file was extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExtendMethod {
    /// By the file system, in one call.
    Truncate,
    /// By writing zeros. Such a file system may also lose data written beyond the end of a file, so
    /// data written there must be read back before it is relied on.
    WriteZeros,
}

/// Sets the length of a file to `size` bytes.
///
/// # Errors
/// Fails as the file system does; `Unsupported` if the file is longer than `size` and cannot be
/// truncated.
pub(crate) fn set_len(file: &File, size: u64) -> io::Result<ExtendMethod> {
    set_len_by(file, size, File::set_len)
}

fn set_len_by(
    file: &File,
    size: u64,
    set_len: impl Fn(&File, u64) -> io::Result<()>,
) -> io::Result<ExtendMethod> {
    let len = file.metadata()?.len();
    if len == size {
        return Ok(ExtendMethod::Truncate);
    }
    match set_len(file, size) {
        Err(error) if is_unsupported(&error) && len < size => {
            let zeros = vec![0; ZEROS];
            let mut at = len;
            while at < size {
                let count = zeros.len().min(usize::try_from(size - at).unwrap_or(ZEROS));
                write_all_at(file, &zeros[..count], at)?;
                at += count as u64;
            }
            Ok(ExtendMethod::WriteZeros)
        }
        Err(error) if is_unsupported(&error) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this file system cannot truncate a file",
        )),
        done => done.map(|()| ExtendMethod::Truncate),
    }
}

/// Returns the number of bytes that a file occupies on disk.
pub(crate) fn on_disk(about: &fs::Metadata) -> u64 {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::blocks(about).saturating_mul(512);
    #[cfg(not(unix))]
    return about.len();
}

/// Allocates disk space for the first `size` bytes of a file, and extends it to that length. Does
/// nothing where the call is missing or the space is already allocated.
///
/// # Errors
/// Fails as the file system does, with `StorageFull` or a quota error if there is not enough space.
pub(crate) fn reserve(file: &File, size: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        let about = file.metadata()?;
        if size == 0 || (on_disk(&about) >= size && about.len() >= size) {
            return Ok(());
        }
        let taken = fallocate(file, FallocateFlags::empty(), 0, size);
        if_supported(taken.map_err(io::Error::from))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, size);
        Ok(())
    }
}

/// Deallocates the disk space of a range of a file, which reads as zeros afterwards. Does nothing
/// where the call is missing.
///
/// # Errors
/// Fails as the file system does.
pub(crate) fn release(file: &File, range: &std::ops::Range<u64>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let given = fallocate(file, flags, range.start, range.end - range.start);
        if_supported(given.map_err(io::Error::from))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (file, range);
        Ok(())
    }
}

/// Flushes the data of a file to disk.
///
/// # Errors
/// Fails as the disk does.
pub(crate) fn sync_data(file: &File) -> io::Result<()> {
    if_supported(file.sync_data())
}

/// Flushes the data, length and times of a file to disk.
///
/// # Errors
/// Fails as the disk does.
pub(crate) fn sync_all(file: &File) -> io::Result<()> {
    if_supported(file.sync_all())
}

/// Returns whether the file system records a change time that programs cannot set. FAT records
/// none, and those of FUSE and network file systems depend on their implementation.
pub(crate) fn keeps_change_times(file: &File) -> bool {
    #[cfg(target_os = "linux")]
    {
        /// Magic numbers from `statfs(2)`: ext2 to ext4, XFS, Btrfs, tmpfs, overlayfs, F2FS, ZFS,
        /// bcachefs.
        const WITH_CHANGE_TIMES: [u32; 8] = [
            0xef53,
            0x5846_5342,
            0x9123_683e,
            0x0102_1994,
            0x794c_7630,
            0xf2f5_2010,
            0x2fc1_2fc1,
            0xca45_1a4e,
        ];
        // The width of the field differs between systems; the magic number is its lower half.
        rustix::fs::fstatfs(file)
            .is_ok_and(|about| WITH_CHANGE_TIMES.contains(&(about.f_type as u32)))
    }
    #[cfg(all(unix, not(target_os = "linux")))]
    {
        let _ = file;
        true
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}

/// Removes a file if it exists.
///
/// # Errors
/// Fails as the file system does.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Returns whether `path` names the open file.
pub(crate) fn is_same_file(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let (Ok(open), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else {
            return false;
        };
        (open.dev(), open.ino()) == (there.dev(), there.ino())
    }
    #[cfg(not(unix))]
    {
        // An open file cannot be replaced on this system.
        let _ = file;
        path.is_file()
    }
}

/// Renames atomically without replacing an existing file.
///
/// # Errors
/// Returns `AlreadyExists` if `to` exists and `CrossesDevices` if it is on another file system.
/// Fails otherwise as the file system does.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    rename_new_by(from, to, rename_no_replace, |from, to| {
        fs::hard_link(from, to)
    })
}

#[cfg(target_os = "linux")]
fn rename_no_replace(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

#[cfg(not(target_os = "linux"))]
fn rename_no_replace(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The fallback links and unlinks. Without links it creates an empty file under the name and
/// renames over it.
fn rename_new_by(
    from: &Path,
    to: &Path,
    rename: impl Fn(&Path, &Path) -> io::Result<()>,
    link: impl Fn(&Path, &Path) -> io::Result<()>,
) -> io::Result<()> {
    use io::ErrorKind::{AlreadyExists, CrossesDevices, Unsupported};
    match rename(from, to) {
        Err(error) if is_unsupported(&error) || error.kind() == Unsupported => {}
        done => return done,
    }
    match link(from, to) {
        Ok(()) => {
            // The file is in place, even if its old name cannot be removed.
            let _ = fs::remove_file(from);
            Ok(())
        }
        Err(error) if matches!(error.kind(), AlreadyExists | CrossesDevices) => Err(error),
        Err(_) => {
            let taken = File::create_new(to)?;
            fs::rename(from, to).inspect_err(|_| {
                if is_same_file(&taken, to) {
                    let _ = fs::remove_file(to);
                }
            })
        }
    }
}

/// Returns whether the error means that the process or the system has too many open files.
pub(crate) fn is_too_many_open_files(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let error = Errno::from_io_error(error);
        matches!(error, Some(Errno::MFILE | Errno::NFILE))
    }
    #[cfg(windows)]
    {
        const ERROR_TOO_MANY_OPEN_FILES: i32 = 4;
        error.raw_os_error() == Some(ERROR_TOO_MANY_OPEN_FILES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The errors that file systems return for missing calls.
    #[cfg(unix)]
    const MISSING: [rustix::io::Errno; 4] = [
        rustix::io::Errno::PERM,
        rustix::io::Errno::INVAL,
        rustix::io::Errno::NOSYS,
        rustix::io::Errno::OPNOTSUPP,
    ];

    #[cfg(unix)]
    #[test]
    fn file_is_filled_with_zeros_if_truncate_is_unsupported() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, b"kept").unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        let size = ZEROS as u64 + 4321;
        for errno in MISSING {
            file.set_len(4).unwrap();
            let extended = set_len_by(&file, size, |_, _| Err(errno.into())).unwrap();
            assert_eq!(extended, ExtendMethod::WriteZeros);
            let bytes = fs::read(&path).unwrap();
            assert_eq!((bytes.len() as u64, &bytes[..4]), (size, &b"kept"[..]));
            assert!(bytes[4..].iter().all(|byte| *byte == 0));
            // A file that is too long must not be used.
            let refused = set_len_by(&file, 10, |_, _| Err(errno.into())).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
        }
        let full = |_: &File, _| Err(rustix::io::Errno::NOSPC.into());
        let refused = set_len_by(&file, 2 * size, full).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    }

    #[cfg(unix)]
    #[test]
    fn rename_fallbacks_replace_nothing() {
        type Call = fn(&Path, &Path) -> io::Result<()>;
        let missing: Call = |_, _| Err(rustix::io::Errno::PERM.into());
        let link: Call = |from, to| fs::hard_link(from, to);
        let ways: [(Call, Call); 3] = [
            (rename_no_replace, missing),
            (missing, link),
            (missing, missing),
        ];
        for (rename, link) in ways {
            let place = tempfile::tempdir().unwrap();
            let (from, to) = (place.path().join("from"), place.path().join("to"));
            let move_new = || rename_new_by(&from, &to, rename, link);
            fs::write(&from, b"one").unwrap();
            move_new().unwrap();
            assert_eq!(fs::read(&to).unwrap(), b"one");
            assert!(!from.exists());
            fs::write(&from, b"two").unwrap();
            let refused = move_new().unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&to).unwrap(), b"one");
            fs::remove_file(&to).unwrap();
            fs::remove_file(&from).unwrap();
            assert!(move_new().is_err());
            let left = fs::read_dir(place.path()).unwrap().count();
            assert_eq!(left, 0, "an empty file was left");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn allocated_space_is_released() {
        let here = std::env::current_exe().unwrap();
        let place = tempfile::tempdir_in(here.parent().unwrap()).unwrap();
        let file = File::create_new(place.path().join("file")).unwrap();
        reserve(&file, 1 << 20).unwrap();
        let taken = || on_disk(&file.metadata().unwrap());
        if taken() == 0 {
            // This file system cannot allocate space.
            return;
        }
        assert!(taken() >= 1 << 20);
        release(&file, &(65_536..1 << 20)).unwrap();
        assert!(taken() < 1 << 20);
        assert_eq!(file.metadata().unwrap().len(), 1 << 20);
    }
}
