//! What a peer wants of its directory, as an interface of its own: so that publishing and
//! presence are tested against a directory that fails on demand.

use async_trait::async_trait;
use convite_client::{DirectoryClient, Lease, Published, Registered};
use convite_core::activity::Activity;
use convite_core::model::FileEntry;
use convite_core::{PeerAddress, PeerId, Problem, SafePath, Terms, UserName};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// A peer's directory. Errors are the directory's, and `unavailable` if it cannot be reached.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Puts the peer on the list, with a certificate if it sends a signing request (DER).
    /// A transient peer shares nothing of its own: it is there for its downloads alone.
    async fn register_peer(
        &self,
        id: &PeerId,
        port: u16,
        addresses: &[PeerAddress],
        signing_request: Option<&[u8]>,
        transient: bool,
        terms: &Terms,
    ) -> Result<Registered, Problem>;

    /// Renews the lease, and says what the peer does.
    async fn heartbeat(&self, id: &PeerId, activity: &Activity) -> Result<Lease, Problem>;

    /// Takes the peer off the list.
    async fn leave(&self, id: &PeerId) -> Result<(), Problem>;

    /// Tells of a change from generation `base` to `generation`.
    async fn publish_change(
        &self,
        peer: &PeerId,
        base: u64,
        generation: u64,
        upsert: Vec<FileEntry>,
        remove: Vec<SafePath>,
    ) -> Result<Published, Problem>;

    /// Tells of everything, in batches.
    async fn publish_all(
        &self,
        peer: &PeerId,
        generation: u64,
        batches: mpsc::Receiver<Vec<FileEntry>>,
    ) -> Result<Published, Problem>;

    /// Whether this group does without TLS.
    fn is_plaintext(&self) -> bool;

    /// The account that the peer belongs to, if it is known.
    fn user(&self) -> Option<UserName>;

    /// The way to a real one; none for one that stands in for it.
    fn client(&self) -> Option<DirectoryClient> {
        None
    }
}

#[async_trait]
impl Directory for DirectoryClient {
    async fn register_peer(
        &self,
        id: &PeerId,
        port: u16,
        addresses: &[PeerAddress],
        signing_request: Option<&[u8]>,
        transient: bool,
        terms: &Terms,
    ) -> Result<Registered, Problem> {
        DirectoryClient::register_peer(self, id, port, addresses, signing_request, transient, terms)
            .await
    }

    async fn heartbeat(&self, id: &PeerId, activity: &Activity) -> Result<Lease, Problem> {
        DirectoryClient::heartbeat(self, id, activity).await
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
        DirectoryClient::publish_change(self, peer, base, generation, upsert, remove).await
    }

    async fn publish_all(
        &self,
        peer: &PeerId,
        generation: u64,
        batches: mpsc::Receiver<Vec<FileEntry>>,
    ) -> Result<Published, Problem> {
        DirectoryClient::publish_all(self, peer, generation, ReceiverStream::new(batches)).await
    }

    fn is_plaintext(&self) -> bool {
        DirectoryClient::is_plaintext(self)
    }

    fn user(&self) -> Option<UserName> {
        DirectoryClient::user(self).cloned()
    }

    fn client(&self) -> Option<DirectoryClient> {
        Some(self.clone())
    }
}
