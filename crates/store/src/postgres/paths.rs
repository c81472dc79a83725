//! Path keys. An index entry of PostgreSQL has at most 2,704 bytes, and a path may be longer.
//!
//! A long path is represented in the indexes by its beginning and its hash, which also determines
//! its sort position. The full path is in a separate column.

use std::borrow::Cow;

use convite_core::{ContentHash, SafePath};
use data_encoding::BASE64URL_NOPAD;
use tokio_postgres::Row;

use crate::error::DbResult;
use crate::stored;

/// Maximum length in bytes of a path that is stored unchanged as its key.
const KEY_MAX: usize = 2_000;

/// Returns the value of the column `path`.
pub(super) fn key(path: &str) -> Cow<'_, str> {
    if path.len() <= KEY_MAX {
        return Cow::Borrowed(path);
    }
    let mut end = KEY_MAX;
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    let hash = ContentHash::of(path.as_bytes());
    // Paths contain no control characters, so no path equals the key of another.
    Cow::Owned(format!(
        "{}\u{1}{}",
        &path[..end],
        BASE64URL_NOPAD.encode(hash.as_bytes())
    ))
}

/// Returns the value of the column `whole`: the path if its key is shortened.
pub(super) fn whole(path: &SafePath) -> Option<&str> {
    Some(path.as_str()).filter(|path| path.len() > KEY_MAX)
}

/// SQL expression for the path of a row of `files` with the alias `f`.
pub(super) const PATH: &str = "coalesce(f.whole, f.path)";

/// Reads a path from a row.
pub(super) fn from(row: &Row, column: usize) -> DbResult<SafePath> {
    stored::path(row.try_get(column)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_short_and_tell_paths_apart() {
        let long = |last: &str| format!("{}{last}", "ü/".repeat(1_300));
        let (a, b) = (long("a"), long("b"));
        assert_eq!(key("s/a"), "s/a");
        assert_ne!(key(&a), key(&b));
        assert!(key(&a).len() < 2_100);
        assert!(a.starts_with(key(&a).split('\u{1}').next().unwrap()));
    }
}
