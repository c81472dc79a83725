//! The words of Convite and the rules they carry.
//!
//! Pure: no I/O, no clock, no async. Everything here can be tested with values alone, and every
//! other room depends on it. Text from outside becomes one of these types at the door, or is
//! refused there.

pub mod activity;
pub mod address;
pub mod administration;
pub mod age;
pub mod allowed;
pub mod display;
pub mod error;
pub mod hash;
pub mod kind;
pub mod loads;
pub mod model;
pub mod names;
pub mod path;
pub mod piece;
mod schema;
pub mod sort;
pub mod stream;
pub mod time;
pub mod verify;
pub mod within;

pub use address::PeerAddress;
pub use allowed::{Allowed, Terms};
pub use error::{ErrorCode, Problem};
pub use hash::ContentHash;
pub use names::{PeerId, SpaceName, UserName};
pub use path::SafePath;
pub use piece::{PieceGeometry, PieceIndex};
pub use stream::StreamHasher;
pub use time::UnixMillis;
pub use verify::{PieceHash, PieceHasher, PieceHashes};
pub use within::Within;
