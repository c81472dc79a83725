//! Lookup of contents by an exact name or path.

use std::collections::BTreeMap;

use convite_core::ContentHash;

use crate::ContentKey;

/// Maximum number of contents in an answer.
pub const NAMED_MAX: usize = 100;

/// A content and a path under which it is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedContent {
    /// Number of the content.
    pub key: ContentKey,
    /// The requested path, or a path that ends with it.
    pub path: String,
}

/// All contents with one name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// The contents by key, at most [`NAMED_MAX`].
    pub contents: Vec<NamedContent>,
    /// There are more contents than `contents`.
    pub more: bool,
}

impl Named {
    /// Builds an answer from up to [`NAMED_MAX`] + 1 contents.
    pub(crate) fn of(found: BTreeMap<i64, String>) -> Self {
        let more = found.len() > NAMED_MAX;
        let contents = found.into_iter().take(NAMED_MAX);
        let contents = contents.map(|(key, path)| NamedContent {
            key: ContentKey(key),
            path,
        });
        Self {
            contents: contents.collect(),
            more,
        }
    }
}

/// Returns the key of a name in the index of names: the first 8 bytes of its BLAKE3 hash. Two names
/// may have the same key, so a lookup must also compare the path.
pub(crate) fn name_key(path: &str) -> i64 {
    let name = path.rsplit('/').next().unwrap_or(path);
    let hash = ContentHash::of(name.as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.as_bytes()[..8]);
    i64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_name_depends_on_the_last_part_alone() {
        assert_eq!(name_key("s/a/x.txt"), name_key("x.txt"));
        assert_ne!(name_key("x.txt"), name_key("x.tx"));
        assert_ne!(name_key("x.txt"), name_key("X.txt"));
    }
}
