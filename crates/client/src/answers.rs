//! What the directory is asked and what it answers, where the core has no word for it.

use std::time::Duration;

use convite_core::model::{Role, SearchHit};
use convite_core::{PeerAddress, PeerId, SpaceName, UnixMillis, UserName};

/// A session, as a login gives it. No `Debug`: the token is a secret.
#[derive(Clone)]
pub struct Session {
    /// The bearer token.
    pub token: String,
    /// When it ends, unless it is used.
    pub expires_at: i64,
    /// Who.
    pub user: UserName,
    /// What the account may do.
    pub role: Role,
}

/// What registering a peer gives.
#[derive(Debug, Clone)]
pub struct Registered {
    /// For how long the peer is listed without a heartbeat.
    pub lease: Duration,
    /// The generation of the peer's index that the directory holds; 0 for none.
    pub generation: u64,
    /// The peer's certificate, DER, if one was asked for.
    pub certificate: Option<Vec<u8>>,
    /// The authority's certificate, DER, to be presented behind it.
    pub authority: Option<Vec<u8>>,
    /// When the certificate ends.
    pub certificate_expires: UnixMillis,
    /// The public key that tickets are signed with.
    pub ticket_key: Vec<u8>,
    /// Where the directory lists the peer as reachable.
    pub addresses: Vec<PeerAddress>,
}

/// What a heartbeat gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// For how long the peer is listed without another.
    pub lease: Duration,
    /// The generation of the peer's index that the directory holds; 0 for none.
    pub generation: u64,
}

/// What publishing gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The generation that the directory now holds.
    pub generation: u64,
    /// How many files were new or changed.
    pub upserted: u64,
    /// How many went.
    pub removed: u64,
}

/// An invite that was made.
#[derive(Clone)]
pub struct Invite {
    /// The link.
    pub link: String,
    /// When it ends, in seconds since 1970.
    pub expires_at: i64,
    /// How often it can be used.
    pub uses: u32,
}

/// What to look for.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Words, `"phrases"` and `-words` that must not be there.
    pub words: String,
    /// Only files of this kind, or with this extension.
    pub file_type: Option<String>,
    /// Only files of at least this many bytes.
    pub min_size: Option<u64>,
    /// Only files of at most this many bytes.
    pub max_size: Option<u64>,
    /// Only files of this peer.
    pub peer: Option<PeerId>,
    /// Only files in this space.
    pub space: Option<SpaceName>,
    /// Last changed within that time (`7d`) or since that day (`2026-01-31`).
    pub newer: Option<String>,
    /// Last changed before that.
    pub older: Option<String>,
    /// What to sort by: `relevance`, `providers`, `size` or `date`.
    pub sort: Option<String>,
    /// `desc` or `asc`.
    pub order: Option<String>,
    /// How many results; 0 for the directory's own choice.
    pub limit: u32,
    /// What the page before returned.
    pub cursor: Option<String>,
}

/// A page of what was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// In the order asked for.
    pub items: Vec<SearchHit>,
    /// For the next page; none on the last.
    pub next_cursor: Option<String>,
    /// The directory's search index is being built: something may be missing.
    pub indexing: bool,
}
