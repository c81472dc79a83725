//! The stamp of a file, which changes with any write to the file.

use std::fs::File;
use std::io;
use std::time::{Duration, SystemTime};

use crate::fs::fallbacks::keeps_change_times;

/// The longest time that a file system's clock may stand still. Two changes within that time may
/// have the same change time. Linux before 6.13 counts in ticks of up to 10 ms...
const TICK_FINE: Duration = Duration::from_millis(20);
/// ...and ext4 with small inodes in seconds.
const TICK_SECONDS: Duration = Duration::from_millis(1_020);

/// Metadata of a file: an equal stamp means equal contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStamp {
    inode: u64,
    len: u64,
    modified_ns: i128,
    changed_ns: i128,
}

impl FileStamp {
    /// Returns the stamp of a file; `None` where the file system records no reliable times.
    ///
    /// # Errors
    /// Fails as the file system does.
    pub(crate) fn of(file: &File) -> io::Result<Option<Self>> {
        if !keeps_change_times(file) {
            return Ok(None);
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let about = file.metadata()?;
            let ns = |seconds: i64, ns: i64| i128::from(seconds) * 1_000_000_000 + i128::from(ns);
            Ok(Some(Self {
                inode: about.ino(),
                len: about.len(),
                modified_ns: ns(about.mtime(), about.mtime_nsec()),
                changed_ns: ns(about.ctime(), about.ctime_nsec()),
            }))
        }
        #[cfg(not(unix))]
        Ok(None)
    }

    /// Returns how long from now another change may still get the same change time.
    pub(crate) fn unsettled_for(&self) -> Duration {
        let step = match self.changed_ns % 1_000_000_000 {
            0 => TICK_SECONDS,
            _ => TICK_FINE,
        };
        let changed = u64::try_from(self.changed_ns / 1_000_000).unwrap_or(0);
        let changed = SystemTime::UNIX_EPOCH + Duration::from_millis(changed);
        // A change time in the future is never settled.
        let age = SystemTime::now().duration_since(changed);
        age.map_or(step, |age| step.saturating_sub(age))
    }

    /// Returns the stamp as stored in a checkpoint.
    pub(crate) fn text(&self) -> String {
        let Self {
            inode,
            len,
            modified_ns,
            changed_ns,
        } = self;
        format!("{inode} {len} {modified_ns} {changed_ns}")
    }
}
