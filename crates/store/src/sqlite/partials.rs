//! Partial providers. The operations of `Swarm` announce them.

use convite_core::model::Provider;
use convite_core::{ContentHash, EntryKind, SpaceName, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use super::spaces;
use crate::error::DbResult;
use crate::located::Partial;
use crate::stored::{self, addresses, kind_number, peer_id, unsigned};
use crate::{AccountId, PeerKey, Viewer};

/// SQL condition: the account can see a file of the content with the hash `?1` in a space outside
/// of those in `?2`, or could when one of its peers announced it. Anybody can claim to share a
/// hash, so such a claim in another space must not reveal the account's downloads.
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

/// Stores an announcement, with the spaces in which the account can see the content.
pub(super) fn put(
    db: &Connection,
    peer: PeerKey,
    account: AccountId,
    hash: &ContentHash,
    size: i64,
) -> DbResult<()> {
    db.prepare_cached(
        "INSERT INTO partials (hash, peer, size, spaces) VALUES (?1, ?2, ?3, (
             SELECT json_group_array(m.space) FROM memberships m
             WHERE m.account = ?4 AND EXISTS (
                 SELECT 1 FROM contents c CROSS JOIN files f INDEXED BY files_by_content
                     ON f.content = c.id AND f.space = m.space
                 WHERE c.hash = ?1)))
         ON CONFLICT (hash, peer) DO UPDATE SET size = excluded.size",
    )?
    .execute(params![hash.as_bytes(), peer.0, size, account.0])?;
    Ok(())
}

/// Returns the spaces stored with an announcement.
pub(super) fn audience(
    db: &Connection,
    peer: PeerKey,
    hash: &ContentHash,
) -> DbResult<Vec<SpaceName>> {
    let mut statement = db.prepare_cached(
        "SELECT s.name FROM partials x CROSS JOIN json_each(x.spaces) v
             CROSS JOIN spaces s ON s.id = v.value
         WHERE x.hash = ? AND x.peer = ? ORDER BY s.name",
    )?;
    let mut rows = statement.query(params![hash.as_bytes(), peer.0])?;
    let mut names = Vec::new();
    while let Some(row) = rows.next()? {
        names.push(stored::space_name(&row.get::<_, String>(0)?)?);
    }
    Ok(names)
}

/// Returns the online partial providers that the viewer may know about, by id.
pub(super) fn providers(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    now: UnixMillis,
) -> DbResult<Vec<Partial>> {
    let mut statement = db.prepare_cached(concat!(
        "SELECT p.name, p.addresses, x.size, p.account FROM partials x CROSS JOIN peers p ON p.id = x.peer
         WHERE x.hash = ?1 AND p.departed = 0 AND p.lease > ?3 AND NOT ",
        sees_elsewhere!("p.account"),
        " ORDER BY p.name",
    ))?;
    let seen = spaces::seen(viewer);
    let mut rows = statement.query(params![hash.as_bytes(), seen, now.0])?;
    let mut providers = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        let provider = Provider {
            peer: peer_id(&id)?,
            addresses: addresses(&row.get::<_, String>(1)?)?,
            size: unsigned(row.get(2)?)?,
            ticket: String::new(),
            partial: true,
        };
        providers.push((row.get(3)?, provider));
    }
    Ok(providers)
}

/// Returns whether the viewer can see any file or folder with a hash, on an online or offline peer.
pub(super) fn sees(db: &Connection, viewer: &Viewer, hash: &ContentHash) -> DbResult<bool> {
    Ok(db
        .prepare_cached(
            "SELECT 1 FROM contents c CROSS JOIN json_each(?2) s
                 CROSS JOIN files f INDEXED BY files_by_content
                     ON f.content = c.id AND f.space = s.value
             WHERE c.hash = ?1 LIMIT 1",
        )?
        .exists(params![hash.as_bytes(), spaces::seen(viewer)])?)
}

/// Returns the kind of a content with this hash of which the viewer can see a file or folder, on an
/// online or offline peer: the given kind, or else any.
pub(super) fn kind_seen(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    kind: Option<EntryKind>,
) -> DbResult<Option<EntryKind>> {
    let found: Option<i64> = db
        .prepare_cached(
            "SELECT c.kind FROM contents c CROSS JOIN json_each(?2) s
                 CROSS JOIN files f INDEXED BY files_by_content
                     ON f.content = c.id AND f.space = s.value
             WHERE c.hash = ?1 AND c.kind = coalesce(?3, c.kind) ORDER BY c.kind LIMIT 1",
        )?
        .query_row(
            params![hash.as_bytes(), spaces::seen(viewer), kind.map(kind_number)],
            |row| row.get(0),
        )
        .optional()?;
    found.map(stored::kind).transpose()
}

/// Deletes announcements of an account's peers (or of all peers) for contents of which the account
/// can no longer see a file.
pub(super) fn delete_unseen(db: &Connection, account: Option<AccountId>) -> DbResult<()> {
    macro_rules! unseen {
        () => {
            "NOT EXISTS (
                 SELECT 1 FROM contents c CROSS JOIN (
                     SELECT 0 AS space UNION ALL SELECT m.space FROM peers p
                     CROSS JOIN memberships m ON m.account = p.account WHERE p.id = partials.peer
                 ) v CROSS JOIN files f INDEXED BY files_by_content
                     ON f.content = c.id AND f.space = v.space
                 WHERE c.hash = partials.hash)"
        };
    }
    match account {
        None => db
            .prepare_cached(concat!("DELETE FROM partials WHERE ", unseen!()))?
            .execute([])?,
        Some(account) => db
            .prepare_cached(concat!(
                "DELETE FROM partials
                 WHERE peer IN (SELECT id FROM peers WHERE account = ?) AND ",
                unseen!()
            ))?
            .execute([account.0])?,
    };
    Ok(())
}
