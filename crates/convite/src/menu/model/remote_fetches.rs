//! Remote downloads.

use convite_core::model::{PeerSummary, SearchHit};
use convite_core::remote_fetch::LoadSummary;
use convite_core::{ContentHash, PeerId};

/// The remote downloads of this account, newest first.
#[derive(Debug, Default)]
pub struct RemoteFetches {
    pub all: Vec<LoadSummary>,
}

impl RemoteFetches {
    /// Returns the number of remote downloads that have not ended.
    pub fn unfinished_count(&self) -> usize {
        self.all
            .iter()
            .filter(|load| !load.state.is_final())
            .count()
    }
}

/// The dialog for starting a remote download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFetchDialog {
    pub hash: ContentHash,
    pub name: String,
    pub size: u64,
    /// Peers that have the file.
    pub holders: Vec<PeerId>,
    /// The selected peer; `None` for the first in the list.
    pub chosen: Option<PeerId>,
}

impl RemoteFetchDialog {
    /// Creates the dialog for a search hit.
    pub fn of(hit: &SearchHit) -> Self {
        Self {
            hash: hit.hash,
            name: hit.name.clone(),
            size: hit.size,
            holders: hit.peers.iter().map(|peer| peer.id.clone()).collect(),
            chosen: None,
        }
    }

    /// Returns the index of the selected peer in `hosts`; 0 if it is no longer listed.
    pub fn at(&self, hosts: &[&PeerSummary]) -> usize {
        let chosen = hosts
            .iter()
            .position(|p| Some(&p.id) == self.chosen.as_ref());
        chosen.unwrap_or(0)
    }
}
