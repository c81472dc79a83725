//! The directory's tables in one SQLite file: the default, with nothing to set up.
//!
//! One thread writes (`writer`), a few connections read (`connections`). Each noun has a room
//! with its statements; this file only says which of them read, which read for long, and which
//! write.

mod accounts;
mod changes;
mod connections;
mod failure;
mod listing;
mod partials;
mod peers;
mod publish;
mod query;
mod sessions;
mod writer;

use std::path::Path;

use async_trait::async_trait;
use convite_core::model::{FileEntry, IndexEntry, LocatedFile, Page, PeerSummary};
use convite_core::{ContentHash, PeerId, Problem, UnixMillis, UserName};

use crate::{
    AccountId, AccountRecord, Admission, Changes, ContentDocument, ContentKey, ContentSummary,
    FullSync, IndexChange, InviteRecord, PeerKey, Registration, SecretHash, SessionRecord, Store,
    Tally, Totals,
};
use connections::Readers;
use writer::Writer;

/// A directory's tables in one file. Dropping it waits for changes under way.
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
}

impl SqliteStore {
    /// Opens the database at `path`, making it (readable by its owner only) and its folder if they
    /// do not exist, and brings its tables up to date. Blocking.
    ///
    /// # Errors
    /// `internal` if it cannot be opened, made or migrated.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        Ok(Self {
            writer: Writer::start(connections::open_writer(path)?)?,
            readers: Readers::new(path),
        })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn create_account(
        &self,
        user: &UserName,
        password_hash: &str,
        admission: Admission,
        now: UnixMillis,
    ) -> Result<AccountRecord, Problem> {
        let (user, password_hash) = (user.clone(), password_hash.to_owned());
        self.writer
            .write(move |db| accounts::create(db, &user, &password_hash, &admission, now))
            .await
    }

    async fn account(&self, user: &UserName) -> Result<Option<AccountRecord>, Problem> {
        self.readers.read(|db| accounts::account(db, user))
    }

    async fn has_admin(&self) -> Result<bool, Problem> {
        self.readers.read(|db| accounts::has_admin(db))
    }

    async fn create_invite(&self, invite: &InviteRecord, now: UnixMillis) -> Result<(), Problem> {
        let invite = invite.clone();
        self.writer
            .write(move |db| accounts::create_invite(db, &invite, now))
            .await
    }

    async fn invite(
        &self,
        code: &SecretHash,
        now: UnixMillis,
    ) -> Result<Option<InviteRecord>, Problem> {
        self.readers.read(|db| accounts::invite(db, code, now))
    }

    async fn create_session(
        &self,
        token: &SecretHash,
        account: AccountId,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        let token = *token;
        self.writer
            .write(move |db| sessions::create(db, &token, account, expires, now))
            .await
    }

    async fn session(&self, token: &SecretHash) -> Result<Option<SessionRecord>, Problem> {
        self.readers.read(|db| sessions::session(db, token))
    }

    async fn extend_session(&self, token: &SecretHash, expires: UnixMillis) -> Result<(), Problem> {
        let token = *token;
        self.writer
            .write(move |db| sessions::extend(db, &token, expires))
            .await
    }

    async fn end_session(&self, token: &SecretHash, _now: UnixMillis) -> Result<(), Problem> {
        let token = *token;
        self.writer.write(move |db| sessions::end(db, &token)).await
    }

    async fn register_peer(
        &self,
        registration: &Registration,
        now: UnixMillis,
    ) -> Result<u64, Problem> {
        let registration = registration.clone();
        self.writer
            .write(move |db| peers::register(db, &registration, now))
            .await
    }

    async fn renew_lease(
        &self,
        peer: &PeerId,
        account: AccountId,
        lease: UnixMillis,
        now: UnixMillis,
    ) -> Result<u64, Problem> {
        let peer = peer.clone();
        self.writer
            .write(move |db| peers::renew(db, &peer, account, lease, now))
            .await
    }

    async fn leave(
        &self,
        peer: &PeerId,
        account: AccountId,
        _now: UnixMillis,
    ) -> Result<(), Problem> {
        let peer = peer.clone();
        self.writer
            .write(move |db| peers::leave(db, &peer, account))
            .await
    }

    async fn peers(
        &self,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<PeerSummary>, Problem> {
        let cursor = cursor.map(str::to_owned);
        self.readers
            .read_long(move |db| listing::peers(db, limit, cursor.as_deref(), now))
            .await
    }

    async fn online_peers(&self, now: UnixMillis) -> Result<Vec<PeerKey>, Problem> {
        self.readers.read(|db| peers::online(db, now))
    }

    async fn peer_key(&self, peer: &PeerId) -> Result<Option<PeerKey>, Problem> {
        self.readers.read(|db| peers::key(db, peer))
    }

    async fn publish_change(
        &self,
        peer: &PeerId,
        account: AccountId,
        base: u64,
        generation: u64,
        change: IndexChange,
        _now: UnixMillis,
    ) -> Result<Tally, Problem> {
        let peer = peer.clone();
        self.writer
            .write(move |db| publish::change(db, &peer, account, base, generation, change))
            .await
    }

    async fn begin_full(
        &self,
        peer: &PeerId,
        account: AccountId,
        _now: UnixMillis,
    ) -> Result<FullSync, Problem> {
        let peer = peer.clone();
        self.writer
            .write(move |db| publish::begin_full(db, &peer, account))
            .await
    }

    async fn add_full(
        &self,
        sync: FullSync,
        files: Vec<FileEntry>,
        _now: UnixMillis,
    ) -> Result<Tally, Problem> {
        self.writer
            .write(move |db| publish::add_full(db, sync, files))
            .await
    }

    async fn finish_full(
        &self,
        sync: FullSync,
        generation: u64,
        _now: UnixMillis,
    ) -> Result<Tally, Problem> {
        let mut total = Tally::default();
        let mut from = String::new();
        loop {
            let (tally, next) = self
                .writer
                .write(move |db| publish::finish_full(db, sync, generation, &from))
                .await?;
            total.removed += tally.removed;
            match next {
                Some(path) => from = path,
                None => return Ok(total),
            }
        }
    }

    async fn index(
        &self,
        peer: Option<&PeerId>,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<IndexEntry>, Problem> {
        let (peer, cursor) = (peer.cloned(), cursor.map(str::to_owned));
        self.readers
            .read_long(move |db| listing::index(db, peer.as_ref(), limit, cursor.as_deref(), now))
            .await
    }

    async fn announce(
        &self,
        peer: &PeerId,
        account: AccountId,
        hash: &ContentHash,
        size: u64,
        now: UnixMillis,
    ) -> Result<bool, Problem> {
        let (peer, hash) = (peer.clone(), *hash);
        self.writer
            .write(move |db| partials::announce(db, &peer, account, &hash, size, now))
            .await
    }

    async fn withdraw(
        &self,
        peer: &PeerId,
        account: AccountId,
        hash: &ContentHash,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        let (peer, hash) = (peer.clone(), *hash);
        self.writer
            .write(move |db| partials::withdraw(db, &peer, account, &hash, now))
            .await
    }

    async fn announced(&self, peer: &PeerId) -> Result<Vec<ContentHash>, Problem> {
        self.readers.read(|db| partials::announced(db, peer))
    }

    async fn locate(
        &self,
        hash: &ContentHash,
        now: UnixMillis,
    ) -> Result<Option<LocatedFile>, Problem> {
        self.readers.read(|db| query::locate(db, hash, now))
    }

    async fn summaries(
        &self,
        keys: &[ContentKey],
        now: UnixMillis,
    ) -> Result<Vec<ContentSummary>, Problem> {
        self.readers.read(|db| query::summaries(db, keys, now))
    }

    async fn changes(&self, position: i64, limit: u32) -> Result<Changes, Problem> {
        self.readers
            .read_long(move |db| changes::changes(db, position, limit))
            .await
    }

    async fn last_change(&self) -> Result<i64, Problem> {
        self.readers.read(|db| changes::last(db))
    }

    async fn contents(
        &self,
        after: ContentKey,
        limit: u32,
    ) -> Result<Vec<ContentDocument>, Problem> {
        self.readers
            .read_long(move |db| changes::contents(db, after, limit))
            .await
    }

    async fn sweep(&self, keep_changes: u64, now: UnixMillis) -> Result<(), Problem> {
        self.writer
            .write(move |db| changes::sweep(db, keep_changes, now))
            .await
    }

    async fn totals(&self, now: UnixMillis) -> Result<Totals, Problem> {
        self.readers.read(|db| listing::totals(db, now))
    }
}
