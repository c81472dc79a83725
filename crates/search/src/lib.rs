//! Full-text search over file names: an index that is derived from the directory's database, can be
//! deleted at any time, and is never the truth.
//!
//! A document is a content in a space, with all the paths it has there. The caller feeds documents
//! ([`SearchIndex::apply`]), which are kept with how far the index has come ([`Progress`]), and asks
//! for the keys of the contents that match ([`SearchIndex::search`]) as far as someone may see them;
//! names, sizes and providers of a result come from the database.
//!
//! A [`Query`] is words in any order, `"phrases"` and `-words` that must not be there. Words match
//! whole, by their beginning, or with a typo, in that order (unless something else is to be
//! sorted by); case and accents
//! do not count.

mod collect;
mod document;
mod index;
mod left_out;
mod levels;
mod marks;
mod numbers;
mod progress;
mod query;
mod search;
mod steps;
mod tokens;
mod words;

pub use document::Document;
pub use index::SearchIndex;
pub use marks::Marks;
pub use progress::Progress;
pub use query::{QUERY_BYTES_MAX, QUERY_WORDS_MAX, Query};
pub use search::{Filter, Hit, Hits, PAGE_MAX, Place, Search};
