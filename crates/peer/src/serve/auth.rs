//! Who may have what: the directory's tickets, checked before anything is said about a file.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::SystemTime;

use convite_core::{ErrorCode, PeerId, Problem, UnixMillis};
use convite_wire::ticket::{Ticket, TicketVerifier};
use convite_wire::upload_ticket::UploadTicket;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// How many tickets are remembered.
const REMEMBERED_MAX: usize = 4096;

/// The check of tickets. Until the directory has told its key, none passes.
///
/// A download shows the same ticket with each request, and checking its signature costs more than
/// reading a small piece; so tickets that held are remembered, by hash, for as long as they hold.
#[derive(Default)]
pub struct TicketGate {
    verifier: RwLock<Option<Arc<TicketVerifier>>>,
    remembered: Mutex<HashMap<blake3::Hash, Ticket>>,
}

impl TicketGate {
    /// Accepts tickets for `peer` signed with the private half of `key` from now on.
    ///
    /// # Errors
    /// `invalid_argument` if `key` is not an Ed25519 public key.
    pub fn trust(&self, key: &[u8], peer: PeerId) -> Result<(), Problem> {
        let verifier = Arc::new(TicketVerifier::new(key, peer)?);
        let mut trusted = self
            .verifier
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *trusted = Some(verifier);
        // What another key had signed holds no more.
        self.remembered().clear();
        Ok(())
    }

    /// The ticket that came with a request, as bearer token or else as `ticket=` in `query`.
    ///
    /// # Errors
    /// `unauthenticated` without one, `ticket_invalid` if it does not hold, `unavailable` while
    /// the directory's key is not known.
    pub fn ticket(&self, headers: &HeaderMap, query: Option<&str>) -> Result<Ticket, Problem> {
        let token = token_of(headers, query)?;
        let now = UnixMillis::from(SystemTime::now());
        let key = blake3::hash(token.as_bytes());
        if let Some(ticket) = self.remembered().get(&key)
            && now <= ticket.expires
        {
            return Ok(ticket.clone());
        }
        let verifier = self.verifier()?;
        let ticket = verifier.verify(token, now)?;
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, ticket| now <= ticket.expires);
        }
        if remembered.len() < REMEMBERED_MAX {
            remembered.insert(key, ticket.clone());
        }
        Ok(ticket)
    }

    /// The upload ticket that came with a request, as bearer token or else as `ticket=` in `query`.
    ///
    /// # Errors
    /// As [`Self::ticket`].
    pub fn upload_ticket(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Result<UploadTicket, Problem> {
        let token = token_of(headers, query)?;
        self.verifier()?
            .verify_upload(token, UnixMillis::from(SystemTime::now()))
    }

    fn verifier(&self) -> Result<Arc<TicketVerifier>, Problem> {
        let trusted = self.verifier.read().unwrap_or_else(PoisonError::into_inner);
        trusted.clone().ok_or_else(|| {
            Problem::new(
                ErrorCode::Unavailable,
                "this peer has not reached its directory yet",
            )
        })
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<blake3::Hash, Ticket>> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn token_of<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Result<&'a str, Problem> {
    bearer(headers)
        .or_else(|| {
            query?
                .split('&')
                .find_map(|field| field.strip_prefix("ticket="))
        })
        .ok_or_else(|| {
            Problem::new(ErrorCode::Unauthenticated, "no ticket came with the request").hint(
                "ask the directory for one (`GET /files/{hash}` or `Locate`) and send it as bearer token or `?ticket=`",
            )
        })
}

/// The bearer token of a request.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}
