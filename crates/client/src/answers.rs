//! Requests and replies of the directory that have no type in `convite_core`.

use std::time::Duration;

use convite_core::model::{Role, SearchHit};
use convite_core::{PeerAddress, PeerId, SharingPolicy, UnixMillis, UserName};

/// A login session. No `Debug`: the token is a secret.
#[derive(Clone)]
pub struct Session {
    /// The bearer token.
    pub token: String,
    /// Expiry in seconds since 1970. Each use extends it.
    pub expires_at: i64,
    /// The account's name.
    pub user: UserName,
    /// The account's role.
    pub role: Role,
}

/// A request to register a peer.
#[derive(Debug, Clone)]
pub struct Registering<'a> {
    /// Peer id.
    pub id: &'a PeerId,
    /// Listening port.
    pub port: u16,
    /// Addresses at which the peer can be reached.
    pub addresses: &'a [PeerAddress],
    /// PKCS #10 certificate signing request in DER. Its key identifies the peer after a restart.
    pub signing_request: Option<&'a [u8]>,
    /// Random number of this process.
    pub run: Option<[u8; 16]>,
    /// `true` for the first registration of this process.
    pub is_starting: bool,
    /// The peer exists only for its downloads: it is not listed, and it is forgotten when it leaves
    /// or its lease expires.
    pub transient: bool,
    /// What the peer offers to other accounts.
    pub terms: SharingPolicy,
}

impl<'a> Registering<'a> {
    /// Returns a request for a peer without a key and without offers to others. The directory uses
    /// the address that it sees.
    pub fn new(id: &'a PeerId, port: u16) -> Self {
        Self {
            id,
            port,
            addresses: &[],
            signing_request: None,
            run: None,
            is_starting: true,
            transient: false,
            terms: SharingPolicy::default(),
        }
    }
}

/// The reply to a peer's registration.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Time for which the peer stays listed without a heartbeat.
    pub lease: Duration,
    /// Generation of the peer's index in the directory; 0 if there is none.
    pub generation: u64,
    /// The peer's certificate in DER, if one was requested.
    pub certificate: Option<Vec<u8>>,
    /// The authority's certificate in DER, sent after the peer's own in the chain.
    pub authority: Option<Vec<u8>>,
    /// Expiry of the certificate.
    pub certificate_expires: UnixMillis,
    /// Public key that verifies tickets.
    pub ticket_key: Vec<u8>,
    /// Addresses under which the directory lists the peer.
    pub addresses: Vec<PeerAddress>,
}

/// The reply to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Time for which the peer stays listed without another heartbeat.
    pub lease: Duration,
    /// Generation of the peer's index in the directory; 0 if there is none.
    pub generation: u64,
    /// IP address of this machine as the directory sees it; empty if the directory does not report
    /// it.
    pub observed: String,
}

/// The reply to a published index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Generation that the directory now holds.
    pub generation: u64,
    /// Number of new or changed files.
    pub upserted: u64,
    /// Number of removed files.
    pub removed: u64,
}

/// A new invite.
#[derive(Clone)]
pub struct Invite {
    /// The invite link.
    pub link: String,
    /// Expiry in seconds since 1970.
    pub expires_at: i64,
    /// Number of times that it can be used.
    pub uses: u32,
}

/// A page of search results.
#[derive(Debug, Clone)]
pub struct Found {
    /// Results in the requested order.
    pub items: Vec<SearchHit>,
    /// Cursor for the next page; `None` on the last page.
    pub next_cursor: Option<String>,
    /// The directory is rebuilding its search index, so results may be incomplete.
    pub indexing: bool,
}

/// All files with one name.
#[derive(Debug, Clone)]
pub struct Named {
    /// One item per content hash, most providers first.
    pub items: Vec<SearchHit>,
    /// There are more results than `items`.
    pub more: bool,
}
