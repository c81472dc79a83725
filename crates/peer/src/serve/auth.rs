//! Who may have what: the directory's tickets, checked before anything is said about a file.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use convite_core::{ErrorCode, PeerId, Problem, UnixMillis};
use convite_wire::ticket::{Ticket, TicketVerifier};
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// The check of tickets. Until the directory has told its key, none passes.
#[derive(Default)]
pub struct TicketGate {
    verifier: RwLock<Option<Arc<TicketVerifier>>>,
}

impl TicketGate {
    /// Accepts tickets for `peer` signed with the private half of `key` from now on.
    ///
    /// # Errors
    /// `invalid_argument` if `key` is not an Ed25519 public key.
    pub fn trust(&self, key: &[u8], peer: PeerId) -> Result<(), Problem> {
        let verifier = Arc::new(TicketVerifier::new(key, peer)?);
        *self
            .verifier
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(verifier);
        Ok(())
    }

    /// The ticket that came with a request, as bearer token or else as `ticket=` in `query`.
    ///
    /// # Errors
    /// `unauthenticated` without one, `ticket_invalid` if it does not hold, `unavailable` while
    /// the directory's key is not known.
    pub fn ticket(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Ticket, Problem> {
        let token = bearer(headers)
            .or_else(|| {
                query?
                    .split('&')
                    .find_map(|field| field.strip_prefix("ticket="))
            })
            .ok_or_else(|| {
                Problem::new(ErrorCode::Unauthenticated, "no ticket came with the request").hint(
                    "ask the directory for one (`GET /files/{hash}` or `Locate`) and send it as bearer token or `?ticket=`",
                )
            })?;
        let verifier = self
            .verifier
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let verifier = verifier.ok_or_else(|| {
            Problem::new(
                ErrorCode::Unavailable,
                "this peer has not reached its directory yet",
            )
        })?;
        verifier.verify(token, UnixMillis::from(SystemTime::now()))
    }
}

/// The bearer token of a request.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}
