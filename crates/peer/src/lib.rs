//! A peer: what it shares, how that is found, hashed and published, and how it is served.
//!
//! Folders are scanned (`scan`, when the system tells of a change: `watch`, and from time to time:
//! `scans`), what is new is hashed (`hashing`, remembered in `cache`), put on
//! the shelves (`catalogue`), told to the directory (`publish`) and served to bearers of the
//! directory's tickets (`serve`). What others have it fetch is `loads`. `run` starts all of it and ends it.

pub mod activity;
pub mod beneath;
pub mod cache;
pub mod catalogue;
pub mod config;
mod contents;
pub mod directory;
pub mod download;
pub mod hashing;
pub mod home;
pub mod inbox;
pub mod indexing;
mod listening;
pub mod loads;
pub mod partial_files;
mod positioned;
pub mod presence;
mod private;
pub mod publish;
pub mod put;
pub mod refusals;
pub mod run;
pub mod scan;
pub mod scans;
pub mod serve;
pub mod shares;
mod shelving;
pub mod state;
pub mod watch;

pub use config::{PeerConfig, Ports};
pub use run::{RunningPeer, Status, start};
