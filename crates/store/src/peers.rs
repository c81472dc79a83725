//! Peers: registrations, leases and addresses.

use async_trait::async_trait;
use convite_core::model::{Page, PeerSummary};
use convite_core::{PeerAddress, PeerId, Problem, SharingPolicy, UnixMillis};

use crate::{AccountId, AuditEntry, SecretHash, Viewer};

/// The number of a peer. Never reused; search documents contain it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey(pub i64);

/// The registration of a peer.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Peer id.
    pub id: PeerId,
    /// Account of the peer.
    pub account: AccountId,
    /// Session that it registers in. When the session ends, the peer goes offline.
    pub session: SecretHash,
    /// Addresses of the peer, best first.
    pub addresses: Vec<PeerAddress>,
    /// Expiry of the lease unless a heartbeat renews it.
    pub lease: UnixMillis,
    /// The peer exists for one download. It is not listed or counted and shares nothing. It is
    /// deleted, which frees its id, when it leaves, its session ends or its lease expires.
    pub transient: bool,
    /// Sharing policy of the peer.
    pub terms: SharingPolicy,
    /// Distinguishes this peer from another peer of the account with the same id.
    pub holder: Holder,
}

/// The home and process that run a peer. All fields are empty for a program without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holder {
    /// SHA-256 of the home's public key.
    pub key: Option<SecretHash>,
    /// Random number of the process.
    pub run: Option<RunId>,
    /// First registration of this process. A later start of a home replaces an earlier one, not the
    /// other way round.
    pub is_starting: bool,
}

/// A random number that a peer's process chooses when it starts.
pub type RunId = [u8; 16];

/// The current holder of a peer id's lease.
pub(crate) struct Held {
    pub(crate) key: Option<SecretHash>,
    pub(crate) run: Option<RunId>,
    pub(crate) session: Option<SecretHash>,
    pub(crate) addresses: Vec<PeerAddress>,
}

impl Held {
    /// Returns whether an unexpired lease passes to `registration` of the same account: if the
    /// home's key matches or, for programs without a key, if the session matches or the last
    /// address (the address and port that the directory saw), which two programs cannot have at the
    /// same time.
    pub(crate) fn passes_to(&self, registration: &Registration) -> bool {
        let holder = &registration.holder;
        match (self.key, holder.key) {
            (Some(held), Some(shown)) => {
                let same_run = holder.run.is_none() || self.run == holder.run;
                held == shown && (same_run || holder.is_starting)
            }
            (None, None) => {
                self.session == Some(registration.session)
                    || (!self.addresses.is_empty()
                        && self.addresses.last() == registration.addresses.last())
            }
            _ => false,
        }
    }
}

/// An online peer with its sharing policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPeer {
    /// Summary of the peer, without what it allows for the caller.
    pub summary: PeerSummary,
    /// Sharing policy of the peer.
    pub terms: SharingPolicy,
}

/// The peers.
///
/// Each method is one transaction unless stated otherwise. All methods return `internal` if the
/// database fails; further errors are listed per method.
#[async_trait]
pub trait Peers: Send + Sync + 'static {
    /// Lists a new or returning peer as online. Returns the generation of its index (0 for a new
    /// peer). `since` is reset if the peer was offline.
    ///
    /// # Errors
    /// Returns `peer_taken` if the id belongs to another account, to another peer of the account
    /// whose lease has not expired, or to a permanent peer while this one is transient; `quota` if
    /// the account has the maximum number of peers and none of them has been offline for a day
    /// (otherwise that peer is deleted).
    async fn register_peer(
        &self,
        registration: &Registration,
        now: UnixMillis,
    ) -> Result<u64, Problem>;

    /// Renews the lease of a peer of `account`. Returns the generation of its index. A peer whose
    /// lease has expired but that has not left is online again, unless it is transient.
    ///
    /// # Errors
    /// Returns `not_found` if the account has no such peer or the peer has left, in which case it
    /// must register again; `peer_taken` if another `run` has registered since.
    async fn renew_lease(
        &self,
        peer: &PeerId,
        account: AccountId,
        run: Option<RunId>,
        lease: UnixMillis,
        now: UnixMillis,
    ) -> Result<u64, Problem>;

    /// Takes a peer of `account` offline. Its index is kept; its announcements are deleted. A
    /// transient peer is deleted.
    ///
    /// # Errors
    /// Returns `not_found` if the account has no such peer.
    async fn leave(
        &self,
        peer: &PeerId,
        account: AccountId,
        now: UnixMillis,
    ) -> Result<(), Problem>;

    /// Deletes a peer of any account, which frees its id. Its files are no longer visible;
    /// [`Upkeep::finish_removals`](crate::Upkeep::finish_removals) deletes them.
    ///
    /// # Errors
    /// Returns `not_found` if there is no such peer.
    async fn remove_peer(&self, peer: &PeerId, entry: &AuditEntry) -> Result<(), Problem>;

    /// Lists the online peers that are not transient, by id, with the number of their files that
    /// `viewer` can see. `cursor` comes from the previous page.
    ///
    /// # Errors
    /// Returns `invalid_argument` for an invalid cursor.
    async fn peers(
        &self,
        viewer: &Viewer,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<ListedPeer>, Problem>;

    /// Returns one of these peers.
    async fn listed_peer(
        &self,
        viewer: &Viewer,
        peer: &PeerId,
        now: UnixMillis,
    ) -> Result<Option<ListedPeer>, Problem>;

    /// Returns the keys of the online peers in any order.
    async fn online_peers(&self, now: UnixMillis) -> Result<Vec<PeerKey>, Problem>;

    /// Returns the key of a peer, online or not.
    async fn peer_key(&self, peer: &PeerId) -> Result<Option<PeerKey>, Problem>;
}
