//! The inbox: receives files from other accounts and stores each account's files in its own folder.
//!
//! A file is hashed while it is received and is invisible until it is complete and synced. Then it
//! gets its name, without replacing another file, and is added to the catalogue and published. An
//! interrupted upload with a known size (gRPC) is kept for a day and can resume; one from a form
//! starts over. The result of a finished upload is also kept for a day.
//!
//! Modules: `quota` (bytes per account), `unfinished` (uploads on disk), `finished` (results of
//! uploads), `incoming` (bytes received and written), `upload` (one upload in progress),
//! `file_name` (file names), `concurrency` (concurrency limits), `store` (all of it together).

mod concurrency;
mod config;
mod disk;
mod file_name;
mod finished;
mod incoming;
mod quota;
mod store;
mod unfinished;
mod upload;
mod usage;

pub use concurrency::UploadSlot;
pub use config::InboxConfig;
pub use store::{Inbox, InboxOwner, ReceivedFile, UploadStart};
pub use upload::InboxUpload;
pub use usage::InboxUsage;
