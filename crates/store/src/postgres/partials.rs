//! Partial providers. The operations of `Swarm` announce them.

use std::collections::HashMap;

use convite_core::model::Provider;
use convite_core::{ContentHash, EntryKind, SpaceName, UnixMillis};

use super::connections::Connection;
use super::spaces;
use crate::error::DbResult;
use crate::located::Partial;
use crate::stored::{self, addresses, content_hash, kind_number, peer_id, unsigned};
use crate::{AccountId, PeerKey, Viewer};

/// SQL condition: the account can see a file of the content with this hash in a space outside of
/// the given ones, or could when one of its peers announced it. Anybody can claim to share a hash,
/// so such a claim in another space must not reveal the account's downloads.
macro_rules! sees_elsewhere {
    ($account:literal, $hash:literal, $spaces:literal) => {
        concat!(
            "(EXISTS (SELECT 1 FROM (SELECT id FROM contents WHERE hash = ",
            $hash,
            " OFFSET 0) c CROSS JOIN (SELECT space FROM memberships WHERE account = ",
            $account,
            " OFFSET 0) m CROSS JOIN LATERAL (
                     SELECT 1 FROM files f WHERE f.content = c.id AND f.space = m.space LIMIT 1) f
                 WHERE m.space <> ALL (",
            $spaces,
            "::BIGINT[])) OR EXISTS (SELECT 1 FROM (
                     SELECT peer, spaces FROM partials WHERE hash = ",
            $hash,
            " OFFSET 0) y CROSS JOIN LATERAL (
                     SELECT account FROM peers WHERE id = y.peer LIMIT 1) q
                 WHERE NOT y.spaces <@ ",
            $spaces,
            "::BIGINT[] AND q.account = ",
            $account,
            "))"
        )
    };
}
pub(super) use sees_elsewhere;

/// Stores an announcement, with the spaces in which the account can see the content.
pub(super) async fn put(
    db: &Connection,
    peer: PeerKey,
    account: AccountId,
    hash: &ContentHash,
    size: i64,
) -> DbResult<()> {
    db.execute(
        "INSERT INTO partials (hash, peer, size, spaces) VALUES ($1, $2, $3, ARRAY(
             SELECT m.space FROM memberships m WHERE m.account = $4 AND EXISTS (
                 SELECT 1 FROM (SELECT id FROM contents WHERE hash = $1 OFFSET 0) c
                 CROSS JOIN LATERAL (
                     SELECT 1 FROM files f WHERE f.content = c.id AND f.space = m.space LIMIT 1)
                     f)))
         ON CONFLICT (hash, peer) DO UPDATE SET size = excluded.size",
        &[&hash.as_bytes().as_slice(), &peer.0, &size, &account.0],
    )
    .await?;
    Ok(())
}

/// Returns the spaces stored with an announcement.
pub(super) async fn audience(
    db: &Connection,
    peer: PeerKey,
    hash: &ContentHash,
) -> DbResult<Vec<SpaceName>> {
    let rows = db
        .rows(
            "SELECT s.name FROM partials x CROSS JOIN unnest(x.spaces) AS v (space)
             CROSS JOIN LATERAL (SELECT name FROM spaces WHERE id = v.space LIMIT 1) s
             WHERE x.hash = $1 AND x.peer = $2 ORDER BY s.name",
            &[&hash.as_bytes().as_slice(), &peer.0],
        )
        .await?;
    rows.iter()
        .map(|row| stored::space_name(row.try_get(0)?))
        .collect()
}

/// Returns the online partial providers of each hash that the viewer may know about, by id.
pub(super) async fn providers(
    db: &Connection,
    viewer: &Viewer,
    hashes: &[&[u8]],
    now: UnixMillis,
) -> DbResult<HashMap<ContentHash, Vec<Partial>>> {
    let rows = db
        .rows(
            concat!(
                "SELECT x.hash, p.name, p.addresses, x.size, p.account
                 FROM unnest($1::BYTEA[]) AS g (hash) CROSS JOIN LATERAL (
                     SELECT hash, peer, size FROM partials WHERE hash = g.hash OFFSET 0
                 ) x CROSS JOIN LATERAL (
                     SELECT name, addresses, account FROM peers
                     WHERE id = x.peer AND NOT departed AND lease > $3 LIMIT 1) p
                 WHERE NOT ",
                sees_elsewhere!("p.account", "x.hash", "$2"),
                " ORDER BY x.hash, p.name",
            ),
            &[&hashes, &spaces::seen(viewer), &now.0],
        )
        .await?;
    let mut providers = HashMap::<_, Vec<_>>::new();
    for row in &rows {
        let provider = Provider {
            peer: peer_id(row.try_get(1)?)?,
            addresses: addresses(row.try_get(2)?)?,
            size: unsigned(row.try_get(3)?)?,
            ticket: String::new(),
            partial: true,
        };
        let of_hash = providers.entry(content_hash(row.try_get(0)?)?).or_default();
        of_hash.push((row.try_get(4)?, provider));
    }
    Ok(providers)
}

/// Returns the kind of a content with each hash of which the viewer can see a file or folder, on an
/// online or offline peer: the given kind, or else any.
pub(super) async fn kinds_seen(
    db: &Connection,
    viewer: &Viewer,
    hashes: &[&[u8]],
    kind: Option<EntryKind>,
) -> DbResult<HashMap<ContentHash, EntryKind>> {
    let rows = db
        .rows(
            "SELECT c.hash, min(c.kind) FROM unnest($1::BYTEA[]) AS g (hash) CROSS JOIN LATERAL (
                 SELECT id, hash, kind FROM contents
                 WHERE hash = g.hash AND kind = coalesce($3, kind) OFFSET 0
             ) c CROSS JOIN unnest($2::BIGINT[]) AS v (space) CROSS JOIN LATERAL (
                 SELECT 1 FROM files f WHERE f.content = c.id AND f.space = v.space LIMIT 1) f
             GROUP BY c.hash",
            &[&hashes, &spaces::seen(viewer), &kind.map(kind_number)],
        )
        .await?;
    let kinds = rows.iter().map(|row| {
        let hash = content_hash(row.try_get(0)?)?;
        Ok((hash, stored::kind(row.try_get(1)?)?))
    });
    kinds.collect()
}

/// Returns whether the viewer can see any file or folder with a hash, on an online or offline peer.
pub(super) async fn sees(db: &Connection, viewer: &Viewer, hash: &ContentHash) -> DbResult<bool> {
    let row = db
        .one(
            "SELECT EXISTS (
                 SELECT 1 FROM (SELECT id FROM contents WHERE hash = $1 OFFSET 0) c
                 CROSS JOIN unnest($2::BIGINT[]) AS v (space) CROSS JOIN LATERAL (
                     SELECT 1 FROM files f WHERE f.content = c.id AND f.space = v.space LIMIT 1) f)",
            &[&hash.as_bytes().as_slice(), &spaces::seen(viewer)],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// SQL condition: the account of the announcement `x` can see no file of its content.
macro_rules! unseen {
    () => {
        "NOT EXISTS (
             SELECT 1 FROM (SELECT id FROM contents WHERE hash = x.hash OFFSET 0) c
             CROSS JOIN LATERAL (
                 SELECT 0 AS space UNION ALL SELECT space FROM memberships
                 WHERE account = (SELECT account FROM peers WHERE id = x.peer)) v
             CROSS JOIN LATERAL (
                 SELECT 1 FROM files WHERE content = c.id AND space = v.space LIMIT 1) f)"
    };
}

/// Deletes announcements of an account's peers (or of all peers) for contents of which the account
/// can no longer see a file.
pub(super) async fn delete_unseen(db: &Connection, account: Option<AccountId>) -> DbResult<()> {
    let Some(account) = account else {
        let sql = concat!("DELETE FROM partials x WHERE ", unseen!());
        db.execute(sql, &[]).await?;
        return Ok(());
    };
    let sql = concat!(
        "DELETE FROM partials x
         WHERE x.peer = ANY (ARRAY(SELECT id FROM peers WHERE account = $1)) AND ",
        unseen!()
    );
    db.execute(sql, &[&account.0]).await?;
    Ok(())
}
