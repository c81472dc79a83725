//! Paths as the tables have them: an entry of an index has at most 2,704 bytes, and a path may have
//! more.
//!
//! A path that is too long is known to the indexes by its beginning and its hash. So that is where
//! it stands in their order; the path itself is in a column besides.

use std::borrow::Cow;

use convite_core::{ContentHash, SafePath};
use data_encoding::BASE64URL_NOPAD;
use tokio_postgres::Row;

use super::failure::Outcome;
use crate::stored::damaged;

/// The longest path, in bytes, that is its own key.
const KEY_MAX: usize = 2_000;

/// What the column `path` has for a path.
pub(super) fn key(path: &str) -> Cow<'_, str> {
    if path.len() <= KEY_MAX {
        return Cow::Borrowed(path);
    }
    let mut end = KEY_MAX;
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    let hash = ContentHash::of(path.as_bytes());
    // No path holds a control character, so that no other has this key.
    Cow::Owned(format!(
        "{}\u{1}{}",
        &path[..end],
        BASE64URL_NOPAD.encode(hash.as_bytes())
    ))
}

/// What the column `whole` has for it.
pub(super) fn whole(path: &SafePath) -> Option<&str> {
    Some(path.as_str()).filter(|path| path.len() > KEY_MAX)
}

/// The expression that gives the path of a row of `files` named `f`.
pub(super) const PATH: &str = "coalesce(f.whole, f.path)";

/// Reads a path.
pub(super) fn from(row: &Row, column: usize) -> Outcome<SafePath> {
    let text: &str = row.try_get(column)?;
    Ok(text.parse().map_err(|_| damaged("a path"))?)
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
