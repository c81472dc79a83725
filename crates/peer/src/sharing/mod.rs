//! The shared files and folders: shares, scans, hashes, and the catalogue of what is served.

pub mod cache;
pub mod catalogue;
pub mod changed_places;
pub mod folder_readiness;
pub mod folders;
pub mod hashing;
pub mod indexing;
pub(crate) mod ingest;
pub mod partial_files;
pub mod path_hash;
pub mod publish_queue;
pub mod read_failures;
pub mod scan;
pub mod scan_schedule;
pub mod shared_files;
pub mod shares;
pub mod skipped;
pub mod unhashed;
pub mod watch;
