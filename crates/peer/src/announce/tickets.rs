//! Authorization with the directory's tickets, checked before anything about a file is revealed.

use std::collections::HashMap;
use std::sync::Arc;

use convite_core::{ErrorCode, PeerId, Problem};
use convite_net::clock::DirectoryClock;
use convite_wire::reader_ticket::ReaderTicket;
use convite_wire::ticket::TicketVerifier;
use convite_wire::upload_ticket::UploadTicket;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use parking_lot::{Mutex, RwLock};

/// The maximum number of cached reader tickets.
const CACHED_TICKETS_MAX: usize = 4096;

/// Checks tickets. Rejects all of them until the directory's key is known.
///
/// A download sends the same ticket with each request, and checking its signature costs more than
/// reading a small piece. So valid reader tickets are cached by hash until they expire.
#[derive(Default)]
pub struct TicketVerification {
    /// The directory's clock, by which tickets are dated.
    clock: DirectoryClock,
    verifier: RwLock<Option<Arc<TicketVerifier>>>,
    remembered: Mutex<HashMap<blake3::Hash, Arc<ReaderTicket>>>,
}

impl TicketVerification {
    /// Creates a gate that checks tickets by `clock`.
    pub fn with_clock(clock: DirectoryClock) -> Self {
        Self {
            clock,
            ..Self::default()
        }
    }

    /// Accepts tickets for `peer` signed with the private half of `key` from now on.
    ///
    /// # Errors
    /// Returns `invalid_argument` if `key` is not an Ed25519 public key.
    pub fn set_key(&self, key: &[u8], peer: PeerId) -> Result<(), Problem> {
        let verifier = Arc::new(TicketVerifier::new(key, peer)?);
        let mut trusted = self.verifier.write();
        *trusted = Some(verifier);
        // Tickets signed with another key are no longer valid.
        self.remembered.lock().clear();
        Ok(())
    }

    /// Returns the reader ticket of a request, sent as bearer token or as `ticket=` in `query`.
    ///
    /// # Errors
    /// Returns `unauthenticated` if there is none, `ticket_invalid` if it is invalid or expired,
    /// and `unavailable` while the directory's key is unknown.
    pub fn reader_ticket(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Result<Arc<ReaderTicket>, Problem> {
        let token = token_of(headers, query)?;
        let now = self.clock.now();
        let key = blake3::hash(token.as_bytes());
        if let Some(ticket) = self.remembered.lock().get(&key)
            && now <= ticket.expires
        {
            return Ok(ticket.clone());
        }
        let verifier = self.verifier()?;
        let ticket = Arc::new(verifier.verify_reader(token, now)?);
        let mut remembered = self.remembered.lock();
        if remembered.len() >= CACHED_TICKETS_MAX {
            remembered.retain(|_, ticket| now <= ticket.expires);
        }
        if remembered.len() < CACHED_TICKETS_MAX {
            remembered.insert(key, ticket.clone());
        }
        Ok(ticket)
    }

    /// Returns the upload ticket of a request, sent as bearer token or as `ticket=` in `query`.
    ///
    /// # Errors
    /// Same as [`Self::reader_ticket`].
    pub fn upload_ticket(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Result<UploadTicket, Problem> {
        let token = token_of(headers, query)?;
        self.verifier()?.verify_upload(token, self.clock.now())
    }

    fn verifier(&self) -> Result<Arc<TicketVerifier>, Problem> {
        let trusted = self.verifier.read();
        trusted.clone().ok_or_else(|| {
            Problem::new(
                ErrorCode::Unavailable,
                "this peer has not connected to its directory yet",
            )
        })
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
            Problem::new(ErrorCode::Unauthenticated, "the request has no ticket").hint(
                "get one from the directory (`GET /files/{hash}` or `Locate`) and send it as bearer token or `?ticket=`",
            )
        })
}

/// Returns the bearer token of a request.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}
