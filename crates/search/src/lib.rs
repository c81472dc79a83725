//! Full-text search over file names.
//!
//! The index is derived from the directory's database, can be deleted at any time, and is never
//! authoritative.
//!
//! A document is a content in a space, with all its paths there. The caller writes documents
//! ([`SearchIndex::apply`]) together with the position reached in the database ([`Progress`]), and
//! queries the keys of matching contents ([`SearchIndex::search`]) within the visible spaces.
//! Names, sizes and providers of a result come from the database.
//!
//! A [`Query`] consists of words in any order, `"phrases"` and excluded `-words`, or of several
//! such alternatives. A name that equals the query comes first. A word matches as a whole, by its
//! prefix, or with a typo, in this order (unless the results are sorted by another key). Case,
//! accents and invisible characters are ignored.

mod collect;
mod document;
mod excluded;
mod id_set;
mod index;
mod marks;
mod progress;
mod query;
mod ranking;
mod search;
mod stages;
mod symbols;
mod tokens;
mod words;

pub use document::Document;
pub use index::SearchIndex;
pub use marks::Marks;
pub use progress::Progress;
pub use query::{QUERY_BYTES_MAX, QUERY_WORDS_MAX, Query};
pub use search::{Filter, Hit, Hits, PAGE_MAX, Place, Search};
