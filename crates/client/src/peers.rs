//! Registration of a peer, its lease, and the list of peers.

use std::time::Duration;

use convite_core::activity::Activity;
use convite_core::model::{Page, PeerSummary};
use convite_core::{ErrorCode, PeerId, Problem, UnixMillis};
use convite_wire::activity::run_bytes;
use convite_wire::convert;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient as Stub;

use crate::answers::{Lease, Registered, Registering};
use crate::calls::again;
use crate::convert::{all, odd_answer};
use crate::directory::DirectoryClient;

impl DirectoryClient {
    /// Registers a peer. With a signing request (PKCS #10, DER) the peer receives a certificate. A
    /// transient peer is not listed, and it is forgotten when it leaves or its lease expires.
    ///
    /// # Errors
    /// Returns `peer_taken` if the id belongs to another account, to another online peer of this
    /// account, or, for a transient peer, to a permanent one.
    pub async fn register_peer(&self, peer: &Registering<'_>) -> Result<Registered, Problem> {
        let message = v1::RegisterPeerRequest {
            peer: Some(v1::PeerEndpoint {
                id: peer.id.to_string(),
                port: u32::from(peer.port),
                addresses: convert::address_texts(peer.addresses),
            }),
            signing_request: peer.signing_request.unwrap_or_default().to_vec().into(),
            transient: peer.transient,
            uploads: peer.terms.uploads.to_string(),
            loads: peer.terms.loads.to_string(),
            run: run_bytes(peer.run),
            starting: peer.is_starting,
        };
        let call = |mut stub: Stub<_>, request| async move { stub.register_peer(request).await };
        let reply = self.call(message, call).await?;
        let some = |der: Vec<u8>| (!der.is_empty()).then_some(der);
        Ok(Registered {
            lease: Duration::from_millis(reply.lease_ms),
            generation: reply.generation,
            certificate: some(reply.certificate.to_vec()),
            authority: some(reply.authority.to_vec()),
            certificate_expires: UnixMillis(reply.certificate_expires_ms),
            ticket_key: reply.ticket_key.to_vec(),
            addresses: convert::addresses(&reply.addresses).map_err(odd_answer)?,
        })
    }

    /// Renews a peer's lease and reports its activity.
    ///
    /// # Errors
    /// Returns `not_found` if the directory does not list the peer, which must then register again,
    /// and `peer_taken` if another `run` has replaced it.
    pub async fn heartbeat(
        &self,
        id: &PeerId,
        run: Option<[u8; 16]>,
        activity: &Activity,
    ) -> Result<Lease, Problem> {
        let message = v1::HeartbeatRequest::of(id, run, activity);
        let call = |mut stub: Stub<_>, request| async move { stub.heartbeat(request).await };
        let reply = self.call(message, call).await?;
        self.heed_replicas(&reply.directories).await;
        Ok(Lease {
            lease: Duration::from_millis(reply.lease_ms),
            generation: reply.generation,
            observed: reply.observed,
        })
    }

    /// Takes a peer offline.
    ///
    /// # Errors
    /// Returns `not_found` if this account has no such peer.
    pub async fn leave(&self, id: &PeerId) -> Result<(), Problem> {
        let message = v1::LeavePeerRequest { id: id.to_string() };
        let call = |mut stub: Stub<_>, request| async move { stub.leave_peer(request).await };
        let mut tries = 0;
        let left = again(|| {
            tries += 1;
            self.once(message.clone(), call)
        });
        match left.await {
            // A transient peer is forgotten when it leaves: an earlier attempt succeeded and its
            // reply was lost.
            Err(problem) if tries > 1 && problem.code == ErrorCode::NotFound => Ok(()),
            other => other.map(drop),
        }
    }

    /// Returns a page of the online peers.
    ///
    /// # Errors
    /// Returns the errors common to all calls.
    pub async fn peers(
        &self,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<Page<PeerSummary>, Problem> {
        let cursor = cursor.unwrap_or_default();
        let message = v1::ListPeersRequest { limit, cursor };
        let call = |mut stub: Stub<_>, request| async move { stub.list_peers(request).await };
        let reply = self.call(message, call).await?;
        Ok(Page {
            items: all(reply.peers)?,
            next_cursor: convert::some_text(reply.next_cursor),
        })
    }
}
