//! Who is fetching a content and holds a part of it: announced by the peer, gone with it.
//!
//! A lapsed lease hides an announcement as it hides a peer; the heartbeat that brings back the peer
//! brings back both. Leaving, and registering after a break, forget them: what a new process
//! fetches it announces itself.

use async_trait::async_trait;
use convite_core::{ContentHash, PeerId, Problem, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use super::failure::Outcome;
use super::peers::{addresses_from, unsigned};
use super::query::first_claims;
use super::{SqliteStore, spaces};
use crate::incoming::stored;
use crate::peers::unknown;
use crate::stored::damaged;
use crate::{ANNOUNCEMENTS_MAX, AccountId, Swarm, Viewer};
use convite_core::model::Provider;

/// Whether an account sees a file of the content with the hash `?1` in a space that is not among
/// those of `?2`, or did when a peer of its began to fetch it. Anybody can claim to share a hash, so that alone shows nobody who has to do with
/// the content for the sake of such a file.
macro_rules! sees_elsewhere {
    ($account:literal) => {
        concat!(
            "(EXISTS (SELECT 1 FROM memberships m CROSS JOIN contents c ON c.hash = ?1
                 CROSS JOIN files f INDEXED BY files_by_content
                     ON f.content = c.id AND f.space = m.space
                 WHERE m.space NOT IN (SELECT value FROM json_each(?2)) AND m.account = ",
            $account,
            ") OR EXISTS (SELECT 1 FROM partials y CROSS JOIN peers q ON q.id = y.peer
                 CROSS JOIN json_each(y.spaces) s
                 WHERE y.hash = ?1 AND s.value NOT IN (SELECT value FROM json_each(?2))
                     AND q.account = ",
            $account,
            "))"
        )
    };
}
pub(super) use sees_elsewhere;

/// The key of a peer of `account` that may announce: it has not left, and is not one that is
/// forgotten because its lease ran out.
fn announcer(db: &Connection, peer: &PeerId, account: AccountId, now: UnixMillis) -> Outcome<i64> {
    let key = db
        .prepare_cached(
            "SELECT id FROM peers WHERE name = ? AND account = ? AND departed = 0
             AND (transient = 0 OR lease > ?)",
        )?
        .query_row(params![peer.as_str(), account.0, now.0], |row| row.get(0))
        .optional()?;
    Ok(key.ok_or_else(|| unknown(peer))?)
}

/// Returns whether this was news.
pub(super) fn announce(
    db: &Connection,
    peer: &PeerId,
    account: AccountId,
    viewer: &Viewer,
    hash: &ContentHash,
    size: u64,
    now: UnixMillis,
) -> Outcome<bool> {
    let key = announcer(db, peer, account, now)?;
    if !sees(db, viewer, hash)? {
        return Err(crate::swarm::unseen().into());
    }
    let size = stored(size, "size of a file")?;
    let hash = hash.as_bytes();
    let known: Option<i64> = db
        .prepare_cached("SELECT size FROM partials WHERE hash = ? AND peer = ?")?
        .query_row(params![hash, key], |row| row.get(0))
        .optional()?;
    if known == Some(size) {
        return Ok(false);
    }
    if known.is_none() {
        let count: i64 = db
            .prepare_cached("SELECT count(*) FROM partials WHERE peer = ?")?
            .query_row([key], |row| row.get(0))?;
        if unsigned(count)? >= ANNOUNCEMENTS_MAX {
            return Err(crate::swarm::too_many(peer).into());
        }
    }
    db.prepare_cached(
        "INSERT INTO partials (hash, peer, size, spaces) VALUES (?1, ?2, ?3, (
             SELECT json_group_array(m.space) FROM memberships m
             WHERE m.account = ?4 AND EXISTS (
                 SELECT 1 FROM contents c CROSS JOIN files f INDEXED BY files_by_content
                     ON f.content = c.id AND f.space = m.space
                 WHERE c.hash = ?1)))
         ON CONFLICT (hash, peer) DO UPDATE SET size = excluded.size",
    )?
    .execute(params![hash, key, size, account.0])?;
    Ok(true)
}

pub(super) fn withdraw(
    db: &Connection,
    peer: &PeerId,
    account: AccountId,
    hash: &ContentHash,
    now: UnixMillis,
) -> Outcome<()> {
    let key = announcer(db, peer, account, now)?;
    db.prepare_cached("DELETE FROM partials WHERE hash = ? AND peer = ?")?
        .execute(params![hash.as_bytes(), key])?;
    Ok(())
}

/// What a peer has announced.
pub(super) fn announced(db: &Connection, peer: &PeerId) -> Outcome<Vec<ContentHash>> {
    let mut statement = db.prepare_cached(
        "SELECT x.hash FROM partials x JOIN peers p ON p.id = x.peer WHERE p.name = ?",
    )?;
    let hashes = statement.query_map([peer.as_str()], |row| {
        row.get(0).map(ContentHash::from_bytes)
    })?;
    Ok(hashes.collect::<Result<_, _>>()?)
}

/// The partial providers online that a viewer may know of, by id.
pub(super) fn providers(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    now: UnixMillis,
) -> Outcome<Vec<Provider>> {
    let mut statement = db.prepare_cached(concat!(
        "SELECT p.name, p.addresses, x.size FROM partials x CROSS JOIN peers p ON p.id = x.peer
         WHERE x.hash = ?1 AND p.departed = 0 AND p.lease > ?3 AND NOT ",
        sees_elsewhere!("p.account"),
        " ORDER BY p.name",
    ))?;
    let seen = spaces::seen(viewer);
    let mut rows = statement.query(params![hash.as_bytes(), seen, now.0])?;
    let mut providers = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        providers.push(Provider {
            peer: id.parse().map_err(|_| damaged("a peer id"))?,
            addresses: addresses_from(&row.get::<_, String>(1)?)?,
            size: unsigned(row.get(2)?)?,
            ticket: String::new(),
            partial: true,
        });
    }
    Ok(providers)
}

/// Whether a viewer may see any file of a content, its peer online or not.
pub(super) fn sees(db: &Connection, viewer: &Viewer, hash: &ContentHash) -> Outcome<bool> {
    Ok(db
        .prepare_cached(concat!(
            "SELECT 1 FROM ",
            first_claims!(),
            " c CROSS JOIN json_each(?2) s
                 CROSS JOIN files f INDEXED BY files_by_content
                     ON f.content = c.id AND f.space = s.value
             LIMIT 1"
        ))?
        .exists(params![hash.as_bytes(), spaces::seen(viewer)])?)
}

/// Forgets what peers of an account (or of all) have announced of contents of which the account
/// sees no file any more.
pub(super) fn forget_unseen(db: &Connection, account: Option<AccountId>) -> Outcome<()> {
    db.prepare_cached(
        "DELETE FROM partials WHERE (?1 IS NULL OR peer IN (SELECT id FROM peers WHERE account = ?1))
         AND NOT EXISTS (
             SELECT 1 FROM contents c JOIN files f ON f.content = c.id
             WHERE c.hash = partials.hash AND (f.space = 0 OR f.space IN (
                 SELECT m.space FROM memberships m JOIN peers p ON p.account = m.account
                 WHERE p.id = partials.peer)))",
    )?
    .execute([account.map(|account| account.0)])?;
    Ok(())
}

/// Forgets what a peer has announced.
pub(super) fn forget(db: &Connection, peer: i64) -> Outcome<()> {
    db.prepare_cached("DELETE FROM partials WHERE peer = ?")?
        .execute([peer])?;
    Ok(())
}

/// Forgets the announcements of peers whose lease ran out by then.
pub(super) fn sweep(db: &Connection, lapsed: i64) -> Outcome<()> {
    db.prepare_cached(
        "DELETE FROM partials WHERE peer IN (SELECT id FROM peers WHERE lease <= ?)",
    )?
    .execute([lapsed])?;
    Ok(())
}

#[async_trait]
impl Swarm for SqliteStore {
    async fn announce(
        &self,
        peer: &PeerId,
        account: AccountId,
        viewer: &Viewer,
        hash: &ContentHash,
        size: u64,
        now: UnixMillis,
    ) -> Result<bool, Problem> {
        let (peer, hash, viewer) = (peer.clone(), *hash, viewer.clone());
        self.writer
            .write(move |db| announce(db, &peer, account, &viewer, &hash, size, now))
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
            .write(move |db| withdraw(db, &peer, account, &hash, now))
            .await
    }

    async fn announced(&self, peer: &PeerId) -> Result<Vec<ContentHash>, Problem> {
        self.readers.read(|db| announced(db, peer))
    }
}
