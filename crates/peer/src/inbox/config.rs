//! The configuration of the inbox.

use std::path::PathBuf;

/// The location and quota of the inbox.
#[derive(Debug, Clone)]
pub struct InboxConfig {
    /// The folder.
    pub folder: PathBuf,
    /// The maximum number of bytes per account, including unfinished uploads.
    pub quota: u64,
}
