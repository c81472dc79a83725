//! Peers: who is on the list, and where.

use async_trait::async_trait;
use convite_core::model::{Page, PeerSummary};
use convite_core::{PeerAddress, PeerId, Problem, UnixMillis};

use crate::{AccountId, SecretHash};

/// The number of a peer, for good; search documents carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey(pub i64);

/// A peer that registers.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Its id.
    pub id: PeerId,
    /// Whose it is.
    pub account: AccountId,
    /// The session it registers in, ended with which it goes offline.
    pub session: SecretHash,
    /// Where it can be dialled, best first.
    pub addresses: Vec<PeerAddress>,
    /// Until when it is online without a heartbeat.
    pub lease: UnixMillis,
    /// There for one download: not listed or counted, shares nothing, and is forgotten, so that
    /// its id is free, when it leaves, its session ends or its lease runs out.
    pub transient: bool,
}

/// The peers.
///
/// Every method is one transaction unless it says otherwise. Errors are `internal` for a failing
/// database, and what each method names.
#[async_trait]
pub trait Peers: Send + Sync + 'static {
    /// Puts a peer on the list, new or returning; returns the generation of its index (0 for a new
    /// peer). `since` begins anew if it was offline.
    ///
    /// # Errors
    /// `peer_taken` if the id belongs to another account, or a transient peer would take the place
    /// of one that stays.
    async fn register_peer(
        &self,
        registration: &Registration,
        now: UnixMillis,
    ) -> Result<u64, Problem>;

    /// Renews the lease of a peer of `account`; returns the generation of its index. A peer whose
    /// lease ran out, but that has not left, is online again (unless it was transient).
    ///
    /// # Errors
    /// `not_found` if there is no such peer of this account, or it left (it must register).
    async fn renew_lease(
        &self,
        peer: &PeerId,
        account: AccountId,
        lease: UnixMillis,
        now: UnixMillis,
    ) -> Result<u64, Problem>;

    /// Takes a peer of `account` off the list; its index stays, its announcements go. A transient
    /// one is forgotten.
    ///
    /// # Errors
    /// `not_found` if there is no such peer of this account.
    async fn leave(
        &self,
        peer: &PeerId,
        account: AccountId,
        now: UnixMillis,
    ) -> Result<(), Problem>;

    /// The peers online that are not transient, by id. `cursor` is what the page before returned.
    ///
    /// # Errors
    /// `invalid_argument` for a cursor that no page returned.
    async fn peers(
        &self,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<PeerSummary>, Problem>;

    /// The keys of the peers online, in any order.
    async fn online_peers(&self, now: UnixMillis) -> Result<Vec<PeerKey>, Problem>;

    /// The key of a peer, online or not.
    async fn peer_key(&self, peer: &PeerId) -> Result<Option<PeerKey>, Problem>;
}
