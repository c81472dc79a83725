//! A peer: shares folders, publishes their index to the directory, serves files to other peers and
//! downloads files.
//!
//! Modules, from the lowest to the highest; each imports only those before it:
//!
//! - `fs`: opening beneath a folder, positioned I/O, piece writer, volumes and mounts
//! - `sharing`: shares, scans, hashes, the catalogue
//! - `announce`: registration with the directory, publishing the index
//! - `inbox`: files that others upload to this peer
//! - `serve`: sending files, receiving uploads
//! - `node`: listener, handlers and registration of a peer
//! - `download`: downloading a file from all its providers
//! - `folder_target`: a folder that arrives on disk: names, comparison, writing, resuming
//! - `folder_download`: downloading a folder from all its providers
//! - `put`: uploading a file to another peer's inbox
//! - `remote_fetch`: downloads at the request of other accounts
//! - `run`: starts and stops all tasks of a peer
//!
//! The path of a shared file: `sharing::scan` finds it (`watch` reports changes, `scan_schedule`
//! schedules full scans), `hashing` hashes it (`cache` stores the hash), `catalogue` lists it,
//! `announce::publish` sends it to the directory, and `serve` sends it to callers with a ticket of
//! the directory.

pub mod activity;
pub mod announce;
pub mod config;
pub mod download;
pub mod folder_download;
pub mod folder_target;
pub mod fs;
pub mod home;
pub mod inbox;
pub mod node;
pub mod put;
pub mod remote_fetch;
pub mod run;
pub mod serve;
pub mod sharing;

pub use config::PeerConfig;
pub use node::listening::Ports;
pub use run::{RunningPeer, Status, start};
