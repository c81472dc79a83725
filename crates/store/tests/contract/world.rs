//! Fixtures of the scenarios: accounts, their peers and their files.

use std::sync::Arc;

use crate::cluster::Cluster;
use convite_core::model::{FileEntry, IndexEntry, Role};
use convite_core::{ContentHash, PeerId, SharingPolicy, UnixMillis};
use convite_store::sqlite::SqliteStore;
use convite_store::{
    AccountId, Admission, Holder, IndexChange, Registration, SecretHash, Settings, Store, Tally,
    Viewer,
};

/// Start time of the scenarios.
pub const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
/// Duration of leases and sessions in milliseconds.
pub const LEASE: i64 = 30_000;

/// A fresh SQLite file in a temporary folder.
pub async fn sqlite() -> Option<(Arc<dyn Store>, tempfile::TempDir)> {
    sqlite_with(Settings::default()).await
}

pub async fn sqlite_with(settings: Settings) -> Option<(Arc<dyn Store>, tempfile::TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/directory.sqlite");
    let store = SqliteStore::open(&path, settings).unwrap();
    Some((Arc::new(store), folder))
}

/// A fresh database on this process's server.
pub async fn postgres() -> Option<(Arc<dyn Store>, ())> {
    postgres_with(Settings::default()).await
}

pub async fn postgres_with(settings: Settings) -> Option<(Arc<dyn Store>, ())> {
    let url = Cluster::shared()?.database();
    Some((convite_store::open(&url, settings).await.unwrap(), ()))
}

pub fn at(millis: i64) -> UnixMillis {
    UnixMillis(NOW.0 + millis)
}

pub fn secret(text: &str) -> SecretHash {
    *ContentHash::of(text.as_bytes()).as_bytes()
}

pub fn peer(id: &str) -> PeerId {
    id.parse().unwrap()
}

/// Returns the visible spaces of an account that is in no space.
pub fn anyone() -> Viewer {
    Viewer::everyone()
}

/// A file with `contents` as its contents.
pub fn file(path: &str, contents: &str) -> FileEntry {
    FileEntry {
        modified: 7,
        ..FileEntry::file(
            path.parse().unwrap(),
            contents.len() as u64,
            ContentHash::of(contents.as_bytes()),
        )
    }
}

pub fn upsert(files: &[FileEntry]) -> IndexChange {
    IndexChange {
        upsert: files.to_vec(),
        remove: Vec::new(),
    }
}

pub fn remove(paths: &[&str]) -> IndexChange {
    IndexChange {
        upsert: Vec::new(),
        remove: paths.iter().map(|path| path.parse().unwrap()).collect(),
    }
}

pub fn tally(upserted: u64, removed: u64) -> Tally {
    Tally { upserted, removed }
}

pub async fn account(store: &Arc<dyn Store>, user: &str) -> AccountId {
    let user = user.parse().unwrap();
    let admission = Admission::Granted(Role::Member);
    let account = store.create_account(&user, "phc", admission, NOW).await;
    account.unwrap().id
}

/// Registers `id` for `account`, in a session named like the peer, with a lease from `now`.
pub async fn register(
    store: &Arc<dyn Store>,
    id: &str,
    account: AccountId,
    now: UnixMillis,
) -> u64 {
    let registration = Registration {
        id: peer(id),
        account,
        session: secret(id),
        addresses: vec!["192.0.2.7:5001".parse().unwrap()],
        lease: UnixMillis(now.0 + LEASE),
        transient: false,
        terms: SharingPolicy::default(),
        holder: Holder::default(),
    };
    store.register_peer(&registration, now).await.unwrap()
}

/// Creates an account with an online peer that shares `files` as generation 1.
pub async fn sharing(store: &Arc<dyn Store>, id: &str, files: &[FileEntry]) -> AccountId {
    let account = account(store, id).await;
    register(store, id, account, NOW).await;
    publish(store, id, account, 0, upsert(files)).await;
    account
}

/// Publishes a change with the base `base`, as the next generation.
pub async fn publish(
    store: &Arc<dyn Store>,
    id: &str,
    account: AccountId,
    base: u64,
    change: IndexChange,
) -> Tally {
    store
        .publish_change(&peer(id), account, base, base + 1, change, NOW)
        .await
        .unwrap()
}

/// Returns the whole index at `now`, read in pages of `limit`.
pub async fn whole_index(store: &Arc<dyn Store>, limit: u32, now: UnixMillis) -> Vec<IndexEntry> {
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = store
            .index(&anyone(), None, limit, cursor.as_deref(), now)
            .await
            .unwrap();
        assert!(page.items.len() <= limit as usize);
        all.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return all,
        }
    }
}

/// Returns the paths in the index at `now`, as `peer:path`.
pub async fn paths(store: &Arc<dyn Store>, now: UnixMillis) -> Vec<String> {
    let index = whole_index(store, 100, now).await;
    let shown = index.iter().map(|e| format!("{}:{}", e.peer, e.file.path));
    shown.collect()
}
