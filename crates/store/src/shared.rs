//! What a database offers that several directories may share, besides the tables: secrets that all
//! of them have alike, and news that they tell each other at once.

use async_trait::async_trait;
use convite_core::{ContentHash, PeerAddress, PeerId, Problem, UnixMillis};
use tokio::sync::broadcast;

/// What one replica tells the others, so that they need not wait until they look. It may get lost;
/// whoever hears it asks the tables for what is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The change log has grown.
    Published,
    /// The providers of these contents may have changed.
    Providers(Vec<ContentHash>),
    /// A peer came or went.
    Peers,
    /// There is something for these peers to load.
    Loads(Vec<PeerId>),
    /// A replica came or went.
    Replicas,
    /// Anything may have happened: news got lost.
    Anything,
}

/// A replica for as long as its process runs: a random number that no other has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaId(pub [u8; 16]);

/// Whether other directories may share the database.
pub trait Sharing: Send + Sync + 'static {
    /// What they share besides the tables; none if there is one directory and no other.
    fn shared(&self) -> Option<&dyn Shared>;
}

/// What directories on one database share besides the tables.
#[async_trait]
pub trait Shared: Send + Sync {
    /// The secret of that name, if one is kept.
    async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>, Problem>;

    /// Keeps a secret in the place of `old` (none: if none is kept). Returns the one that is kept
    /// now: `new`, or that of another replica that was quicker.
    async fn keep_secret(
        &self,
        name: &str,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<Vec<u8>, Problem>;

    /// Notes that a replica can be dialled at `addresses` until `lease`, unless that is renewed.
    /// Returns where each of the others that are up can be dialled, the longest up first; those
    /// whose lease has run out are forgotten.
    async fn renew_replica(
        &self,
        id: ReplicaId,
        addresses: &[PeerAddress],
        lease: UnixMillis,
        now: UnixMillis,
    ) -> Result<Vec<Vec<PeerAddress>>, Problem>;

    /// Forgets a replica that stops; nothing happens if it is not known.
    async fn remove_replica(&self, id: ReplicaId) -> Result<(), Problem>;

    /// Tells the other replicas, soon; does not wait.
    fn tell(&self, news: News);

    /// What the others tell from now on.
    fn listen(&self) -> broadcast::Receiver<News>;
}
