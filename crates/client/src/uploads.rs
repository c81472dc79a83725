//! Access to the inbox of another peer.

use convite_core::{PeerAddress, PeerId, Problem};
use convite_wire::convert;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient as Stub;

use crate::convert::odd_answer;
use crate::directory::DirectoryClient;

/// Permission to upload files to a peer, valid for a few minutes.
pub struct UploadGrant {
    /// The upload ticket, a secret.
    pub ticket: String,
    /// Addresses of the peer, best first.
    pub addresses: Vec<PeerAddress>,
}

impl DirectoryClient {
    /// Requests a ticket to upload to a peer.
    ///
    /// # Errors
    /// Returns `not_found` if the peer is not online, and `permission_denied` if it accepts no
    /// uploads from this account.
    pub async fn upload_ticket(&self, peer: &PeerId) -> Result<UploadGrant, Problem> {
        let message = v1::GetUploadTicketRequest {
            peer: peer.to_string(),
        };
        let call =
            |mut stub: Stub<_>, request| async move { stub.get_upload_ticket(request).await };
        let reply = self.call(message, call).await?;
        Ok(UploadGrant {
            ticket: reply.ticket,
            addresses: convert::addresses(&reply.addresses).map_err(odd_answer)?,
        })
    }
}
