//! The identity of a file: equal identities mean equal contents.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

#[cfg(windows)]
pub(crate) use system::open_without_following;

/// The time after a change within which a later change of the same file may get the same change
/// time: on file systems that count whole seconds (2 s on FAT)...
const CLOCK_TICK_COARSE: Duration = Duration::from_secs(2);
/// ...and where the kernel's clock tick decides (10 ms at most).
const CLOCK_TICK_FINE: Duration = Duration::from_millis(100);

/// Identifies a file and its last change. Equal identities mean equal contents, unless the first
/// identity was taken [too early](FileIdentity::changed_too_recently) or a program writes through a
/// memory map, which updates the times late or never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileIdentity {
    /// The device number.
    pub device: u64,
    /// The inode number.
    pub inode: u64,
    /// The size in bytes.
    pub size: u64,
    /// The modification time in nanoseconds since 1970. Any program can set it.
    pub modified_ns: i64,
    /// The time of the last change of contents, name or attributes (`ctime`), in nanoseconds since
    /// the year 1970. No program can set it. Where the system has none (Windows), it is the
    /// modification time.
    pub changed_ns: i64,
    /// Whether anybody may execute the file. Always false where files have no such bit (Windows).
    pub executable: bool,
}

impl FileIdentity {
    /// Returns the identity of an open file.
    ///
    /// # Errors
    /// Fails as the system does.
    pub fn of(file: &File) -> io::Result<Self> {
        system::identity_of(file)
    }

    /// Returns the identity of the file at `path`, without following a symbolic link. `metadata`
    /// was just read there; nothing is read again if it contains everything.
    ///
    /// # Errors
    /// Fails as the system does.
    pub fn at(path: &Path, metadata: &Metadata) -> io::Result<Self> {
        system::identity_at(path, metadata)
    }

    /// Returns whether the file changed so shortly before `now` that another change might not
    /// change its times. Contents read at `now` cannot be relied on later.
    pub fn changed_too_recently(&self, now: SystemTime) -> bool {
        let tick = match self.changed_ns % 1_000_000_000 {
            0 => CLOCK_TICK_COARSE,
            _ => CLOCK_TICK_FINE,
        };
        u128::from(self.changed_ns.abs_diff(nanoseconds(now))) < tick.as_nanos()
    }

    /// Returns whether the change time is a separate value. On file systems without one (FAT) it
    /// equals the modification time, in whole seconds.
    pub fn has_change_time(&self) -> bool {
        self.changed_ns != self.modified_ns || self.changed_ns % 1_000_000_000 != 0
    }

    /// Returns the modification time in seconds since 1970.
    pub fn modified_seconds(&self) -> i64 {
        self.modified_ns.div_euclid(1_000_000_000)
    }
}

fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}

#[cfg(unix)]
mod system {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    pub(super) fn identity_of(file: &File) -> io::Result<FileIdentity> {
        file.metadata().map(|metadata| identity(&metadata))
    }

    pub(super) fn identity_at(_: &Path, metadata: &Metadata) -> io::Result<FileIdentity> {
        Ok(identity(metadata))
    }

    fn identity(metadata: &Metadata) -> FileIdentity {
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        FileIdentity {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            executable: metadata.mode() & 0o111 != 0,
        }
    }
}

#[cfg(windows)]
mod system {
    use std::fs::OpenOptions;
    use std::os::windows::fs::OpenOptionsExt;

    use super::*;

    // From CreateFileW.
    const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

    /// The time from 1601, the epoch of file times, to 1970 in units of 100 ns.
    const TO_1970: i64 = 116_444_736_000_000_000;

    pub(super) fn identity_of(file: &File) -> io::Result<FileIdentity> {
        let about = winapi_util::file::information(file)?;
        let modified = about.last_write_time().unwrap_or_default().cast_signed();
        let modified_ns = modified.saturating_sub(TO_1970).saturating_mul(100);
        Ok(FileIdentity {
            device: about.volume_serial_number(),
            inode: about.file_index(),
            size: about.file_size(),
            modified_ns,
            // GetFileInformationByHandle returns no change time.
            changed_ns: modified_ns,
            executable: false,
        })
    }

    /// The file number is available only for an open file.
    pub(super) fn identity_at(path: &Path, _: &Metadata) -> io::Result<FileIdentity> {
        identity_of(&open_without_following(path)?)
    }

    /// Opens a file for reading without following a link.
    pub(crate) fn open_without_following(path: &Path) -> io::Result<File> {
        let flags = FILE_FLAG_OPEN_REPARSE_POINT | FILE_FLAG_BACKUP_SEMANTICS;
        OpenOptions::new().read(true).custom_flags(flags).open(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_within_one_clock_tick_are_too_recent() {
        let at = |ns: u64| SystemTime::UNIX_EPOCH + Duration::from_nanos(ns);
        let changed = |changed_ns| FileIdentity {
            device: 1,
            inode: 1,
            size: 1,
            modified_ns: 0,
            changed_ns,
            executable: false,
        };
        let fine = changed(5_000_000_001);
        assert!(fine.changed_too_recently(at(5_000_000_001)));
        assert!(fine.changed_too_recently(at(5_099_999_999)));
        assert!(!fine.changed_too_recently(at(5_100_000_001)));
        let coarse = changed(5_000_000_000);
        assert!(coarse.changed_too_recently(at(6_999_999_999)));
        assert!(!coarse.changed_too_recently(at(7_000_000_000)));
    }
}
