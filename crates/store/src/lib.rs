//! The directory's memory: accounts, invites, sessions, peers, and what each peer shares.
//!
//! One interface, [`Store`], a trait for each noun, in whole transactions and in the words of
//! [`convite_core`]; no type of a database leaks out of it. Implementations pass one contract suite (`tests/contract`). Time is
//! an argument everywhere: the storage reads no clock.
//!
//! **Online** means that a peer's lease has not run out at the time given. Offline peers are hidden
//! from every query about peers, files and contents, and forgotten by none; only a **transient**
//! peer, there for one download, is forgotten for good, and neither listed nor counted before.
//!
//! **Spaces.** Each file lies in one space, or in that of everyone. Whatever reads files takes a
//! [`Viewer`], and looks at none that lie in other spaces: their names, sizes, numbers and holders
//! have no part in an answer. Who may see no file of a content may not know that it exists.
//!
//! **Partial providers** are peers that announced to be fetching a content: [`Contents::locate`] finds
//! them behind those that share it as a file, searching does not.
//!
//! **Changes.** Whatever changes the names, providers or size of a content is appended to a change
//! log in the same transaction. The search index is derived by following that log
//! ([`Contents::changes`]), or, when it cannot, from a walk over all contents ([`Contents::contents`]).

use std::sync::Arc;

use convite_core::{ErrorCode, Problem};

mod accounts;
mod audit;
mod contents;
mod cursor;
mod files;
mod incoming;
mod invites;
mod links;
mod loads;
mod located;
mod peers;
pub mod postgres;
mod sessions;
mod shared;
mod spaces;
pub mod sqlite;
mod stored;
mod swarm;
mod upkeep;

pub use accounts::{AccountChange, AccountId, AccountRecord, Accounts, Admission};
pub use audit::{AUDIT_LINES_MAX, AUDIT_WINDOW, Audit, AuditEntry};
pub use contents::{
    Changes, ContentDocument, ContentKey, ContentSummary, Contents, DOCUMENT_PATHS_MAX, Move,
};
pub use files::{Files, FullSync, IndexChange, Tally};
pub use invites::{InviteRecord, Invites};
pub use links::{LINK_GRACE, LINKS_MAX, LinkRecord, LinkUse, Links, NewLink};
pub use loads::{
    Host, LOAD_KEPT, LOAD_PATIENCE, LOAD_SILENCE, LOADS_MAX, Loads, NewLoad, OpenLoad,
};
pub use peers::{ListedPeer, PeerKey, Peers, Registration};
pub use sessions::{SessionRecord, Sessions};
pub use shared::{News, ReplicaId, Shared, Sharing};
pub use spaces::{SpaceKey, Spaces, Viewer};
pub use swarm::{ANNOUNCEMENTS_MAX, Swarm};
pub use upkeep::{AUDIT_KEPT, AUDIT_MAX, Load, Totals, Upkeep};

/// SHA-256 or BLAKE3 of a secret that is shown once and stored never.
pub type SecretHash = [u8; 32];

/// What a secret is named by where it is listed: the first eight bytes of its hash, in hex. Says
/// nothing of the secret.
pub fn public_id(hash: &SecretHash) -> String {
    data_encoding::HEXLOWER.encode(&hash[..8])
}

/// The bytes of a [`public_id`].
pub(crate) fn id_bytes(id: &str) -> Option<Vec<u8>> {
    let bytes = data_encoding::HEXLOWER.decode(id.as_bytes()).ok()?;
    (bytes.len() == 8).then_some(bytes)
}

/// All tables of a directory. The methods are those of the traits for each noun, and can be called
/// on a `dyn Store` without naming these.
pub trait Store:
    Accounts
    + Spaces
    + Invites
    + Sessions
    + Peers
    + Files
    + Swarm
    + Contents
    + Links
    + Loads
    + Audit
    + Upkeep
    + Sharing
{
}

impl<T> Store for T where
    T: Accounts
        + Spaces
        + Invites
        + Sessions
        + Peers
        + Files
        + Swarm
        + Contents
        + Links
        + Loads
        + Loads
        + Audit
        + Upkeep
        + Sharing
{
}

/// Opens the database that a URL names, and brings its tables up to date.
///
/// `sqlite:PATH` is a file that is made if it does not exist; `postgres://USER@HOST/DATABASE` a
/// database on a server, which other directories may share (see [`postgres`]).
///
/// # Errors
/// `invalid_argument` for a URL of another kind; `internal` if it cannot be opened or migrated;
/// `unavailable` for a server that cannot be reached.
pub async fn open(url: &str) -> Result<Arc<dyn Store>, Problem> {
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => {
            Ok(Arc::new(sqlite::SqliteStore::open(path.as_ref())?))
        }
        Some(("postgres" | "postgresql", _)) => {
            Ok(Arc::new(postgres::PostgresStore::open(url).await?))
        }
        _ => {
            // The URL is not repeated: it may hold a password.
            Err(Problem::new(
                ErrorCode::InvalidArgument,
                "this is not a database that is known",
            )
            .hint("use sqlite:PATH or postgres://USER@HOST/DATABASE"))
        }
    }
}
