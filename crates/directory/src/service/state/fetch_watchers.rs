//! The peers that watch for remote fetches at this replica.

use convite_core::PeerId;
use convite_net::permits::KeyedPermits;
use tokio::sync::watch;

/// The peers that watch for loads at this replica.
#[derive(Default)]
pub(crate) struct FetchWatchers {
    /// The value of a peer is incremented when its loads may have changed.
    pub(crate) watching: KeyedPermits<PeerId, watch::Sender<u64>>,
}

impl FetchWatchers {
    /// Reports that the loads of a peer may have changed.
    pub(crate) fn touch(&self, peer: &PeerId) {
        if let Some(changes) = self.watching.value(peer) {
            changes.send_modify(|count| *count += 1);
        }
    }

    /// Reports that the loads of any peer may have changed.
    pub(crate) fn touch_all(&self) {
        for changes in self.watching.values() {
            changes.send_modify(|count| *count += 1);
        }
    }
}
