//! Swarm calls: announcing a file that a peer downloads, and watching the providers of a file.

use convite_core::model::Provider;
use convite_core::{ContentHash, EntryKind, PeerId, Problem, SearchScope, SpaceName};
use convite_wire::convert;
use convite_wire::status::from_status;
use convite_wire::v1::directory_client::DirectoryClient as Stub;
use convite_wire::v1::{AnnounceReply, AnnounceRequest, WatchRequest};
use tokio_stream::{Stream, StreamExt};

use crate::convert::{all, odd_answer};
use crate::directory::DirectoryClient;
use crate::resubscribe::resubscribing;

impl DirectoryClient {
    /// Lists a peer as a partial provider of a file of `size` bytes while its lease lasts. Returns the
    /// audience: the spaces in which the account sees the file. The peer is listed to members of all of
    /// them, and must serve nobody else.
    ///
    /// # Errors
    /// Returns `not_found` if the directory does not list the peer or the peer belongs to another
    /// account, and `too_many_requests` above 256 files per peer.
    pub async fn announce(
        &self,
        peer: &PeerId,
        hash: &ContentHash,
        size: u64,
    ) -> Result<Vec<SpaceName>, Problem> {
        let reply = self.provides(AnnounceRequest {
            peer: peer.to_string(),
            hash: convert::hash_bytes(hash),
            size,
            withdrawn: false,
        });
        let spaces = reply.await?.spaces.into_iter();
        let spaces = spaces.map(|space| space.parse().map_err(odd_answer));
        spaces.collect()
    }

    /// Withdraws an announcement. Does nothing if there is none.
    ///
    /// # Errors
    /// Returns `not_found` if the directory does not list the peer or the peer belongs to another
    /// account.
    pub async fn withdraw(&self, peer: &PeerId, hash: &ContentHash) -> Result<(), Problem> {
        self.provides(AnnounceRequest {
            peer: peer.to_string(),
            hash: convert::hash_bytes(hash),
            size: 0,
            withdrawn: true,
        })
        .await
        .map(drop)
    }

    async fn provides(&self, message: AnnounceRequest) -> Result<AnnounceReply, Problem> {
        let call = |mut stub: Stub<_>, request| async move { stub.announce(request).await };
        self.call(message, call).await
    }

    /// Watches the providers of a content in a search scope.
    ///
    /// The first item has all providers (possibly none). Later items have providers that are new,
    /// that have new addresses, or whose tickets are about to expire, with fresh tickets. If the
    /// replica fails, the stream continues at another one and starts again with all providers. If
    /// the directory refuses, the refusal is the last item.
    ///
    /// # Errors
    /// Returns `too_many_requests` above 64 watches per session.
    pub async fn watch(
        &self,
        hash: &ContentHash,
        kind: EntryKind,
        within: &SearchScope,
    ) -> Result<
        impl Stream<Item = Result<Vec<Provider>, Problem>> + Send + Unpin + 'static + use<>,
        Problem,
    > {
        let (client, hash, within) = (self.clone(), *hash, within.clone());
        let again = move || client.clone().watch_replica(hash, kind, within.clone());
        Ok(resubscribing(again().await?, again))
    }

    /// Watches at one replica until that stream ends.
    async fn watch_replica(
        self,
        hash: ContentHash,
        kind: EntryKind,
        within: SearchScope,
    ) -> Result<impl Stream<Item = Result<Vec<Provider>, Problem>> + Send + Unpin + 'static, Problem>
    {
        let message = WatchRequest {
            hash: convert::hash_bytes(&hash),
            space: within.as_wire().map(str::to_owned),
            kind: Some(convert::kind_number(kind)),
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
