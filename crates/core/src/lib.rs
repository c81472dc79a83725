//! The domain types of Convite and their rules.
//!
//! Pure: no I/O, no clock, no async, so everything can be tested with plain values. Every other
//! crate may depend on this one. Input from outside is parsed into one of these types at the
//! interface, or refused there.

pub mod access_list;
pub mod activity;
pub mod address;
pub mod administration;
pub mod age;
pub mod display;
pub mod entry_kind;
pub mod error;
pub mod file_kind;
pub mod folder;
pub mod hash;
pub mod manifest;
pub mod model;
pub mod names;
pub mod path;
pub mod piece;
pub mod piece_layout;
pub mod query;
pub mod remote_fetch;
mod schema;
pub mod scope;
pub mod sort;
pub mod stream;
pub mod time;
pub mod verify;

pub use access_list::{AccessList, SharingPolicy};
pub use address::PeerAddress;
pub use entry_kind::EntryKind;
pub use error::{ErrorCode, Problem};
pub use folder::{FolderPieces, FolderTree, FolderTreeBuilder};
pub use hash::ContentHash;
pub use manifest::{Manifest, ManifestEntry};
pub use names::{PeerId, SpaceName, UserName};
pub use path::SafePath;
pub use piece::{PieceGeometry, PieceIndex};
pub use piece_layout::PieceLayout;
pub use query::SearchQuery;
pub use scope::SearchScope;
pub use stream::StreamHasher;
pub use time::UnixMillis;
pub use verify::{PieceHash, PieceHasher, PieceHashes};
