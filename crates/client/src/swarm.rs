//! The directory's side of a swarm: saying that one's peer fetches a file, and hearing of others
//! that provide it.

use convite_core::model::Provider;
use convite_core::{ContentHash, PeerId, Problem, Within};
use convite_wire::convert;
use convite_wire::status::from_status;
use convite_wire::v1::directory_client::DirectoryClient as Stub;
use convite_wire::v1::{AnnounceRequest, WatchRequest};
use tokio_stream::{Stream, StreamExt};

use crate::DirectoryClient;
use crate::convert::all;
use crate::lasting::lasting;

impl DirectoryClient {
    /// Lists a peer as partial provider of a file of `size` bytes, while its lease lasts.
    ///
    /// # Errors
    /// `not_found` if the directory does not list the peer, or it is another account's;
    /// `too_many_requests` above 256 files of one peer.
    pub async fn announce(
        &self,
        peer: &PeerId,
        hash: &ContentHash,
        size: u64,
    ) -> Result<(), Problem> {
        self.provides(AnnounceRequest {
            peer: peer.to_string(),
            hash: convert::hash_bytes(hash),
            size,
            withdrawn: false,
        })
        .await
    }

    /// Takes back an announcement; nothing happens if there is none.
    ///
    /// # Errors
    /// `not_found` if the directory does not list the peer, or it is another account's.
    pub async fn withdraw(&self, peer: &PeerId, hash: &ContentHash) -> Result<(), Problem> {
        self.provides(AnnounceRequest {
            peer: peer.to_string(),
            hash: convert::hash_bytes(hash),
            size: 0,
            withdrawn: true,
        })
        .await
    }

    async fn provides(&self, message: AnnounceRequest) -> Result<(), Problem> {
        let call = |mut stub: Stub<_>, request| async move { stub.announce(request).await };
        self.call(message, call).await.map(drop)
    }

    /// The providers of a file there: first all of them (perhaps none), then those that are new or have
    /// new addresses, as they come, and those whose tickets would run out, with fresh ones. If the
    /// replica that tells goes away, another goes on (with all of them again), for as long as it
    /// takes to find one. Ends with the problem for which the directory refuses.
    ///
    /// # Errors
    /// `too_many_requests` above 64 watches of one session.
    pub async fn watch(
        &self,
        hash: &ContentHash,
        within: &Within,
    ) -> Result<
        impl Stream<Item = Result<Vec<Provider>, Problem>> + Send + Unpin + 'static + use<>,
        Problem,
    > {
        let (client, hash, within) = (self.clone(), *hash, within.clone());
        let again = move || client.clone().watch_replica(hash, within.clone());
        Ok(lasting(again().await?, again))
    }

    /// What one replica says of it, until that stops.
    async fn watch_replica(
        self,
        hash: ContentHash,
        within: Within,
    ) -> Result<impl Stream<Item = Result<Vec<Provider>, Problem>> + Send + Unpin + 'static, Problem>
    {
        let message = WatchRequest {
            hash: convert::hash_bytes(&hash),
            space: within.sent().map(str::to_owned),
            ..WatchRequest::default()
        };
        let call = |mut stub: Stub<_>, request| async move { stub.watch(request).await };
        let replies = self.call(message, call).await?;
        Ok(replies.map(|reply| match reply {
            Ok(reply) => all(reply.providers),
            Err(status) => Err(from_status(&status)),
        }))
    }
}
