//! Remote fetches. An account requests them and follows their progress; the peer receives the
//! requests and reports its progress.

use convite_core::model::Page;
use convite_core::remote_fetch::{LoadId, LoadReport, LoadSummary, RemoteFetch};
use convite_core::{ContentHash, PeerId, Problem};
use convite_wire::convert::{hash_bytes, some_text};
use convite_wire::status::from_status;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient as Stub;
use tokio_stream::{Stream, StreamExt};

use crate::convert::{all, odd_answer};
use crate::directory::DirectoryClient;
use crate::resubscribe::resubscribing;

impl DirectoryClient {
    /// Requests that a peer download a file and share it, under `name` if that is one of the file's
    /// names.
    ///
    /// Repeating a request that is not finished returns the same id.
    ///
    /// # Errors
    /// Returns `not_found` if no online peer offers the file to this account or if `peer` does not
    /// exist, `permission_denied` for guests and if the peer does not accept requests from this
    /// account, and `too_many_requests` above 1,000 unfinished requests.
    pub async fn load_file(
        &self,
        peer: &PeerId,
        hash: &ContentHash,
        name: Option<&str>,
    ) -> Result<LoadId, Problem> {
        let message = v1::LoadFileRequest {
            hash: hash_bytes(hash),
            peer: peer.to_string(),
            name: name.unwrap_or_default().to_owned(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.load_file(request).await };
        let reply = self.call(message, call).await?;
        reply.load.parse().map_err(odd_answer)
    }

    /// Returns a page of this account's remote fetches, newest first.
    ///
    /// # Errors
    /// Returns the errors common to all calls.
    pub async fn loads(
        &self,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<Page<LoadSummary>, Problem> {
        let cursor = cursor.unwrap_or_default();
        let message = v1::ListLoadsRequest { limit, cursor };
        let call = |mut stub: Stub<_>, request| async move { stub.list_loads(request).await };
        let reply = self.call(message, call).await?;
        Ok(Page {
            items: all(reply.loads)?,
            next_cursor: some_text(reply.next_cursor),
        })
    }

    /// Returns the state of a remote fetch of this account.
    ///
    /// # Errors
    /// Returns `not_found` if the id is unknown or the remote fetch is no longer kept.
    pub async fn load_summary(&self, load: LoadId) -> Result<LoadSummary, Problem> {
        let message = v1::GetLoadRequest {
            load: load.to_string(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.get_load(request).await };
        let reply = self.call(message, call).await?;
        let summary = reply.load.unwrap_or_default();
        summary.try_into().map_err(odd_answer)
    }

    /// Reports the progress of a remote fetch on a peer of this account.
    ///
    /// # Errors
    /// Returns `not_found` if the peer does not have this request, or no longer has it.
    pub async fn report_load(
        &self,
        peer: &PeerId,
        load: LoadId,
        report: &LoadReport,
    ) -> Result<(), Problem> {
        let message = v1::ReportLoadRequest {
            peer: peer.to_string(),
            load: load.to_string(),
            state: report.state.name().to_owned(),
            bytes: report.bytes,
            rate: report.rate,
            message: report.message.clone(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.report_load(request).await };
        self.call(message, call).await.map(drop)
    }

    /// Watches the remote fetches requested from a peer of this account.
    ///
    /// The first item has all unfinished requests (possibly none). Later items have those that are
    /// new or have another target. If the replica fails, the stream continues at another one and
    /// starts again with all requests. If the directory refuses, the refusal is the last item.
    ///
    /// # Errors
    /// Returns `not_found` if this account has no such peer, and `permission_denied` for guests.
    pub async fn watch_orders(
        &self,
        peer: &PeerId,
    ) -> Result<
        impl Stream<Item = Result<Vec<RemoteFetch>, Problem>> + Send + Unpin + 'static + use<>,
        Problem,
    > {
        let replies = self.clone().orders_of_replica(peer.clone()).await?;
        let (client, peer) = (self.clone(), peer.clone());
        Ok(resubscribing(replies, move || {
            client.clone().orders_of_replica(peer.clone())
        }))
    }

    /// Watches at one replica until that stream ends.
    async fn orders_of_replica(
        self,
        peer: PeerId,
    ) -> Result<
        impl Stream<Item = Result<Vec<RemoteFetch>, Problem>> + Send + Unpin + 'static,
        Problem,
    > {
        let message = v1::WatchRequest {
            peer: peer.to_string(),
            ..v1::WatchRequest::default()
        };
        let call = |mut stub: Stub<_>, request| async move { stub.watch(request).await };
        let replies = self.call(message, call).await?;
        Ok(replies.map(|reply| match reply {
            Ok(reply) => all(reply.loads),
            Err(status) => Err(from_status(&status)),
        }))
    }
}
