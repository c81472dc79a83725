//! Checks of the disk: its free space, and whether the database file is still in place.
//!
//! A full disk must not stop heartbeats and logins, so space is reserved for them:
//! - Blocks for the write-ahead log are reserved ([`reserve_log`]), so that a commit has space.
//! - The table `reserve` holds pages of the database. It is emptied when the disk is full
//!   ([`keep_reserve`]), so that new sessions fit into the existing file.
//!
//! Changes that add data are refused while less than that is free ([`Disk::check`]).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use crate::error::{DbError, DbResult};

/// Bytes reserved for the write-ahead log. It is checkpointed long before it reaches this size,
/// except by large changes, which are refused when the disk is full.
#[cfg(any(target_os = "linux", target_os = "android"))]
const LOG: u64 = 8 << 20;
/// Size of the table `reserve` in bytes.
const ROOM: u32 = 2 << 20;
/// Below this many free bytes, the log is checkpointed early.
const CAREFUL: u64 = 256 << 20;
/// Below this many free bytes, only heartbeats, logins and removals are accepted.
const FULL: u64 = 4 << 20;

/// Amount of data that a change adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Adds {
    /// Some rows.
    Some,
    /// Very many rows: published files.
    Much,
}

/// State of the disk and the database file.
pub(super) struct Disk {
    path: PathBuf,
    /// Identity of the opened file.
    file: Option<FileId>,
    /// Below this many free bytes, publications are refused.
    reserve: u64,
    /// Whether the table `reserve` is known to be filled.
    holds_reserve: AtomicBool,
}

/// Device and inode of a file.
type FileId = (u64, u64);

#[cfg(unix)]
fn file_id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// On other systems, an open file cannot be removed or replaced.
#[cfg(not(unix))]
fn file_id(_: &Path) -> Option<FileId> {
    None
}

impl Disk {
    /// Creates the state for the open database at `path`. Publications leave `reserve` bytes free,
    /// or a twentieth of a small disk.
    pub(super) fn new(path: &Path, reserve: u64) -> Self {
        let whole = fs4::total_space(folder_of(path)).unwrap_or(u64::MAX);
        Self {
            path: path.to_path_buf(),
            file: file_id(path),
            reserve: reserve.min(whole / 20),
            holds_reserve: AtomicBool::new(false),
        }
    }

    /// Checks that the database file has not been removed or replaced.
    ///
    /// # Errors
    /// Returns `unavailable` if it was removed or replaced after it was opened: data written to the
    /// open file would be lost when this process ends.
    pub(super) fn check_file(&self) -> DbResult<()> {
        if self.file.is_none() || file_id(&self.path) == self.file {
            return Ok(());
        }
        Err(DbError::FileReplaced)
    }

    /// Refuses a change that would fill the disk.
    ///
    /// # Errors
    /// Returns `no_space` if too little space is free.
    pub(super) fn check(&self, adds: Adds) -> DbResult<()> {
        let (least, free) = match adds {
            Adds::Some => (FULL.min(self.reserve), self.free()),
            Adds::Much => (self.reserve, self.free()),
        };
        match free {
            Some(free) if free < least => Err(DbError::NoSpace(free)),
            _ => Ok(()),
        }
    }

    /// Returns the free bytes, or `None` if they cannot be determined. Not cached: a query costs
    /// about a microsecond, and with an old value, writes could use up the space reserved for the
    /// log.
    fn free(&self) -> Option<u64> {
        fs4::available_space(folder_of(&self.path)).ok()
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Reserves blocks for the write-ahead log of the database at `path`, beyond its current end. Some
/// file systems do not support this; then nothing is reserved.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn reserve_log(path: &Path) {
    let mut log = path.to_path_buf().into_os_string();
    log.push("-wal");
    let reserved = std::fs::OpenOptions::new()
        .write(true)
        .open(&log)
        .and_then(|file| {
            let keep = rustix::fs::FallocateFlags::KEEP_SIZE;
            Ok(rustix::fs::fallocate(file, keep, 0, LOG)?)
        });
    if let Err(error) = reserved {
        tracing::debug!(%error, "cannot reserve space for the write-ahead log");
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn reserve_log(_: &Path) {}

/// Fills the table `reserve` while there is plenty of space, and empties it when the disk is full.
pub(super) fn keep_reserve(db: &Connection, disk: &Disk) -> rusqlite::Result<()> {
    let Some(free) = disk.free() else {
        return Ok(());
    };
    if free < CAREFUL {
        settle(db, disk)?;
    }
    let holds = disk.holds_reserve.load(Ordering::Relaxed);
    if holds && free < FULL {
        db.prepare_cached("DELETE FROM reserve")?.execute([])?;
        disk.holds_reserve.store(false, Ordering::Relaxed);
    }
    if !holds && free >= disk.reserve.saturating_add(ROOM.into()) {
        let held: i64 = db
            .prepare_cached("SELECT count(*) FROM reserve")?
            .query_row([], |row| row.get(0))?;
        if held == 0 {
            db.prepare_cached("INSERT INTO reserve (room) VALUES (zeroblob(?))")?
                .execute([ROOM])?;
        }
        disk.holds_reserve.store(true, Ordering::Relaxed);
        settle(db, disk)?;
    }
    Ok(())
}

/// Extends the file to the size of the database while there is space. Pages that exist only in the
/// log could not be checkpointed on a full disk, and the log would grow.
fn settle(db: &Connection, disk: &Disk) -> rusqlite::Result<()> {
    let number = |pragma: &str| db.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let bytes = number("PRAGMA page_count")?.saturating_mul(number("PRAGMA page_size")?);
    let length = std::fs::metadata(&disk.path).map_or(i64::MAX, |found| found.len() as i64);
    if bytes > length {
        db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    }
    Ok(())
}
