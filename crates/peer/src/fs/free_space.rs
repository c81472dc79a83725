//! The free space on a disk, and the part of it that is kept for the owner of the disk.

use std::path::Path;

/// The maximum space kept free on a disk for its owner, in bytes.
const RESERVE_MAX: u64 = 1 << 30;

/// Space on a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) total: u64,
    pub(crate) free: u64,
}

impl Space {
    /// Returns the space on the file system of `place`; `None` if it does not report its size.
    pub(crate) fn of(place: &Path) -> Option<Self> {
        let disk = fs4::statvfs(place).ok()?;
        let (total, free) = (disk.total_space(), disk.available_space());
        (total > 0).then_some(Self { total, free })
    }

    /// Returns the space kept free for the owner: 5 % or 1 GiB, whichever is less.
    pub(crate) fn reserve(self) -> u64 {
        (self.total / 20).min(RESERVE_MAX)
    }
}
