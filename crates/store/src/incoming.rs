//! What is published, before it reaches a database: put in order, and checked against what is held.

use convite_core::model::FileEntry;
use convite_core::{ErrorCode, Problem, SafePath};

use crate::IndexChange;

/// By path, of several with one path the last.
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

/// A change of which no path occurs twice.
pub(crate) fn in_order(change: IndexChange) -> IndexChange {
    let upsert = files_in_order(change.upsert);
    let mut remove: Vec<SafePath> = change.remove;
    remove.sort();
    remove.dedup();
    remove.retain(|path| upsert.binary_search_by(|file| file.path.cmp(path)).is_err());
    IndexChange { upsert, remove }
}

/// The integers of a database have a sign.
///
/// # Errors
/// `invalid_argument` above them.
pub(crate) fn stored(number: u64, what: &str) -> Result<i64, Problem> {
    i64::try_from(number)
        .map_err(|_| Problem::invalid(format!("the {what} is out of bounds: {number}")))
}

/// # Errors
/// `invalid_argument` for a change that does not count up.
pub(crate) fn check_above(generation: u64, base: u64) -> Result<(), Problem> {
    match generation > base {
        true => Ok(()),
        false => Err(Problem::invalid(
            "the generation of a change is not above its base",
        )),
    }
}

/// What a change on another base than the generation that is `held` is refused with.
pub(crate) fn on_another_base(held: u64, base: u64) -> Problem {
    Problem::new(
        ErrorCode::GenerationMismatch,
        format!("the directory holds generation {held} of the index, not {base}"),
    )
    .hint("send the whole index")
}

/// What two sizes for one hash are refused with: no file has two, and each would have to be looked at
/// by whoever locates the hash.
pub(crate) fn two_sizes(hash: &[u8]) -> Problem {
    let shown = data_encoding::HEXLOWER.encode(hash);
    Problem::invalid(format!(
        "this peer names two sizes for the contents {shown}"
    ))
    .hint("publish the size that the file with this hash has")
}

/// What an attempt that is not the newest is refused with.
pub(crate) fn begun_anew() -> Problem {
    Problem::new(
        ErrorCode::GenerationMismatch,
        "this peer has begun to send its index anew",
    )
    .hint("send the whole index, one at a time")
}

#[cfg(test)]
mod tests {
    use super::*;
    use convite_core::ContentHash;

    #[test]
    fn of_several_files_with_one_path_the_last_counts() {
        let file = |path: &str, size| FileEntry {
            path: path.parse().unwrap(),
            size,
            hash: ContentHash::of_empty(),
            modified: 0,
            space: None,
        };
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
