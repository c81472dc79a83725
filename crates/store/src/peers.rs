//! Peers: who is on the list, and where.

use async_trait::async_trait;
use convite_core::model::{Page, PeerSummary};
use convite_core::{ErrorCode, PeerAddress, PeerId, Problem, Terms, UnixMillis};

use crate::{AccountId, AuditEntry, SecretHash, Viewer};

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
    /// What it does for others.
    pub terms: Terms,
}

/// A peer that is online, and what it does for others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPeer {
    /// Who and where; what it does for a caller is not filled in.
    pub summary: PeerSummary,
    /// For whom it does what.
    pub terms: Terms,
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

    /// Forgets a peer of any account: its id is free. Its files, which nobody sees any more, go with
    /// [`Upkeep::finish_removals`](crate::Upkeep::finish_removals).
    ///
    /// # Errors
    /// `not_found`.
    async fn remove_peer(&self, peer: &PeerId, entry: &AuditEntry) -> Result<(), Problem>;

    /// The peers online that are not transient, by id, with how many of their files `viewer` may
    /// see. `cursor` is what the page before returned.
    ///
    /// # Errors
    /// `invalid_argument` for a cursor that no page returned.
    async fn peers(
        &self,
        viewer: &Viewer,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<ListedPeer>, Problem>;

    /// One of them.
    async fn listed_peer(
        &self,
        viewer: &Viewer,
        peer: &PeerId,
        now: UnixMillis,
    ) -> Result<Option<ListedPeer>, Problem>;

    /// The keys of the peers online, in any order.
    async fn online_peers(&self, now: UnixMillis) -> Result<Vec<PeerKey>, Problem>;

    /// The key of a peer, online or not.
    async fn peer_key(&self, peer: &PeerId) -> Result<Option<PeerKey>, Problem>;
}

/// What is said of a peer that is not there, or another account's.
pub(crate) fn unknown(peer: &PeerId) -> Problem {
    Problem::not_found(format!("you have no peer '{peer}' on the list"))
        .hint("register it first, as `convite peer` does when it starts")
}

/// What a publication of a transient peer is refused with: forgetting one must stay cheap.
pub(crate) fn sharing_nothing(peer: &PeerId) -> Problem {
    Problem::invalid(format!(
        "peer '{peer}' is there for one download, and shares nothing"
    ))
    .hint("register it without `transient` to share files")
}

/// What the registration of another account's peer is refused with.
pub(crate) fn anothers(peer: &PeerId) -> Problem {
    Problem::new(
        ErrorCode::PeerTaken,
        format!("the peer id '{peer}' belongs to another account"),
    )
    .hint("choose another id with --id")
}

/// What a transient peer in the place of one that is not is refused with.
pub(crate) fn one_that_stays(peer: &PeerId) -> Problem {
    Problem::new(
        ErrorCode::PeerTaken,
        format!("the peer id '{peer}' belongs to a peer that stays"),
    )
    .hint("a peer for one download takes an id of its own")
}

/// What the id of no peer at all is refused with.
pub(crate) fn nobody(peer: &PeerId) -> Problem {
    Problem::not_found(format!("there is no peer '{peer}'"))
        .hint("see who is online with `convite peers`")
}
