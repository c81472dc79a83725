//! Arguments for uploads and remote downloads on a peer, and of `put`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use convite_client::Home;
use convite_core::{AccessList, PeerId, SharingPolicy};

use convite_peer::inbox::InboxConfig;

use crate::units;

#[derive(Args, Clone)]
pub struct InboxArgs {
    /// Accept uploads from all members, or only from WHO: accounts and spaces, such as ana,@lab
    #[arg(long, value_name = "WHO", num_args = 0..=1, require_equals = true, default_missing_value = "*")]
    pub allow_uploads: Option<AccessList>,
    /// Accept remote downloads from all members, or only from WHO; always accepted from its own account
    #[arg(long, value_name = "WHO", num_args = 0..=1, require_equals = true, default_missing_value = "*")]
    pub allow_loads: Option<AccessList>,
    /// Folder for uploaded files; shared with everyone, unless it is shared with a space [default: inbox in the home]
    #[arg(long, value_name = "DIR")]
    pub inbox: Option<PathBuf>,
    /// Folder for remote downloads, with a subfolder for each space [default: loads in the home]
    #[arg(long, value_name = "DIR")]
    pub downloads: Option<PathBuf>,
    /// Inbox quota per account
    #[arg(long, value_parser = units::parse_size, default_value = "10GiB", value_name = "SIZE")]
    pub upload_quota: u64,
    /// Remote download quota per account, except its own
    #[arg(long, value_parser = units::parse_size, default_value = "10GiB", value_name = "SIZE")]
    pub load_quota: u64,
    /// How long an unfinished download of this peer is kept after its last progress
    #[arg(long, value_parser = units::parse_duration, default_value = "30d", value_name = "DUR")]
    pub keep_downloads: Duration,
}

impl InboxArgs {
    /// Returns the inbox configuration for a peer in `home`.
    pub fn config(&self, home: &Home) -> InboxConfig {
        InboxConfig {
            folder: self
                .inbox
                .clone()
                .unwrap_or_else(|| home.root().join("inbox")),
            quota: self.upload_quota,
        }
    }

    /// Returns the sharing policy: the accounts that may upload and start remote downloads.
    pub fn terms(&self) -> SharingPolicy {
        SharingPolicy {
            uploads: self.allow_uploads.clone().unwrap_or_default(),
            loads: self.allow_loads.clone().unwrap_or_default(),
        }
    }
}

#[derive(Args)]
pub struct PutArgs {
    /// Files to upload
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Peer that receives the files
    #[arg(long, value_name = "PEER_ID")]
    pub to: PeerId,
}
