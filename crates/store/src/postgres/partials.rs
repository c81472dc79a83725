//! Who is fetching a content and holds a part of it: announced by the peer, gone with it.
//!
//! What lapses, lapses as in the SQLite store: a lease hides announcements, leaving forgets them.

use async_trait::async_trait;
use convite_core::model::Provider;
use convite_core::{ContentHash, PeerId, Problem, UnixMillis};

use super::connections::Connection;
use super::failure::{Failure, Outcome};
use super::peers::{addresses_from, id_from, unsigned};
use super::{PostgresStore, spaces, transaction};
use crate::incoming::stored;
use crate::located::CLAIMS_LOOKED_AT_MAX;
use crate::peers::unknown;
use crate::stored::damaged;
use crate::{ANNOUNCEMENTS_MAX, AccountId, Swarm, Viewer};

/// Whether an account sees a file of the content with that hash in a space that is not among these,
/// or did when a peer of its began to fetch it. Anybody can claim to share a hash, so that alone shows nobody who has to do with the content for
/// the sake of such a file.
macro_rules! sees_elsewhere {
    ($account:literal, $hash:literal, $spaces:literal) => {
        concat!(
            "(EXISTS (SELECT 1 FROM memberships m CROSS JOIN contents c CROSS JOIN LATERAL (
                     SELECT 1 FROM files f WHERE f.content = c.id AND f.space = m.space LIMIT 1) f
                 WHERE c.hash = ",
            $hash,
            " AND m.space <> ALL (",
            $spaces,
            "::BIGINT[]) AND m.account = ",
            $account,
            ") OR EXISTS (SELECT 1 FROM partials y JOIN peers q ON q.id = y.peer
                 WHERE y.hash = ",
            $hash,
            " AND NOT y.spaces <@ ",
            $spaces,
            "::BIGINT[] AND q.account = ",
            $account,
            "))"
        )
    };
}
pub(super) use sees_elsewhere;

/// Reads a hash.
pub(super) fn hash_from(bytes: &[u8]) -> Outcome<ContentHash> {
    Ok(ContentHash::from_slice(bytes).map_err(|_| damaged("a hash"))?)
}

/// The key of a peer of `account` that may announce: it has not left, and is not one that is
/// forgotten because its lease ran out. Its row is locked, so that what it announces at once is
/// counted.
async fn announcer(
    db: &Connection,
    peer: &PeerId,
    account: AccountId,
    now: UnixMillis,
) -> Outcome<i64> {
    let row = db
        .row(
            "SELECT id FROM peers WHERE name = $1 AND account = $2 AND NOT departed
             AND (NOT transient OR lease > $3) FOR NO KEY UPDATE",
            &[&peer.as_str(), &account.0, &now.0],
        )
        .await?;
    Ok(row.ok_or_else(|| unknown(peer))?.try_get(0)?)
}

/// Returns whether this was news.
async fn announce(
    db: &Connection,
    peer: &PeerId,
    account: AccountId,
    viewer: &Viewer,
    hash: &ContentHash,
    size: u64,
    now: UnixMillis,
) -> Outcome<bool> {
    let key = announcer(db, peer, account, now).await?;
    if !sees(db, viewer, hash).await? {
        return Err(crate::swarm::unseen().into());
    }
    let size = stored(size, "size of a file")?;
    let hash = hash.as_bytes().as_slice();
    let row = db
        .one(
            "SELECT (SELECT size FROM partials WHERE hash = $1 AND peer = $2),
                 (SELECT count(*) FROM partials WHERE peer = $2)",
            &[&hash, &key],
        )
        .await?;
    let known: Option<i64> = row.try_get(0)?;
    if known == Some(size) {
        return Ok(false);
    }
    if known.is_none() && unsigned(row.try_get(1)?)? >= ANNOUNCEMENTS_MAX {
        return Err(crate::swarm::too_many(peer).into());
    }
    db.execute(
        "INSERT INTO partials (hash, peer, size, spaces) VALUES ($1, $2, $3, ARRAY(
             SELECT m.space FROM memberships m WHERE m.account = $4 AND EXISTS (
                 SELECT 1 FROM contents c CROSS JOIN LATERAL (
                     SELECT 1 FROM files f WHERE f.content = c.id AND f.space = m.space LIMIT 1) f
                 WHERE c.hash = $1)))
         ON CONFLICT (hash, peer) DO UPDATE SET size = excluded.size",
        &[&hash, &key, &size, &account.0],
    )
    .await?;
    Ok(true)
}

async fn withdraw(
    db: &Connection,
    peer: &PeerId,
    account: AccountId,
    hash: &ContentHash,
    now: UnixMillis,
) -> Outcome<()> {
    let key = announcer(db, peer, account, now).await?;
    db.execute(
        "DELETE FROM partials WHERE hash = $1 AND peer = $2",
        &[&hash.as_bytes().as_slice(), &key],
    )
    .await?;
    Ok(())
}

/// The partial providers online that a viewer may know of, by id.
pub(super) async fn providers(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    now: UnixMillis,
) -> Outcome<Vec<Provider>> {
    let rows = db
        .rows(
            concat!(
                "SELECT p.name, p.addresses, x.size FROM partials x JOIN peers p ON p.id = x.peer
                 WHERE x.hash = $1 AND NOT p.departed AND p.lease > $3 AND NOT ",
                sees_elsewhere!("p.account", "$1", "$2"),
                " ORDER BY p.name",
            ),
            &[&hash.as_bytes().as_slice(), &spaces::seen(viewer), &now.0],
        )
        .await?;
    let providers = rows.iter().map(|row| {
        Ok(Provider {
            peer: id_from(row.try_get(0)?)?,
            addresses: addresses_from(row.try_get(1)?)?,
            size: unsigned(row.try_get(2)?)?,
            ticket: String::new(),
            partial: true,
        })
    });
    providers.collect()
}

/// Whether a viewer may see any file of a content, its peer online or not.
pub(super) async fn sees(db: &Connection, viewer: &Viewer, hash: &ContentHash) -> Outcome<bool> {
    let row = db
        .one(
            "SELECT EXISTS (
                 SELECT 1 FROM (SELECT id FROM contents WHERE hash = $1 ORDER BY id + 0 LIMIT $3) c
                 CROSS JOIN unnest($2::BIGINT[]) AS v (space) CROSS JOIN LATERAL (
                     SELECT 1 FROM files f WHERE f.content = c.id AND f.space = v.space LIMIT 1) f)",
            &[
                &hash.as_bytes().as_slice(),
                &spaces::seen(viewer),
                &i64::from(CLAIMS_LOOKED_AT_MAX),
            ],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Forgets what peers of an account (or of all) have announced of contents of which the account
/// sees no file any more.
pub(super) async fn forget_unseen(db: &Connection, account: Option<AccountId>) -> Outcome<()> {
    db.execute(
        "DELETE FROM partials x
         WHERE ($1::BIGINT IS NULL OR x.peer IN (SELECT id FROM peers WHERE account = $1))
         AND NOT EXISTS (
             SELECT 1 FROM contents c JOIN files f ON f.content = c.id
             WHERE c.hash = x.hash AND (f.space = 0 OR f.space IN (
                 SELECT m.space FROM memberships m JOIN peers p ON p.account = m.account
                 WHERE p.id = x.peer)))",
        &[&account.map(|account| account.0)],
    )
    .await?;
    Ok(())
}

/// Forgets what a peer has announced.
pub(super) async fn forget(db: &Connection, peer: i64) -> Outcome<()> {
    db.execute("DELETE FROM partials WHERE peer = $1", &[&peer])
        .await?;
    Ok(())
}

#[async_trait]
impl Swarm for PostgresStore {
    async fn announce(
        &self,
        peer: &PeerId,
        account: AccountId,
        viewer: &Viewer,
        hash: &ContentHash,
        size: u64,
        now: UnixMillis,
    ) -> Result<bool, Problem> {
        transaction!(self, db => announce(db, peer, account, viewer, hash, size, now))
    }

    async fn withdraw(
        &self,
        peer: &PeerId,
        account: AccountId,
        hash: &ContentHash,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        transaction!(self, db => withdraw(db, peer, account, hash, now))
    }

    async fn announced(&self, peer: &PeerId) -> Result<Vec<ContentHash>, Problem> {
        let db = self.connections.get().await?;
        let rows = db
            .rows(
                "SELECT x.hash FROM partials x JOIN peers p ON p.id = x.peer WHERE p.name = $1",
                &[&peer.as_str()],
            )
            .await?;
        let hashes = rows
            .iter()
            .map(|row| hash_from(row.try_get(0).map_err(Failure::from)?));
        Ok(hashes.collect::<Outcome<_>>()?)
    }
}
