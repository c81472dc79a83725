//! The replicas of this directory: saying that this one is up, and knowing of the others.
//!
//! Where directories share a database, each holds a lease there, as a peer does. Clients are told of all that are up with
//! each login and heartbeat, and an invite link carries them, so that any can stand in for any.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use convite_core::{PeerAddress, Problem};
use convite_store::{News, ReplicaId};
use tokio::sync::Notify;

use super::Service;

/// For how long a replica is taken to be up after it last said so.
const LEASE: Duration = Duration::from_secs(15);
/// How often it says so.
pub(crate) const RENEWAL: Duration = Duration::from_secs(5);
/// The most addresses that clients are told.
const TOLD_MAX: usize = 16;
/// The most in an invite link.
const LINKED_MAX: usize = 8;

/// This replica, and what it last heard of the others.
pub(super) struct Siblings {
    id: ReplicaId,
    others: Mutex<Vec<Vec<PeerAddress>>>,
    changed: Notify,
}

impl Siblings {
    pub(super) fn new(id: ReplicaId) -> Self {
        Self {
            id,
            others: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Another came or went.
    pub(super) fn stir(&self) {
        self.changed.notify_one();
    }

    fn others(&self) -> MutexGuard<'_, Vec<Vec<PeerAddress>>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    /// Where the directory's replicas that are up can be dialled, this one first; at most 16.
    pub fn directories(&self) -> Vec<PeerAddress> {
        spread(&self.parts.addresses, &self.siblings.others(), TOLD_MAX)
    }

    /// The same for an invite link, in which every address is one more to copy.
    pub(super) fn link_addresses(&self) -> Vec<PeerAddress> {
        spread(&self.parts.addresses, &self.siblings.others(), LINKED_MAX)
    }

    /// Says for the first time that this replica is up, and lets the others know.
    ///
    /// # Errors
    /// Those of [`Self::renew_replica`].
    pub(crate) async fn add_replica(&self) -> Result<(), Problem> {
        self.renew_replica().await?;
        self.tell(News::Replicas);
        Ok(())
    }

    /// Resolves once a replica came or went since the last time.
    pub(crate) async fn replicas_changed(&self) {
        self.siblings.changed.notified().await;
    }

    /// Says that this replica is up, and asks for the others.
    ///
    /// # Errors
    /// `internal` or `unavailable` if the database fails.
    pub(crate) async fn renew_replica(&self) -> Result<(), Problem> {
        let Some(shared) = self.store().shared() else {
            return Ok(());
        };
        let now = self.now();
        let others = shared
            .renew_replica(
                self.siblings.id,
                &self.parts.addresses,
                now.after(LEASE),
                now,
            )
            .await?;
        *self.siblings.others() = others;
        Ok(())
    }

    /// Says that this replica stops.
    ///
    /// # Errors
    /// `internal` or `unavailable` if the database fails: its lease will run out.
    pub(crate) async fn remove_replica(&self) -> Result<(), Problem> {
        if let Some(shared) = self.store().shared() {
            shared.remove_replica(self.siblings.id).await?;
            self.tell(News::Replicas);
        }
        Ok(())
    }
}

/// The first address of each replica, then the second of each, and so on: at most `most`, none
/// twice. So a short list still has every replica.
pub(super) fn spread(
    own: &[PeerAddress],
    others: &[Vec<PeerAddress>],
    most: usize,
) -> Vec<PeerAddress> {
    let all: Vec<&[PeerAddress]> = std::iter::once(own)
        .chain(others.iter().map(Vec::as_slice))
        .collect();
    let longest = all.iter().map(|addresses| addresses.len()).max();
    let mut list: Vec<PeerAddress> = Vec::new();
    for rank in 0..longest.unwrap_or(0) {
        for address in all.iter().filter_map(|addresses| addresses.get(rank)) {
            if list.len() < most && !list.contains(address) {
                list.push(address.clone());
            }
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_list_has_an_address_of_every_replica() {
        let list = |names: &[&str]| -> Vec<PeerAddress> {
            let address = |name: &&str| PeerAddress::new(name, 1).unwrap();
            names.iter().map(address).collect()
        };
        let own = list(&["a1", "a2", "a3"]);
        let others = [list(&["b1", "a2"]), list(&["c1", "c2"])];
        let told = spread(&own, &others, 5);
        assert_eq!(told, list(&["a1", "b1", "c1", "a2", "c2"]));
        assert_eq!(spread(&own, &[], 16), own);
        assert_eq!(spread(&own, &others, 2), list(&["a1", "b1"]));
    }
}
