//! Partial providers. The operations of `Swarm` announce them.

use convite_core::model::Provider;
use convite_core::{ContentHash, EntryKind, UnixMillis};

use super::connections::Connection;
use super::spaces;
use crate::error::DbResult;
use crate::located::Partial;
use crate::stored::{self, addresses, kind_number, peer_id, unsigned};
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

/// Returns the online partial providers that the viewer may know about, by id.
pub(super) async fn providers(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    now: UnixMillis,
) -> DbResult<Vec<Partial>> {
    let rows = db
        .rows(
            concat!(
                "SELECT p.name, p.addresses, x.size, p.account
                 FROM partials x CROSS JOIN LATERAL (
                     SELECT name, addresses, account FROM peers
                     WHERE id = x.peer AND NOT departed AND lease > $3 LIMIT 1) p
                 WHERE x.hash = $1 AND NOT ",
                sees_elsewhere!("p.account", "$1", "$2"),
                " ORDER BY p.name",
            ),
            &[&hash.as_bytes().as_slice(), &spaces::seen(viewer), &now.0],
        )
        .await?;
    let providers = rows.iter().map(|row| {
        let provider = Provider {
            peer: peer_id(row.try_get(0)?)?,
            addresses: addresses(row.try_get(1)?)?,
            size: unsigned(row.try_get(2)?)?,
            ticket: String::new(),
            partial: true,
        };
        Ok((row.try_get(3)?, provider))
    });
    providers.collect()
}

/// Returns the kind of a content with this hash of which the viewer can see a file or folder, on an
/// online or offline peer: the given kind, or else any.
pub(super) async fn kind_seen(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    kind: Option<EntryKind>,
) -> DbResult<Option<EntryKind>> {
    let row = db
        .row(
            "SELECT c.kind FROM (
                 SELECT id, kind FROM contents WHERE hash = $1 AND kind = coalesce($3, kind) OFFSET 0
             ) c CROSS JOIN unnest($2::BIGINT[]) AS v (space) CROSS JOIN LATERAL (
                 SELECT 1 FROM files f WHERE f.content = c.id AND f.space = v.space LIMIT 1) f
             ORDER BY c.kind LIMIT 1",
            &[
                &hash.as_bytes().as_slice(),
                &spaces::seen(viewer),
                &kind.map(kind_number),
            ],
        )
        .await?;
    row.map(|row| stored::kind(row.try_get(0)?)).transpose()
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
