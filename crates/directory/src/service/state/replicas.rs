//! This replica, and the last known state of the others.

use convite_core::PeerAddress;
use convite_store::ReplicaId;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// This replica, and the last known state of the others.
pub(crate) struct ReplicaList {
    pub(crate) id: ReplicaId,
    /// The addresses of this one, best first.
    pub(crate) own: Mutex<Vec<PeerAddress>>,
    pub(crate) others: Mutex<Vec<Vec<PeerAddress>>>,
    pub(crate) changed: Notify,
}

impl ReplicaList {
    pub(crate) fn new(id: ReplicaId, addresses: Vec<PeerAddress>) -> Self {
        Self {
            id,
            own: Mutex::new(addresses),
            others: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Reports that another replica started or stopped.
    pub(crate) fn notify(&self) {
        self.changed.notify_one();
    }
}
