//! The tables of the cache.

use convite_core::EntryKind;
use convite_core::model::FileEntry;
use redb::TableDefinition;

use crate::fs::volume::CacheKeyRow;

/// Key → content hash, CRC-32.
pub(super) const FILES: TableDefinition<CacheKeyRow, (&[u8; 32], u32)> =
    TableDefinition::new("files");
pub(super) const PIECES: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("pieces");
pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// A published entry: size, hash, modification time in seconds, number of files of a folder, and
/// the bits of [`published_row`].
pub(super) type PublishedRow<'a> = (u64, &'a [u8; 32], i64, u64, u8);
/// Path → published entry.
pub(super) const PUBLISHED: TableDefinition<&str, PublishedRow<'static>> =
    TableDefinition::new("published");
pub(super) const PUBLISHED_SPACES: TableDefinition<&str, &str> =
    TableDefinition::new("published_spaces");
pub(super) const GENERATION: &str = "generation";

/// The bit of a folder.
const FOLDER: u8 = 1;
/// The bit of an executable file.
const EXECUTABLE: u8 = 2;

/// Returns the published entry of a path, without its space.
pub(super) fn published_row(entry: &FileEntry) -> PublishedRow<'_> {
    let mut flags = 0;
    if entry.kind == EntryKind::Folder {
        flags |= FOLDER;
    }
    if entry.executable {
        flags |= EXECUTABLE;
    }
    let hash = entry.hash.as_bytes();
    (entry.size, hash, entry.modified, entry.files, flags)
}
