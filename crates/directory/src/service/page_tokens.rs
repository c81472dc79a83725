//! Short-lived tokens for browser requests without headers: a download, an event stream, the file
//! of a link. A token gives access to one resource, any number of times until it expires.

use std::time::Duration;

use convite_core::{ContentHash, EntryKind, Problem, SearchScope, UnixMillis};
use convite_store::SecretHash;

use super::state::page_tokens::{CONTENT_LIFETIME, EVENTS_LIFETIME, TokenResource};
use super::{Caller, ClientAddress, Service};

/// A new token.
#[derive(Clone)]
pub struct PageToken {
    /// The secret, sent as the parameter `token`.
    pub token: String,
    /// When it expires.
    pub expires: UnixMillis,
}

impl Service {
    /// Returns a token for a file, valid for an hour while the session lasts and the file is
    /// visible to the caller.
    ///
    /// # Errors
    /// Returns `not_found` if no online peer shares the file, or the caller may not see it;
    /// `invalid_argument` for a folder; `permission_denied` if the gateway of this directory is disabled.
    pub async fn content_token(
        &self,
        caller: &Caller,
        hash: &ContentHash,
    ) -> Result<PageToken, Problem> {
        self.gateway.must_be_enabled()?;
        let (kind, within) = (Some(EntryKind::File), SearchScope::Visible);
        self.locate(caller, hash, kind, &within).await?;
        Ok(self.page_token(&TokenResource::Content(hash), caller, CONTENT_LIFETIME))
    }

    /// Returns a token for the event stream of the caller's session, valid for ten minutes.
    pub fn events_token(&self, caller: &Caller) -> PageToken {
        self.page_token(&TokenResource::Events, caller, EVENTS_LIFETIME)
    }

    fn page_token(
        &self,
        opens: &TokenResource<'_>,
        caller: &Caller,
        lifetime: Duration,
    ) -> PageToken {
        let expires = self.now().after(lifetime);
        PageToken {
            token: self.page_tokens.seal(opens, &caller.session, expires),
            expires,
        }
    }

    /// Returns the caller that a token for a file was issued to.
    ///
    /// # Errors
    /// Returns `unauthenticated` if the token is not valid for this file; `session_expired` if it
    /// or its session has expired.
    pub async fn content_token_caller(
        &self,
        token: &str,
        hash: &ContentHash,
        seen: ClientAddress,
    ) -> Result<Caller, Problem> {
        let opens = TokenResource::Content(hash);
        let session = self.page_tokens.open(&opens, token, self.now())?;
        self.caller_of_session(session, Some(seen.address())).await
    }

    /// Returns the caller that a token for an event stream was issued to.
    ///
    /// # Errors
    /// As [`Self::content_token_caller`].
    pub async fn events_token_caller(
        &self,
        token: &str,
        seen: ClientAddress,
    ) -> Result<Caller, Problem> {
        let session = self
            .page_tokens
            .open(&TokenResource::Events, token, self.now())?;
        self.caller_of_session(session, Some(seen.address())).await
    }

    /// Returns proof that the button on a link's page was pressed from this network. It expires
    /// with the link.
    pub(super) fn link_button_token(&self, link: &SecretHash, network: &str) -> String {
        let mac = self
            .page_tokens
            .mac(&TokenResource::Link(link, network), &[]);
        data_encoding::BASE64URL_NOPAD.encode(mac.as_bytes())
    }

    /// Returns whether a text is the result of [`Self::link_button_token`].
    pub(super) fn is_link_button_token(
        &self,
        pass: &str,
        link: &SecretHash,
        network: &str,
    ) -> bool {
        let pass = data_encoding::BASE64URL_NOPAD.decode(pass.as_bytes());
        let pass: Option<[u8; 32]> = pass.ok().and_then(|bytes| bytes.try_into().ok());
        let mac = self
            .page_tokens
            .mac(&TokenResource::Link(link, network), &[]);
        pass.is_some_and(|pass| mac == pass)
    }
}
