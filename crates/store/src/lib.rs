//! The directory's memory: accounts, invites, sessions, peers, and what each peer shares.
//!
//! One interface, [`Store`], in whole transactions and in the words of [`convite_core`]; no type of
//! a database leaks out of it. Implementations pass one contract suite (`tests/contract`). Time is
//! an argument everywhere: the storage reads no clock.
//!
//! **Online** means that a peer's lease has not run out at the time given. Offline peers are hidden
//! from every query about peers, files and contents, and forgotten by none; only a **transient**
//! peer, there for one download, is forgotten for good, and neither listed nor counted before.
//!
//! **Partial providers** are peers that announced to be fetching a content: [`Store::locate`] finds
//! them behind those that share it as a file, searching does not.
//!
//! **Changes.** Whatever changes the names, providers or size of a content is appended to a change
//! log in the same transaction. The search index is derived by following that log
//! ([`Store::changes`]), or, when it cannot, from a walk over all contents ([`Store::contents`]).

use std::sync::Arc;

use async_trait::async_trait;
use convite_core::model::{FileEntry, IndexEntry, LocatedFile, Page, PeerSummary, Role};
use convite_core::{
    ContentHash, ErrorCode, PeerAddress, PeerId, Problem, SafePath, UnixMillis, UserName,
};

pub mod sqlite;

/// The number of an account, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub i64);

/// The number of a peer, for good; search documents carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey(pub i64);

/// The number of a content (a hash and a size), never used again for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentKey(pub i64);

/// SHA-256 or BLAKE3 of a secret that is shown once and stored never.
pub type SecretHash = [u8; 32];

/// An account as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRecord {
    /// Its number.
    pub id: AccountId,
    /// Its name.
    pub user: UserName,
    /// What it may do.
    pub role: Role,
    /// The password's argon2id hash in PHC format; never matches if empty.
    pub password_hash: String,
    /// A disabled account cannot log in, and its sessions are void.
    pub disabled: bool,
}

/// How a new account comes to be.
#[derive(Debug, Clone)]
pub enum Admission {
    /// With an invite, of which one use is spent. Its role is the invite's, but `admin` if the
    /// invite founds and there is no administrator yet.
    Invite(SecretHash),
    /// By the directory itself (`$CONVITE_ADMIN_PASSWORD`, open registration, `up`).
    Granted(Role),
}

/// An invite to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRecord {
    /// The hash of its code.
    pub code: SecretHash,
    /// The role of accounts made with it.
    pub role: Role,
    /// How often it can still be used; none for without limit.
    pub uses: Option<u32>,
    /// When it ends.
    pub expires: UnixMillis,
    /// Makes the first account an administrator while there is none.
    pub founds: bool,
}

/// A session that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Whose.
    pub account: AccountRecord,
    /// The peer that was registered in this session, if one was.
    pub peer: Option<PeerId>,
    /// When it ends.
    pub expires: UnixMillis,
}

/// A peer that registers.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Its id.
    pub id: PeerId,
    /// Whose it is.
    pub account: AccountId,
    /// The session it registers in, ended with which it goes offline.
    pub session: SecretHash,
    /// Where it can be dialled, best first.
    pub addresses: Vec<PeerAddress>,
    /// Until when it is online without a heartbeat.
    pub lease: UnixMillis,
    /// There for one download: not listed or counted, shares nothing, and is forgotten, so that
    /// its id is free, when it leaves, its session ends or its lease runs out.
    pub transient: bool,
}

/// One change of a peer's index.
#[derive(Debug, Clone, Default)]
pub struct IndexChange {
    /// New and changed files. A path that occurs twice counts as its last.
    pub upsert: Vec<FileEntry>,
    /// Paths that are shared no more; those that were not shared are passed over. A path that is
    /// also in `upsert` is kept.
    pub remove: Vec<SafePath>,
}

/// How many files a publication touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// New and changed files (those that were exactly so already do not count).
    pub upserted: u64,
    /// Files that went.
    pub removed: u64,
}

/// A whole index on its way in, in batches: see [`Store::begin_full`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullSync {
    /// Whose.
    pub peer: PeerKey,
    /// Marks the rows of this attempt; never the same twice for a peer.
    pub attempt: i64,
}

/// Everything the search index holds of one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentDocument {
    /// Its number.
    pub key: ContentKey,
    /// Its identity.
    pub hash: ContentHash,
    /// In bytes, as claimed.
    pub size: u64,
    /// The distinct paths under which it is shared, at most [`DOCUMENT_PATHS_MAX`].
    pub paths: Vec<String>,
    /// The peers that share it, online or not.
    pub peers: Vec<PeerKey>,
}

/// The most paths of one content that are searchable.
pub const DOCUMENT_PATHS_MAX: usize = 64;

/// The most contents that one peer can be announced for at a time.
pub const ANNOUNCEMENTS_MAX: u64 = 256;

/// A run of the change log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Contents that changed, each once, with their documents as they are now; none for one that
    /// is gone.
    pub contents: Vec<(ContentKey, Option<ContentDocument>)>,
    /// The position after them.
    pub position: i64,
    /// Whether the log no longer reaches back to the position that was asked from, so that the
    /// follower must start anew from [`Store::contents`].
    pub lost: bool,
}

/// One content as a search result shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentSummary {
    /// Its number.
    pub key: ContentKey,
    /// Its identity.
    pub hash: ContentHash,
    /// In bytes, as claimed.
    pub size: u64,
    /// File names (last parts of paths) with peers online, the most common first, at most ten.
    pub names: Vec<String>,
    /// How many peers that are online hold it.
    pub providers: u64,
    /// Up to ten of them.
    pub peers: Vec<(PeerId, Vec<PeerAddress>)>,
}

/// What is counted of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Accounts that are not disabled.
    pub accounts: u64,
    /// Peers online, without transient ones.
    pub peers: u64,
    /// Files of peers, online or not.
    pub files: u64,
}

/// The tables of a directory. Every method is one transaction unless it says otherwise.
///
/// Errors are `internal` for a failing database, and what each method names.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Makes an account, spending one use of the invite if that is how it comes in.
    ///
    /// # Errors
    /// `user_taken`; `invite_invalid` if the invite is unknown, spent or over.
    async fn create_account(
        &self,
        user: &UserName,
        password_hash: &str,
        admission: Admission,
        now: UnixMillis,
    ) -> Result<AccountRecord, Problem>;

    /// The account of that name.
    async fn account(&self, user: &UserName) -> Result<Option<AccountRecord>, Problem>;

    /// Whether any account that is not disabled has the role admin.
    async fn has_admin(&self) -> Result<bool, Problem>;

    /// Keeps an invite.
    async fn create_invite(&self, invite: &InviteRecord, now: UnixMillis) -> Result<(), Problem>;

    /// The invite of that code hash, if it can still be used.
    async fn invite(
        &self,
        code: &SecretHash,
        now: UnixMillis,
    ) -> Result<Option<InviteRecord>, Problem>;

    /// Begins a session.
    async fn create_session(
        &self,
        token: &SecretHash,
        account: AccountId,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), Problem>;

    /// The session of that token hash. One that has run out is still returned (its `expires` lies
    /// in the past) until it is swept, so that its bearer can be told so.
    async fn session(&self, token: &SecretHash) -> Result<Option<SessionRecord>, Problem>;

    /// Puts off the end of a session.
    async fn extend_session(&self, token: &SecretHash, expires: UnixMillis) -> Result<(), Problem>;

    /// Ends a session and the leases of the peers registered in it. Nothing happens if it is gone.
    async fn end_session(&self, token: &SecretHash, now: UnixMillis) -> Result<(), Problem>;

    /// Puts a peer on the list, new or returning; returns the generation of its index (0 for a new
    /// peer). `since` begins anew if it was offline.
    ///
    /// # Errors
    /// `peer_taken` if the id belongs to another account, or a transient peer would take the place
    /// of one that stays.
    async fn register_peer(
        &self,
        registration: &Registration,
        now: UnixMillis,
    ) -> Result<u64, Problem>;

    /// Renews the lease of a peer of `account`; returns the generation of its index. A peer whose
    /// lease ran out, but that has not left, is online again (unless it was transient).
    ///
    /// # Errors
    /// `not_found` if there is no such peer of this account, or it left (it must register).
    async fn renew_lease(
        &self,
        peer: &PeerId,
        account: AccountId,
        lease: UnixMillis,
        now: UnixMillis,
    ) -> Result<u64, Problem>;

    /// Takes a peer of `account` off the list; its index stays, its announcements go. A transient
    /// one is forgotten.
    ///
    /// # Errors
    /// `not_found` if there is no such peer of this account.
    async fn leave(
        &self,
        peer: &PeerId,
        account: AccountId,
        now: UnixMillis,
    ) -> Result<(), Problem>;

    /// The peers online that are not transient, by id. `cursor` is what the page before returned.
    ///
    /// # Errors
    /// `invalid_argument` for a cursor that no page returned.
    async fn peers(
        &self,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<PeerSummary>, Problem>;

    /// The keys of the peers online, in any order.
    async fn online_peers(&self, now: UnixMillis) -> Result<Vec<PeerKey>, Problem>;

    /// The key of a peer, online or not.
    async fn peer_key(&self, peer: &PeerId) -> Result<Option<PeerKey>, Problem>;

    /// Applies a change to the index of a peer of `account`, if its generation is `base`, and sets
    /// it to `generation`. If the peer's generation is `generation` already, this very change was
    /// applied before (its answer got lost): nothing happens, with an empty tally.
    ///
    /// # Errors
    /// `generation_mismatch`; `not_found` if there is no such peer of this account;
    /// `invalid_argument` if `generation` is not above `base`.
    async fn publish_change(
        &self,
        peer: &PeerId,
        account: AccountId,
        base: u64,
        generation: u64,
        change: IndexChange,
        now: UnixMillis,
    ) -> Result<Tally, Problem>;

    /// Begins to take in a whole index, in any number of [`Self::add_full`], each a transaction,
    /// and one [`Self::finish_full`]. Until then the peer's generation is what it was, and its
    /// files are the old ones with the new ones over them. An attempt that is not finished leaves
    /// no more behind than that; the next one mends it. A newer attempt voids an older.
    ///
    /// # Errors
    /// `not_found` if there is no such peer of this account.
    async fn begin_full(
        &self,
        peer: &PeerId,
        account: AccountId,
        now: UnixMillis,
    ) -> Result<FullSync, Problem>;

    /// Takes in a batch of files.
    ///
    /// # Errors
    /// `generation_mismatch` if a newer attempt has begun.
    async fn add_full(
        &self,
        sync: FullSync,
        files: Vec<FileEntry>,
        now: UnixMillis,
    ) -> Result<Tally, Problem>;

    /// Drops the files that this attempt did not name, and sets the generation. The removal may
    /// take several transactions; the generation is set in the last.
    ///
    /// # Errors
    /// `generation_mismatch` if a newer attempt has begun.
    async fn finish_full(
        &self,
        sync: FullSync,
        generation: u64,
        now: UnixMillis,
    ) -> Result<Tally, Problem>;

    /// The files of the peers online (or of one of them), by peer and path.
    ///
    /// # Errors
    /// `invalid_argument` for a cursor that no page returned.
    async fn index(
        &self,
        peer: Option<&PeerId>,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<IndexEntry>, Problem>;

    /// Lists a peer of `account` as partial provider of a content while its lease lasts; returns
    /// whether that is news (a size other than before is).
    ///
    /// # Errors
    /// `not_found` if there is no such peer of this account, or it left; `too_many_requests` above
    /// [`ANNOUNCEMENTS_MAX`] contents of one peer; `invalid_argument` for a size out of bounds.
    async fn announce(
        &self,
        peer: &PeerId,
        account: AccountId,
        hash: &ContentHash,
        size: u64,
        now: UnixMillis,
    ) -> Result<bool, Problem>;

    /// Takes back an announcement; nothing happens if there is none.
    ///
    /// # Errors
    /// `not_found` if there is no such peer of this account, or it left.
    async fn withdraw(
        &self,
        peer: &PeerId,
        account: AccountId,
        hash: &ContentHash,
        now: UnixMillis,
    ) -> Result<(), Problem>;

    /// The contents that a peer is announced for, online or not.
    async fn announced(&self, peer: &PeerId) -> Result<Vec<ContentHash>, Problem>;

    /// Who holds a content, with empty tickets; none if nobody online does. First those that share
    /// it, by id, then partial providers, by id; nobody twice. `size` is the one that most of those
    /// that share it claim, or else most partial providers (the smaller of two that tie). Without
    /// anyone who shares it there are no names.
    async fn locate(
        &self,
        hash: &ContentHash,
        now: UnixMillis,
    ) -> Result<Option<LocatedFile>, Problem>;

    /// The contents of these keys that a peer online holds, in the order given.
    async fn summaries(
        &self,
        keys: &[ContentKey],
        now: UnixMillis,
    ) -> Result<Vec<ContentSummary>, Problem>;

    /// Up to `limit` entries of the change log after `position`.
    async fn changes(&self, position: i64, limit: u32) -> Result<Changes, Problem>;

    /// The position of the last entry of the change log.
    async fn last_change(&self) -> Result<i64, Problem>;

    /// Up to `limit` contents with keys above `after`, by key: a walk over all of them.
    async fn contents(
        &self,
        after: ContentKey,
        limit: u32,
    ) -> Result<Vec<ContentDocument>, Problem>;

    /// Forgets what has run out (transient peers at once; sessions, invites and announcements a
    /// day after they ended) and all but the last `keep_changes` entries of the change log.
    async fn sweep(&self, keep_changes: u64, now: UnixMillis) -> Result<(), Problem>;

    /// Counts for status pages.
    async fn totals(&self, now: UnixMillis) -> Result<Totals, Problem>;
}

/// Opens the database that a URL names, and brings its tables up to date.
///
/// `sqlite:PATH` is a file that is made if it does not exist.
///
/// # Errors
/// `invalid_argument` for a URL of another kind; `internal` if it cannot be opened or migrated.
pub async fn open(url: &str) -> Result<Arc<dyn Store>, Problem> {
    match url.split_once(':') {
        Some(("sqlite", path)) if !path.is_empty() => {
            Ok(Arc::new(sqlite::SqliteStore::open(path.as_ref())?))
        }
        _ => {
            // The URL is not repeated: it may hold a password.
            Err(Problem::new(
                ErrorCode::InvalidArgument,
                "this is not a database that is known",
            )
            .hint("use sqlite:PATH"))
        }
    }
}
