//! Listing one level of a folder from the rows of the peer that shares it.
//!
//! The rows of a peer are sorted by path, so the rows below a folder are consecutive, but those of
//! its sub-folders are between its own entries. A scan reads the entries one after the other, and
//! continues behind a sub-folder as soon as it meets a row inside of it.

use convite_core::model::{FolderEntry, Page};
use convite_core::path::PART_MAX;
use convite_core::{ContentHash, SafePath};

use crate::cursor::{FOLDER, decode, encode};
use crate::error::{DbError, DbResult};

/// Maximum number of rows that one page reads in addition to twice its limit. A folder can contain
/// rows of other spaces, which are skipped one by one.
const SKIPPED_MAX: usize = 1_000;
// A page must get past the rows that the previous one read last: those inside of the folders whose
// names are beginnings of the last name.
const _: () = assert!(SKIPPED_MAX > PART_MAX + 1);

/// A row below the folder, as far as the scan has to know it.
pub(crate) struct FolderRow {
    /// The path, or its key if it is long.
    pub(crate) path: String,
    pub(crate) space: i64,
    /// Kind, size, files, hash, modification time and executable bit. Its name is set by the scan.
    pub(crate) entry: FolderEntry,
}

/// The scan of one level for one page.
pub(crate) struct LevelScan {
    hash: ContentHash,
    space: i64,
    /// Path of the folder and a slash.
    prefix: String,
    /// Start of the rows to read next, inclusive.
    start: String,
    entries: Vec<FolderEntry>,
    limit: usize,
    /// Name at which the scan is, for the cursor.
    last: String,
    /// Rows that may still be read.
    left: usize,
}

/// What a scan does after a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Read the next row in the order of paths.
    Row,
    /// Read from [`LevelScan::start`] on.
    Jump,
    /// The page is complete.
    Stop,
}

impl LevelScan {
    /// Begins a page of the folder with this hash, which a peer shares as `path` in `space`, after
    /// the name of the previous page.
    pub(crate) fn new(
        hash: &ContentHash,
        path: &str,
        space: i64,
        limit: u32,
        after: Option<String>,
    ) -> Self {
        let prefix = format!("{path}/");
        let limit = limit.max(1) as usize;
        let last = after.unwrap_or_default();
        let start = match last.as_str() {
            "" => prefix.clone(),
            name => behind(&prefix, name),
        };
        Self {
            hash: *hash,
            space,
            prefix,
            start,
            entries: Vec::new(),
            limit,
            last,
            left: 2 * limit + SKIPPED_MAX,
        }
    }

    /// Returns the start of the rows to read next, inclusive.
    pub(crate) fn start(&self) -> &str {
        &self.start
    }

    /// Returns the path of the folder and a slash: all rows to read begin with it.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the end of the rows below the folder, exclusive.
    pub(crate) fn end(&self) -> String {
        inside_end(&self.prefix)
    }

    /// Returns the number of rows that the page still needs if all of them are entries.
    pub(crate) fn wanted(&self) -> usize {
        self.limit + 1 - self.entries.len()
    }

    /// Adds the next row. Returns what to read next.
    pub(crate) fn add(&mut self, row: FolderRow) -> Next {
        let Some(rest) = row.path.strip_prefix(&self.prefix) else {
            return Next::Stop;
        };
        if self.left == 0 {
            return Next::Stop;
        }
        self.left -= 1;
        if let Some((folder, _)) = rest.split_once('/') {
            self.start = inside_end(&format!("{}{folder}/", self.prefix));
            // Entries such as `a-b` are between the folder `a` and what is inside of it.
            if self.last.as_str() < folder {
                folder.clone_into(&mut self.last);
            }
            return Next::Jump;
        }
        if row.space == self.space {
            if self.entries.len() == self.limit {
                self.left = 0;
                return Next::Stop;
            }
            self.entries.push(FolderEntry {
                name: rest.to_owned(),
                ..row.entry
            });
        }
        rest.clone_into(&mut self.last);
        self.start = behind(&self.prefix, rest);
        Next::Row
    }

    /// Returns the page. The cursor is absent if the last row that was read is the last one below
    /// the folder.
    pub(crate) fn finish(self) -> Page<FolderEntry> {
        let hash = self.hash.to_string();
        let more = self.left == 0;
        Page {
            items: self.entries,
            next_cursor: more.then(|| encode(&[FOLDER, &hash, &self.last])),
        }
    }
}

/// Returns the first possible path behind `name` itself. No path contains a NUL.
fn behind(prefix: &str, name: &str) -> String {
    format!("{prefix}{name}\u{1}")
}

/// Returns the first possible path behind all paths that begin with `prefix`, which ends with a
/// slash: with the next character instead.
fn inside_end(prefix: &str) -> String {
    let folder = prefix.strip_suffix('/').unwrap_or(prefix);
    format!("{folder}0")
}

/// Returns the name after which a page of a folder starts.
///
/// # Errors
/// Returns `invalid_argument` for the cursor of another list or folder.
pub(crate) fn after(cursor: Option<&str>, hash: &ContentHash) -> DbResult<Option<String>> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let [_, of, name] = decode::<3>(cursor, FOLDER).ok_or(DbError::InvalidCursor)?;
    let is_name = |name: &str| {
        let path = name.parse::<SafePath>();
        path.is_ok_and(|path| path.parts().count() == 1)
    };
    if of.parse() == Ok(*hash) && is_name(&name) {
        Ok(Some(name))
    } else {
        Err(DbError::InvalidCursor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use convite_core::EntryKind;
    use proptest::prelude::*;

    use super::*;

    /// Reads all pages from sorted rows, as a database does, up to `most` rows for each. Returns the
    /// names and the number of rows that were read.
    fn read_all(
        rows: &BTreeMap<String, i64>,
        path: &str,
        limit: u32,
        most: usize,
    ) -> (Vec<String>, usize) {
        let hash = ContentHash::EMPTY;
        let (mut names, mut count) = (Vec::new(), 0);
        let mut cursor: Option<String> = None;
        loop {
            let last = after(cursor.as_deref(), &hash).unwrap();
            let mut scan = LevelScan::new(&hash, path, 0, limit, last);
            scan.left = most;
            'page: loop {
                let range = scan.start().to_owned()..scan.end();
                let mut range = rows.range(range);
                loop {
                    let Some((path, space)) = range.next() else {
                        break 'page;
                    };
                    count += 1;
                    let entry = FolderEntry {
                        name: String::new(),
                        kind: EntryKind::File,
                        size: 0,
                        files: None,
                        hash,
                        modified: 0,
                        executable: false,
                    };
                    match scan.add(FolderRow {
                        path: path.clone(),
                        space: *space,
                        entry,
                    }) {
                        Next::Row => {}
                        Next::Jump => break,
                        Next::Stop => break 'page,
                    }
                }
            }
            let page = scan.finish();
            assert!(page.items.len() <= limit as usize);
            names.extend(page.items.into_iter().map(|entry| entry.name));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return (names, count);
            }
        }
    }

    proptest! {
        #[test]
        fn a_level_is_what_is_directly_in_the_folder(
            paths in prop::collection::btree_map("s(/[a0!\u{1}\u{10ffff}]{1,2}){1,3}", 0i64..2, 0..40),
            limit in 1u32..5,
            // Names of two characters: two rows may be read again.
            most in 3usize..12,
        ) {
            let (names, _) = read_all(&paths, "s", limit, most);
            let direct = paths.iter().filter_map(|(path, space)| {
                let name = path.strip_prefix("s/")?;
                (*space == 0 && !name.contains('/')).then_some(name)
            });
            prop_assert_eq!(names, direct.collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_inside_of_sub_folders_is_skipped_at_once() {
        let mut rows = BTreeMap::from([("s/z".to_owned(), 0), ("t/x".to_owned(), 0)]);
        for n in 0..5_000 {
            rows.insert(format!("s/sub/{n}"), 0);
        }
        rows.insert("s/sub".to_owned(), 0);
        let (names, count) = read_all(&rows, "s", 100, SKIPPED_MAX);
        assert_eq!(names, ["sub", "z"]);
        assert_eq!(count, 3);
    }

    #[test]
    fn entries_of_other_spaces_end_a_page_but_not_the_list() {
        let mut rows = BTreeMap::from([("s/a".to_owned(), 0), ("s/z".to_owned(), 0)]);
        for n in 0..5 * SKIPPED_MAX {
            rows.insert(format!("s/m{n}"), 1);
        }
        assert_eq!(read_all(&rows, "s", 2, SKIPPED_MAX).0, ["a", "z"]);
    }

    #[test]
    fn a_cursor_belongs_to_one_folder() {
        let (one, other) = (ContentHash::of(b"1"), ContentHash::of(b"2"));
        let cursor = encode(&[FOLDER, &one.to_string(), "a"]);
        assert_eq!(after(Some(&cursor), &one).unwrap().as_deref(), Some("a"));
        for bad in [
            cursor.as_str(),
            "",
            "x",
            &encode(&[FOLDER, &other.to_string(), "a/b"]),
        ] {
            assert!(after(Some(bad), &other).is_err(), "{bad}");
        }
    }
}
