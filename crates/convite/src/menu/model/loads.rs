//! What other peers are asked to fetch.

use convite_core::loads::LoadSummary;
use convite_core::model::{PeerSummary, SearchHit};
use convite_core::{ContentHash, PeerId};

/// The loads of this account, the newest first.
#[derive(Debug, Default)]
pub struct Loads {
    pub all: Vec<LoadSummary>,
}

impl Loads {
    /// How many are not over.
    pub fn open(&self) -> usize {
        self.all.iter().filter(|load| !load.state.is_over()).count()
    }
}

/// A file that another peer is about to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadDialog {
    pub hash: ContentHash,
    pub name: String,
    pub size: u64,
    /// Peers that have it.
    pub holders: Vec<PeerId>,
    /// None for the first there is.
    pub chosen: Option<PeerId>,
}

impl LoadDialog {
    /// For a file that was found.
    pub fn of(hit: &SearchHit) -> Self {
        Self {
            hash: hit.hash,
            name: hit.name.clone(),
            size: hit.size,
            holders: hit.peers.iter().map(|peer| peer.id.clone()).collect(),
            chosen: None,
        }
    }

    /// Which of these is chosen; one that went away is no choice.
    pub fn at(&self, hosts: &[&PeerSummary]) -> usize {
        let chosen = hosts
            .iter()
            .position(|p| Some(&p.id) == self.chosen.as_ref());
        chosen.unwrap_or(0)
    }
}
