//! The replicas of this directory: announces this one, and lists the others.
//!
//! Directories that share a database each hold a lease there, as peers do. Logins, heartbeats and
//! invite links carry the addresses of all running replicas, so that a client can use any of them.

use std::time::Duration;

use convite_core::{PeerAddress, Problem};
use convite_store::News;

use super::Service;

/// How long a replica counts as running after its last renewal.
const LEASE: Duration = Duration::from_secs(15);
/// Interval between renewals.
pub(crate) const RENEWAL: Duration = Duration::from_secs(5);
/// Maximum number of addresses sent to clients.
const CLIENT_ADDRESSES_MAX: usize = 16;
/// Maximum number of addresses in an invite link.
const LINK_ADDRESSES_MAX: usize = 8;

impl Service {
    /// Returns the addresses of the running replicas, this one first; at most 16.
    pub fn replica_addresses(&self) -> Vec<PeerAddress> {
        interleave(
            &self.replicas.own.lock(),
            &self.replicas.others.lock(),
            CLIENT_ADDRESSES_MAX,
        )
    }

    /// Returns the addresses for an invite link; fewer, to keep the link short.
    pub(super) fn link_addresses(&self) -> Vec<PeerAddress> {
        interleave(
            &self.replicas.own.lock(),
            &self.replicas.others.lock(),
            LINK_ADDRESSES_MAX,
        )
    }

    /// Announces that this replica has started, and notifies the others.
    ///
    /// # Errors
    /// Those of [`Self::renew_replica`].
    pub(crate) async fn add_replica(&self) -> Result<(), Problem> {
        self.renew_replica().await?;
        self.notify_replicas(News::Replicas);
        Ok(())
    }

    /// Sets the addresses of this replica, and notifies peers and replicas; returns whether they
    /// have changed.
    pub(crate) async fn set_addresses(&self, addresses: Vec<PeerAddress>) -> bool {
        if *self.replicas.own.lock() == addresses {
            return false;
        }
        *self.replicas.own.lock() = addresses;
        if let Err(problem) = self.add_replica().await {
            tracing::warn!(error = %problem, "cannot announce the new addresses to other replicas");
        }
        true
    }

    /// Resolves once a replica has started or stopped since the last call.
    pub(crate) async fn replicas_changed(&self) {
        self.replicas.changed.notified().await;
    }

    /// Renews the lease of this replica, and updates the list of the others.
    ///
    /// # Errors
    /// Returns `internal` or `unavailable` if the database fails.
    pub(crate) async fn renew_replica(&self) -> Result<(), Problem> {
        let Some(shared) = self.store().shared() else {
            return Ok(());
        };
        self.use_database_time().await?;
        let now = self.now();
        let own = self.replicas.own.lock().clone();
        let others = shared
            .renew_replica(self.replicas.id, &own, now.after(LEASE), now)
            .await?;
        *self.replicas.others.lock() = others;
        Ok(())
    }

    /// Announces that this replica stops.
    ///
    /// # Errors
    /// Returns `internal` or `unavailable` if the database fails; the lease expires in that case.
    pub(crate) async fn remove_replica(&self) -> Result<(), Problem> {
        if let Some(shared) = self.store().shared() {
            shared.remove_replica(self.replicas.id).await?;
            self.notify_replicas(News::Replicas);
        }
        Ok(())
    }
}

/// Returns the first address of each replica, then the second of each, and so on: at most `most`,
/// without duplicates, so that a short list still contains every replica.
pub(super) fn interleave(
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
        let told = interleave(&own, &others, 5);
        assert_eq!(told, list(&["a1", "b1", "c1", "a2", "c2"]));
        assert_eq!(interleave(&own, &[], 16), own);
        assert_eq!(interleave(&own, &others, 2), list(&["a1", "b1"]));
    }
}
