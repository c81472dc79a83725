//! Preparation of publications before they reach a database: sorting and validation.

use convite_core::SafePath;
use convite_core::model::FileEntry;

use crate::IndexChange;
use crate::error::{DbError, DbResult};

/// Sorts files by path. If a path occurs several times, keeps the last.
pub(crate) fn files_in_order(mut files: Vec<FileEntry>) -> Vec<FileEntry> {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|later, kept| {
        let same = later.path == kept.path;
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
    files
}

/// Sorts a change and removes duplicate paths. A path in `upsert` is dropped from `remove`.
pub(crate) fn in_order(change: IndexChange) -> IndexChange {
    let upsert = files_in_order(change.upsert);
    let mut remove: Vec<SafePath> = change.remove;
    remove.sort();
    remove.dedup();
    remove.retain(|path| upsert.binary_search_by(|file| file.path.cmp(path)).is_err());
    IndexChange { upsert, remove }
}

/// Converts a number to a signed database integer.
///
/// # Errors
/// Returns `invalid_argument` if it does not fit.
pub(crate) fn stored(number: u64, what: &'static str) -> DbResult<i64> {
    i64::try_from(number).map_err(|_| DbError::OutOfBounds { what, number })
}

/// Checks that a change increases the generation.
///
/// # Errors
/// Returns `invalid_argument` if it does not.
pub(crate) fn check_above(generation: u64, base: u64) -> DbResult<()> {
    if generation > base {
        Ok(())
    } else {
        Err(DbError::GenerationNotAboveBase)
    }
}

/// Returns the error for two contents that one account claims for one hash.
pub(crate) fn two_claims(hash: &[u8]) -> DbError {
    DbError::TwoClaims(data_encoding::HEXLOWER.encode(hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use convite_core::ContentHash;

    #[test]
    fn of_several_files_with_one_path_the_last_counts() {
        let file =
            |path: &str, size| FileEntry::file(path.parse().unwrap(), size, ContentHash::EMPTY);
        let ordered = files_in_order(vec![
            file("b", 1),
            file("a", 2),
            file("b", 3),
            file("a", 4),
            file("b", 5),
        ]);
        let seen: Vec<_> = ordered.iter().map(|f| (f.path.as_str(), f.size)).collect();
        assert_eq!(seen, [("a", 4), ("b", 5)]);
    }
}
