//! Loading on another peer: asking for it, hearing how it goes, and for the peer, hearing what is
//! asked and saying how far it is.

use convite_core::loads::{LoadId, LoadOrder, LoadReport, LoadSummary};
use convite_core::model::Page;
use convite_core::{ContentHash, PeerId, Problem};
use convite_wire::convert::{hash_bytes, some_text};
use convite_wire::status::from_status;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient as Stub;
use tokio_stream::{Stream, StreamExt};

use crate::DirectoryClient;
use crate::convert::{all, odd_answer};
use crate::lasting::lasting;

impl DirectoryClient {
    /// Has a peer fetch a file and share it. The same asked for again, while it is not over, is the
    /// same load.
    ///
    /// # Errors
    /// `not_found` for a file that nobody online lets this account see, and for a peer that there is
    /// not; `permission_denied` for guests, and if the peer does not do this for this account;
    /// `too_many_requests` above 1,000 loads that are not over.
    pub async fn load_file(&self, peer: &PeerId, hash: &ContentHash) -> Result<LoadId, Problem> {
        let message = v1::LoadFileRequest {
            hash: hash_bytes(hash),
            peer: peer.to_string(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.load_file(request).await };
        let reply = self.call(message, call).await?;
        reply.load.parse().map_err(odd_answer)
    }

    /// The loads of this account, newest first, a page of them.
    ///
    /// # Errors
    /// Those of every call.
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

    /// How a load of this account stands.
    ///
    /// # Errors
    /// `not_found` if there is none of that id, or it is forgotten.
    pub async fn load_summary(&self, load: LoadId) -> Result<LoadSummary, Problem> {
        let message = v1::GetLoadRequest {
            load: load.to_string(),
        };
        let call = |mut stub: Stub<_>, request| async move { stub.get_load(request).await };
        let reply = self.call(message, call).await?;
        let summary = reply.load.unwrap_or_default();
        summary.try_into().map_err(odd_answer)
    }

    /// Says how far a peer of this account is with what it was asked to load.
    ///
    /// # Errors
    /// `not_found` if that peer has not, or no more, to do it.
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

    /// What a peer of this account is asked to load: first all that is not over (perhaps nothing),
    /// then what is new or is to lie elsewhere. If the replica that tells goes away, another goes on
    /// (with all of it again). Ends with the problem for which the directory refuses.
    ///
    /// # Errors
    /// `not_found` if there is no such peer of this account; `permission_denied` for guests.
    pub async fn watch_orders(
        &self,
        peer: &PeerId,
    ) -> Result<
        impl Stream<Item = Result<Vec<LoadOrder>, Problem>> + Send + Unpin + 'static + use<>,
        Problem,
    > {
        let replies = self.clone().orders_of_replica(peer.clone()).await?;
        let (client, peer) = (self.clone(), peer.clone());
        Ok(lasting(replies, move || {
            client.clone().orders_of_replica(peer.clone())
        }))
    }

    /// What one replica says of it, until that stops.
    async fn orders_of_replica(
        self,
        peer: PeerId,
    ) -> Result<impl Stream<Item = Result<Vec<LoadOrder>, Problem>> + Send + Unpin + 'static, Problem>
    {
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
