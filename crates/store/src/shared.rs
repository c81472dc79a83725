//! State shared by several directories on one database, besides its tables: common secrets, and
//! notifications between replicas.

use async_trait::async_trait;
use convite_core::{ContentHash, PeerAddress, PeerId, Problem, UnixMillis};
use tokio::sync::broadcast;

/// A notification from one replica to the others, which saves them a poll. It may be lost; a
/// receiver reads the current state from the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The change log has grown.
    Published,
    /// The providers of these contents may have changed.
    Providers(Vec<ContentHash>),
    /// A peer went online or offline.
    Peers,
    /// These peers have new remote fetches.
    Loads(Vec<PeerId>),
    /// A replica started or stopped.
    Replicas,
    /// Notifications were lost, so anything may have changed.
    Anything,
}

/// The id of a replica's process: a unique random number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaId(pub [u8; 16]);

/// Access to the state shared with other directories.
pub trait Sharing: Send + Sync + 'static {
    /// Returns the shared state, or `None` if the database serves a single directory.
    fn shared(&self) -> Option<&dyn Shared>;
}

/// State that directories on one database share besides the tables.
#[async_trait]
pub trait Shared: Send + Sync {
    /// Returns the secret with this name, if it is stored.
    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, Problem>;

    /// Replaces the secret `old` by `new`; without `old`, stores `new` if there is none. Returns
    /// the stored secret: `new`, or the one that another replica stored first.
    async fn keep_secret(
        &self,
        name: &str,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<Vec<u8>, Problem>;

    /// Returns the time of the server's clock, which is authoritative for all replicas.
    async fn clock(&self) -> Result<UnixMillis, Problem>;

    /// Registers a replica at `addresses` until `lease`. Returns the addresses of each other
    /// running replica, the one that has run longest first. Deletes replicas whose lease has
    /// expired.
    async fn renew_replica(
        &self,
        id: ReplicaId,
        addresses: &[PeerAddress],
        lease: UnixMillis,
        now: UnixMillis,
    ) -> Result<Vec<Vec<PeerAddress>>, Problem>;

    /// Deletes a replica that stops. Does nothing if it is unknown.
    async fn remove_replica(&self, id: ReplicaId) -> Result<(), Problem>;

    /// Notifies the other replicas soon. Does not wait.
    fn tell(&self, news: News);

    /// Subscribes to the notifications of other replicas, from now on.
    fn listen(&self) -> broadcast::Receiver<News>;
}
