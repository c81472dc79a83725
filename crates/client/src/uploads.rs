//! The way to another peer's inbox.

use convite_core::{PeerAddress, PeerId, Problem};
use convite_wire::convert;
use convite_wire::v1;
use convite_wire::v1::directory_client::DirectoryClient as Stub;

use crate::DirectoryClient;
use crate::convert::odd_answer;

/// What lets this account leave files with a peer, for a few minutes.
pub struct UploadGrant {
    /// A secret.
    pub ticket: String,
    /// Where the peer can be dialled, best first.
    pub addresses: Vec<PeerAddress>,
}

impl DirectoryClient {
    /// Asks for a ticket to upload to a peer.
    ///
    /// # Errors
    /// `not_found` if it is not online; `permission_denied` if it takes nothing from this account.
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
