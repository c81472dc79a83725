//! Full-text search over file names: an index that is derived from the directory's database, can be
//! deleted at any time, and is never the truth.
//!
//! A document is a content with all its paths. The caller feeds documents ([`SearchIndex::apply`]),
//! which are kept with the position in the change log that they came from, and asks for the keys
//! that match ([`SearchIndex::search`]); names, sizes and providers of a result come from the
//! database.

mod document;
mod index;
mod query;
mod ranking;
mod words;

pub use document::{Document, Filter, Hit, Hits};
pub use index::SearchIndex;
