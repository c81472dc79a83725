//! Storage of the directory: accounts, invites, sessions, peers, and the files of each peer.
//!
//! [`Store`] is one interface with a trait per noun. Methods are whole transactions and use the
//! types of [`convite_core`]; no database type is public. Every implementation passes the same
//! contract suite (`tests/contract`). Time is always an argument: this crate reads no clock.
//!
//! **Online** means that a peer's lease has not expired at the given time. Offline peers are
//! excluded from all queries about peers, files and contents, but are kept. A **transient** peer
//! exists for one download. It is neither listed nor counted, and it is deleted when it goes
//! offline.
//!
//! **Content** means a content hash with a size. It has a number, its [`ContentKey`].
//!
//! **Spaces.** Each file is in one space or in the space of everyone. Every read of files takes the
//! caller's visible spaces ([`Viewer`]) and ignores files in other spaces: their names, sizes,
//! counts and providers do not affect the result. An account that can see no file of a content
//! cannot find out that the content exists.
//!
//! **Partial providers** are peers that have announced that they download a content.
//! [`Contents::locate`] lists them after the peers that share the file. Searches do not include
//! them.
//!
//! **Changes.** Each change of the names, providers or size of a content is appended to a change
//! log in the same transaction. The search index is derived from that log ([`Contents::changes`])
//! or, if the log does not reach back far enough, from all contents ([`Contents::contents`]).
//!
//! # Layers
//!
//! A module uses only modules below it:
//! - `sqlite`, `postgres`: connections, and the operations on files and contents, which must be
//!   fast and have statements of their own.
//! - `operations`: all other operations, written once over `database`.
//! - `tables`: statements that several operations use.
//! - `database`, `rows`, `error`: the interface of a connection, its values, and its errors.
//! - One file per noun with its trait and types.

use std::sync::Arc;

use convite_core::{ErrorCode, Problem};

mod accounts;
mod audit;
mod contents;
mod cursor;
mod database;
mod error;
mod files;
mod folder;
mod growth;
mod incoming;
mod invites;
mod links;
mod loads;
mod located;
mod named;
mod operations;
mod peers;
pub mod postgres;
mod quotas;
mod rows;
mod sessions;
mod shared;
mod spaces;
pub mod sqlite;
mod stored;
mod swarm;
mod tables;
mod upkeep;

pub use accounts::{AccountChange, AccountId, AccountRecord, Accounts, Admission};
pub use audit::{
    AUDIT_KEPT, AUDIT_LINES_MAX, AUDIT_MAX, AUDIT_WINDOW, Audit, AuditEntry, ROUTINE_LINES_MAX,
};
pub use contents::{
    Changes, ContentDocument, ContentKey, ContentSummary, Contents, DOCUMENT_PATHS_MAX,
    FOLDER_PATH_MAX, Move,
};
pub use files::{Files, FullSync, IndexChange, Tally};
pub use invites::{InviteRecord, Invites};
pub use links::{LINK_GRACE, LINKS_MAX, LinkRecord, LinkUse, Links, NewLink};
pub use loads::{
    Host, LOAD_KEPT, LOAD_PATIENCE, LOAD_SILENCE, LOADS_MAX, Loads, NewLoad, OpenLoad,
};
pub use named::{NAMED_MAX, Named, NamedContent};
pub use peers::{Holder, ListedPeer, PeerKey, Peers, Registration, RunId};
pub use quotas::Quotas;
pub use sessions::{SessionRecord, Sessions};
pub use shared::{News, ReplicaId, Shared, Sharing};
pub use spaces::{SpaceKey, Spaces, Viewer};
pub use swarm::{ANNOUNCEMENTS_MAX, Announced, Swarm};
pub use upkeep::{Load, Totals, Upkeep};

/// SHA-256 or BLAKE3 hash of a secret. The secret itself is never stored.
pub type SecretHash = [u8; 32];

/// Returns the public id of a secret: the first eight bytes of its hash in hex. It reveals nothing
/// about the secret.
pub fn public_id(hash: &SecretHash) -> String {
    data_encoding::HEXLOWER.encode(&hash[..8])
}

/// Returns the bytes of a [`public_id`].
pub(crate) fn id_bytes(id: &str) -> Option<Vec<u8>> {
    let bytes = data_encoding::HEXLOWER.decode(id.as_bytes()).ok()?;
    (bytes.len() == 8).then_some(bytes)
}

/// Returns the greatest secret hash that has this [`public_id`], or an empty vector, which sorts
/// before all hashes, for an invalid id.
pub(crate) fn last_of_id(id: &str) -> Vec<u8> {
    let mut bytes = id_bytes(id).unwrap_or_default();
    if !bytes.is_empty() {
        bytes.resize(size_of::<SecretHash>(), u8::MAX);
    }
    bytes
}

/// All tables of a directory. Combines the traits per noun, so that their methods can be called on
/// a `dyn Store` without importing them.
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

/// Settings of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Limits per account.
    pub quotas: Quotas,
    /// Disk space in bytes that published files may not use, at most a twentieth of the disk.
    /// Ignored for a database server, which manages its own disk.
    pub disk_reserve: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            quotas: Quotas::default(),
            disk_reserve: 64 << 20,
        }
    }
}

/// Opens the database at `url` and applies pending migrations.
///
/// `sqlite:PATH` is a file, created if it does not exist. `postgres://USER@HOST/DATABASE` is a
/// database on a server, which several directories may share (see [`postgres`]).
///
/// # Errors
/// Returns `invalid_argument` for an unknown URL scheme, `internal` if the database cannot be
/// opened or migrated, and `unavailable` if the server cannot be reached.
pub async fn open(url: &str, settings: Settings) -> Result<Arc<dyn Store>, Problem> {
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => Ok(Arc::new(sqlite::SqliteStore::open(
            path.as_ref(),
            settings,
        )?)),
        Some(("postgres" | "postgresql", _)) => Ok(Arc::new(
            postgres::PostgresStore::open(url, settings).await?,
        )),
        _ => {
            // The message does not contain the URL, which may include a password.
            Err(
                Problem::new(ErrorCode::InvalidArgument, "unknown kind of database")
                    .hint("use sqlite:PATH or postgres://USER@HOST/DATABASE"),
            )
        }
    }
}
