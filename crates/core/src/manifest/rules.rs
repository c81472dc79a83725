//! The rules that every manifest keeps, whether it is encoded or decoded.

use super::entry::{EntryRef, ManifestSummary};
use crate::display;
use crate::entry_kind::EntryKind;
use crate::error::{ErrorCode, Problem};
use crate::hash::ContentHash;
use crate::path::PART_MAX;

/// The maximum number of entries of one manifest (one level of a folder).
pub const LEVEL_MAX: usize = 1_000_000;
/// The maximum number of files of a folder, on all levels.
pub const FILES_MAX: u64 = 5_000_000;
/// The maximum size of a folder in bytes, on all levels: 8 PiB.
pub const FOLDER_SIZE_MAX: u64 = 1 << 53;

/// Checks the entries of one manifest in order, and sums them up.
#[derive(Debug)]
pub(super) struct LevelCheck {
    announced: usize,
    seen: usize,
    last: String,
    files: u64,
    size: u64,
    empty: ContentHash,
}

impl LevelCheck {
    /// Creates the check of a manifest that announces `entries` entries.
    ///
    /// # Errors
    /// Returns `too_large` above [`LEVEL_MAX`].
    pub(super) fn new(entries: usize) -> Result<Self, Problem> {
        if entries > LEVEL_MAX {
            return Err(too_large(format!(
                "a folder has {entries} entries in one level; {LEVEL_MAX} are allowed"
            )));
        }
        Ok(Self {
            announced: entries,
            seen: 0,
            last: String::new(),
            files: 0,
            size: 0,
            empty: ContentHash::EMPTY,
        })
    }

    /// Returns the number of announced entries.
    pub(super) fn announced(&self) -> usize {
        self.announced
    }

    /// Returns the number of files and of bytes so far.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.files, self.size)
    }

    /// Adds the next entry.
    pub(super) fn add(&mut self, entry: &EntryRef<'_>) -> Result<(), Problem> {
        if self.seen == self.announced {
            return Err(Problem::invalid(format!(
                "a manifest has more than the {} entries that it announces",
                self.announced
            )));
        }
        check_name(entry.name)?;
        if self.seen > 0 && self.last.as_str() >= entry.name {
            return Err(Problem::invalid(format!(
                "a manifest lists '{}' after '{}': its names must be unique and sorted by bytes",
                shown(entry.name),
                shown(&self.last)
            )));
        }
        self.check_values(entry)?;
        self.files = sum(self.files, entry.files, FILES_MAX, "files")?;
        self.size = sum(self.size, entry.size, FOLDER_SIZE_MAX, "bytes")?;
        self.last.clear();
        self.last.push_str(entry.name);
        self.seen += 1;
        Ok(())
    }

    fn check_values(&self, entry: &EntryRef<'_>) -> Result<(), Problem> {
        let fault = match entry.kind {
            EntryKind::File if entry.files != 1 => "a file that counts as several",
            EntryKind::File
                if entry.size == 0 && (entry.crc32 != 0 || entry.hash != self.empty) =>
            {
                "an empty file with a hash or CRC-32 of other contents"
            }
            EntryKind::Folder if entry.crc32 != 0 => "a folder with a CRC-32",
            EntryKind::Folder if entry.files == 0 && entry.size != 0 => {
                "a folder with bytes but without files"
            }
            _ => return Ok(()),
        };
        Err(Problem::invalid(format!(
            "a manifest lists '{}', {fault}",
            shown(entry.name)
        )))
    }

    /// Returns the summary, with `hash` as the folder hash.
    ///
    /// # Errors
    /// Returns `invalid_argument` if entries are missing.
    pub(super) fn finish(self, hash: ContentHash) -> Result<ManifestSummary, Problem> {
        if self.seen != self.announced {
            return Err(Problem::invalid(format!(
                "a manifest has {} of the {} entries that it announces",
                self.seen, self.announced
            )));
        }
        Ok(ManifestSummary {
            hash,
            entries: self.seen,
            files: self.files,
            size: self.size,
        })
    }
}

/// Checks that `name` may stand in a manifest: one part of a safe path, not hidden.
fn check_name(name: &str) -> Result<(), Problem> {
    let fault = if name.is_empty() {
        "is empty"
    } else if name.len() > PART_MAX {
        "is longer than 255 bytes"
    } else if name.contains(['/', '\0']) {
        "contains '/' or NUL"
    } else if name.starts_with('.') {
        // Includes '.' and '..'.
        "begins with a dot: hidden names are not shared"
    } else {
        return Ok(());
    };
    Err(Problem::invalid(format!(
        "the name '{}' in a manifest {fault}",
        shown(name)
    )))
}

fn sum(total: u64, more: u64, max: u64, what: &str) -> Result<u64, Problem> {
    match total.checked_add(more) {
        Some(total) if total <= max => Ok(total),
        _ => Err(too_large(format!(
            "a folder has more than {max} {what}, the maximum"
        ))),
    }
}

fn too_large(message: String) -> Problem {
    Problem::new(ErrorCode::TooLarge, message)
}

/// Returns an untrusted name for an error message.
fn shown(name: &str) -> String {
    display::escape(name).chars().take(200).collect()
}
