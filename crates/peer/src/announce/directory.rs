//! The interface through which a peer calls its directory, so that tests can replace the directory.

use async_trait::async_trait;
use convite_client::{DirectoryClient, Lease, Published, Registered, Registering};
use convite_core::activity::Activity;
use convite_core::model::FileEntry;
use convite_core::{PeerId, Problem, SafePath, UserName};
use convite_net::clock::DirectoryClock;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// The directory of a peer. Methods return the directory's errors, and `unavailable` if it cannot
/// be reached.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Registers the peer. Issues a certificate if the request has a signing request (DER). A
    /// transient peer shares no folders: it exists for its downloads.
    async fn register_peer(&self, peer: &Registering<'_>) -> Result<Registered, Problem>;

    /// Renews the lease of the peer's process `run` and reports the peer's activity.
    async fn heartbeat(
        &self,
        id: &PeerId,
        run: Option<[u8; 16]>,
        activity: &Activity,
    ) -> Result<Lease, Problem>;

    /// Takes the peer off the list.
    async fn leave(&self, id: &PeerId) -> Result<(), Problem>;

    /// Publishes the changes from generation `base` to `generation`.
    async fn publish_change(
        &self,
        peer: &PeerId,
        base: u64,
        generation: u64,
        upsert: Vec<FileEntry>,
        remove: Vec<SafePath>,
    ) -> Result<Published, Problem>;

    /// Publishes the whole index, in batches.
    async fn publish_index(
        &self,
        peer: &PeerId,
        generation: u64,
        batches: mpsc::Receiver<Vec<FileEntry>>,
    ) -> Result<Published, Problem>;

    /// Returns whether this group runs without TLS.
    fn is_plaintext(&self) -> bool;

    /// Returns the account that the peer belongs to, if it is known.
    fn user(&self) -> Option<UserName>;

    /// Returns the directory's clock; the local clock until the directory's is known.
    fn clock(&self) -> DirectoryClock {
        DirectoryClock::default()
    }

    /// Returns the client of a real directory; `None` for a test double.
    fn client(&self) -> Option<DirectoryClient> {
        None
    }
}

#[async_trait]
impl Directory for DirectoryClient {
    async fn register_peer(&self, peer: &Registering<'_>) -> Result<Registered, Problem> {
        DirectoryClient::register_peer(self, peer).await
    }

    async fn heartbeat(
        &self,
        id: &PeerId,
        run: Option<[u8; 16]>,
        activity: &Activity,
    ) -> Result<Lease, Problem> {
        DirectoryClient::heartbeat(self, id, run, activity).await
    }

    async fn leave(&self, id: &PeerId) -> Result<(), Problem> {
        DirectoryClient::leave(self, id).await
    }

    async fn publish_change(
        &self,
        peer: &PeerId,
        base: u64,
        generation: u64,
        upsert: Vec<FileEntry>,
        remove: Vec<SafePath>,
    ) -> Result<Published, Problem> {
        DirectoryClient::publish_index_change(self, peer, base, generation, upsert, remove).await
    }

    async fn publish_index(
        &self,
        peer: &PeerId,
        generation: u64,
        batches: mpsc::Receiver<Vec<FileEntry>>,
    ) -> Result<Published, Problem> {
        DirectoryClient::publish_index(self, peer, generation, ReceiverStream::new(batches)).await
    }

    fn is_plaintext(&self) -> bool {
        DirectoryClient::is_plaintext(self)
    }

    fn user(&self) -> Option<UserName> {
        DirectoryClient::user(self).cloned()
    }

    fn clock(&self) -> DirectoryClock {
        DirectoryClient::clock(self)
    }

    fn client(&self) -> Option<DirectoryClient> {
        Some(self.clone())
    }
}
