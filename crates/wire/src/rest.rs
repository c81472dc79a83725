//! The bodies of the directory's REST interface that are not words of the core themselves.
//!
//! Fields that carry a rule are still text here where a wrong one should get a clear problem
//! document rather than a parser's message; the use cases take the checked types.

mod administration;
mod links;
mod loads;
mod uploads;

use convite_core::model::{FileEntry, IndexEntry, PeerSummary, Role, SearchHit};
use convite_core::{Allowed, PeerAddress, PeerId, SafePath, SpaceName, UserName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use administration::{
    AuditPage, InvitesPage, MeBody, MembersPage, SessionsPage, SpaceBody, SpacesPage, UserBody,
    UserChangeBody, UsersPage,
};
pub use links::{LinkBody, LinkMade};
pub use loads::{LoadBody, LoadMade, LoadsPage};
pub use uploads::{UploadGrant, Uploaded, UploadedFile};

/// A peer as it registers.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeerEndpoint {
    /// Its id.
    pub id: PeerId,
    /// The port it listens on.
    #[schema(minimum = 1, maximum = 65535)]
    pub port: u16,
    /// Where it can be dialled; the address the request came from is added.
    #[serde(default)]
    pub addresses: Vec<PeerAddress>,
}

/// `POST /login`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginBody {
    /// Who.
    pub user: UserName,
    /// What the account was made with.
    #[schema(format = Password)]
    // Never logged: this type has no `Debug`.
    pub password: String,
    /// Registers this peer too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerEndpoint>,
    /// For a browser: the token comes as a cookie that no script reads, and not in the answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cookie: bool,
}

/// What a login gives.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionBody {
    /// The bearer token; none where it went as a cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// In seconds since 1970; each use puts it off.
    pub expires_at: i64,
    /// Who.
    pub user: UserName,
    /// What the account may do.
    pub role: Role,
    /// Where the directory's replicas that are up can be dialled, this one first.
    #[serde(default)]
    pub directories: Vec<PeerAddress>,
}

/// `POST /accounts`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountBody {
    /// The code of an invite, or the whole link.
    pub invite: String,
    /// The name wanted.
    pub user: UserName,
    /// The password chosen: 8 to 1,024 characters.
    #[schema(min_length = 8, max_length = 1024, format = Password)]
    pub password: String,
}

/// What making an account gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountMade {
    /// The name.
    pub user: UserName,
    /// What the account may do.
    pub role: Role,
}

/// `POST /invites`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InviteBody {
    /// How often it can be used; 1 if not given.
    #[schema(minimum = 1, maximum = 100_000)]
    pub uses: Option<u32>,
    /// For how long, in seconds, a minute to 366 days; 7 days if not given.
    #[schema(minimum = 60, maximum = 31_622_400)]
    pub expires_in: Option<u64>,
    /// `member` if not given.
    pub role: Option<Role>,
    /// The space that accounts made with it come to belong to.
    pub space: Option<SpaceName>,
    /// Whether the answer is to have a QR code of the web address.
    pub qr: bool,
}

/// What making an invite gives.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct InviteMade {
    /// The link.
    pub invite: String,
    /// The page where an account is made with it, for browsers. The code is in the fragment, which
    /// browsers send to nobody.
    #[serde(default)]
    pub web: String,
    /// The QR code of that address, an SVG document, where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qr: Option<String>,
    /// In seconds since 1970.
    pub expires_at: i64,
    /// How often it can be used.
    pub uses: u32,
}

/// `POST /peers`: registers a peer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterBody {
    /// Its id.
    pub id: PeerId,
    /// The port it listens on.
    #[schema(minimum = 1, maximum = 65535)]
    pub port: u16,
    /// Where it can be dialled; the address the request came from is added.
    #[serde(default)]
    pub addresses: Vec<PeerAddress>,
    /// PKCS #10 certificate signing request, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_request: Option<String>,
    /// It is there for one download: not listed among the peers, and forgotten when it leaves or
    /// its lease runs out.
    #[serde(default)]
    pub transient: bool,
    /// Who may leave files with it: empty for nobody, `*` for every member, else names of accounts
    /// and, behind `@`, of spaces: `ana,@lab`. Its own account always may, unless nobody may.
    #[serde(default)]
    #[schema(value_type = String, pattern = r"^(\*|@?[A-Za-z0-9][A-Za-z0-9._-]{0,63}(,@?[A-Za-z0-9][A-Za-z0-9._-]{0,63}){0,99})?$")]
    pub uploads: Allowed,
    /// Who may have it fetch files, besides its own account; written in the same way.
    #[serde(default)]
    #[schema(value_type = String, pattern = r"^(\*|@?[A-Za-z0-9][A-Za-z0-9._-]{0,63}(,@?[A-Za-z0-9][A-Za-z0-9._-]{0,63}){0,99})?$")]
    pub loads: Allowed,
}

/// What registering gives.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Registered {
    /// For how long the peer is listed without a heartbeat, in milliseconds.
    pub lease_ms: u64,
    /// The generation of the peer's index that the directory holds; 0 for none.
    pub generation: u64,
    /// Where the directory lists the peer as reachable.
    pub addresses: Vec<PeerAddress>,
    /// The public key that tickets are signed with: Ed25519, in hex.
    pub ticket_key: String,
    /// Certificate for the peer's id, and the authority's behind it, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// `POST /peers/{id}/heartbeat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LeaseBody {
    /// For how long the peer is listed without another, in milliseconds.
    pub lease_ms: u64,
    /// The generation of the peer's index that the directory holds; 0 for none.
    pub generation: u64,
    /// Where the directory's replicas that are up can be dialled, this one first.
    #[serde(default)]
    pub directories: Vec<PeerAddress>,
}

/// `PUT /index`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexBody {
    /// Whose index.
    pub peer: PeerId,
    /// The generation of the index once this is applied; above `base`.
    #[schema(minimum = 1, maximum = 9_223_372_036_854_775_807i64)]
    pub generation: u64,
    /// The generation that this changes; without it, this is the whole index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u64>,
    /// New and changed files.
    #[serde(default)]
    pub upsert: Vec<FileEntry>,
    /// Paths that are shared no more; only with `base`.
    #[serde(default)]
    pub remove: Vec<SafePath>,
}

/// What publishing gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Published {
    /// The generation that the directory now holds.
    pub generation: u64,
    /// How many files were new or changed.
    pub upserted: u64,
    /// How many went.
    pub removed: u64,
}

/// `GET /peers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeersPage {
    /// By id.
    pub peers: Vec<PeerSummary>,
    /// For the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// `GET /index`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IndexPage {
    /// By peer and path.
    pub files: Vec<IndexEntry>,
    /// For the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// `GET /search`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SearchPage {
    /// In the order asked for, best first unless said otherwise.
    pub results: Vec<SearchHit>,
    /// The search index is being built: something may be missing. Absent if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub indexing: bool,
    /// For the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
