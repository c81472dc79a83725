//! What a peer takes in from others, and what is brought to one.

use std::path::PathBuf;

use clap::Args;
use convite_client::Home;
use convite_core::{Allowed, PeerId, Terms};

use convite_peer::inbox::InboxConfig;

use crate::units;

#[derive(Args, Clone)]
pub struct InboxArgs {
    /// Let others upload files to this peer: all members, or only WHO, like ana,@lab for an account and the members of a space
    #[arg(long, value_name = "WHO", num_args = 0..=1, require_equals = true, default_missing_value = "*")]
    pub allow_uploads: Option<Allowed>,
    /// Let others have this peer fetch files, as its own account always can: all members, or only WHO
    #[arg(long, value_name = "WHO", num_args = 0..=1, require_equals = true, default_missing_value = "*")]
    pub allow_loads: Option<Allowed>,
    /// Folder where files of others go; it is shared with everyone, unless it is shared with a space [default: inbox in the home]
    #[arg(long, value_name = "DIR")]
    pub inbox: Option<PathBuf>,
    /// Folder where files go that this peer is asked to fetch; each space has one in it [default: loads in the home]
    #[arg(long, value_name = "DIR")]
    pub downloads: Option<PathBuf>,
    /// The most that one account may have in the inbox
    #[arg(long, value_parser = units::size, default_value = "10GiB", value_name = "SIZE")]
    pub upload_quota: u64,
}

impl InboxArgs {
    /// The inbox of a peer at home there.
    pub fn config(&self, home: &Home) -> InboxConfig {
        InboxConfig {
            folder: self
                .inbox
                .clone()
                .unwrap_or_else(|| home.root().join("inbox")),
            quota: self.upload_quota,
        }
    }

    /// What the peer does for others.
    pub fn terms(&self) -> Terms {
        Terms {
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
    /// The peer whose inbox they go to
    #[arg(long, value_name = "PEER_ID")]
    pub to: PeerId,
}
