//! Uploads to peers' inboxes: tickets, and forms that pass through the directory.

use bytes::Bytes;
use convite_core::model::Provider;
use convite_core::{ErrorCode, PeerAddress, PeerId, Problem, UnixMillis};
use convite_metrics::catalogue::TICKETS;
use convite_wire::rest::Uploaded;
use convite_wire::upload_ticket::UploadTicket;
use http::HeaderValue;

use super::peers::visible_to;
use super::{Caller, Service};

/// The permission to upload to a peer's inbox.
pub struct UploadPermit {
    /// The ticket, a secret, for the caller's account and this peer.
    pub ticket: String,
    /// When it expires.
    pub expires: UnixMillis,
    /// The peer's addresses, best first.
    pub addresses: Vec<PeerAddress>,
}

impl Service {
    /// Issues a ticket for uploads to a peer that accepts them from the caller, valid for minutes.
    ///
    /// # Errors
    /// Returns `not_found` if the peer is not online; `permission_denied` if it accepts no uploads
    /// from the caller, and for guests.
    pub async fn upload_ticket(
        &self,
        caller: &Caller,
        peer: &PeerId,
    ) -> Result<UploadPermit, Problem> {
        caller.require_sharing_role()?;
        let now = self.now();
        let listed = self.store().listed_peer(&caller.viewer, peer, now).await?;
        let listed = listed.ok_or_else(|| {
            Problem::not_found(format!("peer '{peer}' is not online"))
                .hint("see who is online with `convite peers`")
        })?;
        let mut spaces = self.spaces_of(caller).await?;
        // The owner does not learn the caller's other spaces.
        let takes = listed.terms.uploads.clone();
        let summary = visible_to(caller, &spaces, listed);
        if !summary.uploads {
            return Err(Problem::new(
                ErrorCode::PermissionDenied,
                format!("peer '{peer}' does not accept uploads from you"),
            )
            .hint("its owner allows accounts with `convite peer --allow-uploads`"));
        }
        spaces.retain(|space| takes.lists_space(space));
        let expires = now.after(self.parts.ticket_lifetime);
        self.registry().add(&TICKETS, &[], 1.0);
        let ticket = self.parts.signer.sign_upload(&UploadTicket {
            user: caller.user.clone(),
            spaces,
            peer: peer.clone(),
            expires,
        })?;
        Ok(UploadPermit {
            ticket,
            expires,
            addresses: summary.addresses,
        })
    }

    /// Streams a form with files to a peer's inbox.
    ///
    /// # Errors
    /// As [`Self::upload_ticket`]; returns `permission_denied` if the gateway of this directory is
    /// disabled; `overloaded` if the gateway is at its limit; `unavailable` if the peer does not
    /// answer; or the error that the peer returns.
    pub async fn upload<B>(
        &self,
        caller: &Caller,
        peer: &PeerId,
        content_type: HeaderValue,
        form: B,
    ) -> Result<Uploaded, Problem>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.gateway.must_be_enabled()?;
        let grant = self.upload_ticket(caller, peer).await?;
        let to = Provider {
            peer: peer.clone(),
            addresses: grant.addresses,
            size: 0,
            ticket: grant.ticket,
            partial: false,
        };
        let account = caller.account;
        self.gateway.forward(account, &to, content_type, form).await
    }
}
