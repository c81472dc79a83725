//! Search queries, as clients send them and the directory answers them.

use crate::age::Age;
use crate::file_kind::FileType;
use crate::names::{PeerId, SpaceName};
use crate::sort::{Order, Sort};

/// A search for files.
#[derive(Debug, Clone, Default)]
pub struct SearchQuery {
    /// Words, `"phrases"`, and `-words` to exclude. A match of any one text suffices.
    pub texts: Vec<String>,
    /// Only files of this type, or with this extension.
    pub file_type: Option<FileType>,
    /// Minimum size in bytes.
    pub min_size: Option<u64>,
    /// Maximum size in bytes.
    pub max_size: Option<u64>,
    /// Modified at this time or later.
    pub newer: Option<Age>,
    /// Modified before this time.
    pub older: Option<Age>,
    /// Only files that this peer shares.
    pub peer: Option<PeerId>,
    /// Only files in this space of the account, excluding files shared with everyone.
    pub space: Option<SpaceName>,
    /// Sort key.
    pub sort: Sort,
    /// Sort direction.
    pub order: Order,
    /// Maximum number of results, 1 to 100; 20 by default.
    pub limit: Option<u32>,
    /// The cursor that the previous page returned.
    pub cursor: Option<String>,
}

impl SearchQuery {
    /// Returns a query for files that match `words`.
    pub fn for_words(words: impl Into<String>) -> Self {
        Self {
            texts: vec![words.into()],
            ..Self::default()
        }
    }
}
