//! Files for the inboxes of peers: who may leave some where, and those that come through here.

use bytes::Bytes;
use convite_core::model::Provider;
use convite_core::{ErrorCode, PeerAddress, PeerId, Problem, UnixMillis};
use convite_metrics::catalogue::TICKETS;
use convite_wire::rest::Uploaded;
use convite_wire::upload_ticket::UploadTicket;
use http::HeaderValue;

use super::peers::as_seen_by;
use super::{Caller, Service};

/// The way to a peer's inbox.
pub struct UploadGrant {
    /// A secret, for the account that asked and this peer.
    pub ticket: String,
    /// When it ends.
    pub expires: UnixMillis,
    /// Where the peer can be dialled, best first.
    pub addresses: Vec<PeerAddress>,
}

impl Service {
    /// Lets the caller leave files with a peer that takes some from him, for minutes.
    ///
    /// # Errors
    /// `not_found` if the peer is not online; `permission_denied` if it takes none from the caller,
    /// and for guests.
    pub async fn upload_ticket(
        &self,
        caller: &Caller,
        peer: &PeerId,
    ) -> Result<UploadGrant, Problem> {
        caller.must_share()?;
        let now = self.now();
        let listed = self.store().listed_peer(&caller.viewer, peer, now).await?;
        let listed = listed.ok_or_else(|| {
            Problem::not_found(format!("peer '{peer}' is not online"))
                .hint("see who is with `convite peers`")
        })?;
        let mut spaces = self.spaces_of(caller).await?;
        // The owner learns of no others that the caller is in.
        let takes = listed.terms.uploads.clone();
        let summary = as_seen_by(caller, &spaces, listed);
        if !summary.uploads {
            return Err(Problem::new(
                ErrorCode::PermissionDenied,
                format!("peer '{peer}' takes no uploads from you"),
            )
            .hint("its owner lets you with `convite peer --allow-uploads`"));
        }
        spaces.retain(|space| takes.names(space));
        let expires = now.after(self.parts.ticket_lifetime);
        self.counted().add(&TICKETS, &[], 1.0);
        let ticket = self.parts.signer.sign_upload(&UploadTicket {
            user: caller.user.clone(),
            spaces,
            peer: peer.clone(),
            expires,
        })?;
        Ok(UploadGrant {
            ticket,
            expires,
            addresses: summary.addresses,
        })
    }

    /// Hands a form with files on to a peer's inbox, as it comes.
    ///
    /// # Errors
    /// As [`Self::upload_ticket`]; `permission_denied` if this directory relays nothing;
    /// `overloaded` if too much is relayed just now; `unavailable` if the peer does not answer; what
    /// the peer refuses.
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
        self.relay.must_be_enabled()?;
        let grant = self.upload_ticket(caller, peer).await?;
        let to = Provider {
            peer: peer.clone(),
            addresses: grant.addresses,
            size: 0,
            ticket: grant.ticket,
            partial: false,
        };
        let account = caller.account;
        self.relay.forward(account, &to, content_type, form).await
    }
}
