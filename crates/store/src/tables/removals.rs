//! Deletion of files that nobody can see any more: files in a space that their peer's account is
//! not a member of, and files of removed peers.
//!
//! The request itself is one short transaction that only marks what to delete. The files, possibly
//! very many, are deleted afterwards in several transactions of limited length, so that heartbeats
//! can run in between. The tables themselves show what is left to delete, so any later call, of any
//! replica, can continue after an interruption.

use crate::PeerKey;
use crate::database::Database;
use crate::error::DbResult;

/// A peer with files that must be deleted from a space.
#[derive(Debug, Clone, Copy)]
pub struct PendingRemoval {
    pub peer: i64,
    pub space: i64,
}

/// Query for the pending removals that match a condition.
macro_rules! pending_removals {
    ($which:literal) => {
        concat!(
            "SELECT n.peer, n.space FROM peer_files n WHERE ",
            $which,
            " n.files > 0 AND (
                 (SELECT substr(name, 1, 1) FROM peers WHERE id = n.peer) = '/'
                 OR (n.space <> 0 AND (
                     SELECT 1 FROM memberships m WHERE m.space = n.space
                         AND m.account = (SELECT account FROM peers WHERE id = n.peer)
                     ) IS NULL))"
        )
    };
}

/// Marks a peer and its files for deletion. The peer can no longer be found, and its id is free.
/// (No peer id starts with a slash.)
pub(crate) async fn mark_peer_removed(db: &mut impl Database, peer: PeerKey) -> DbResult<()> {
    for sql in [
        "DELETE FROM partials WHERE peer = $1",
        "DELETE FROM loads WHERE peer = $1",
        "UPDATE peers SET name = '/' || id, session = NULL, departed = TRUE, lease = 0,
             attempt = attempt + 1 WHERE id = $1",
    ] {
        db.execute(sql, &[&peer]).await?;
    }
    Ok(())
}

/// Returns the pending removals.
pub(crate) async fn pending(db: &mut impl Database) -> DbResult<Vec<PendingRemoval>> {
    let rows = db.rows(pending_removals!(""), &[]).await?;
    let pending = rows.iter().map(|row| {
        Ok(PendingRemoval {
            peer: row.get(0)?,
            space: row.get(1)?,
        })
    });
    pending.collect()
}

/// Returns whether a removal is still pending.
pub(crate) async fn is_pending(db: &mut impl Database, of: PendingRemoval) -> DbResult<bool> {
    let sql = pending_removals!("n.peer = $1 AND n.space = $2 AND");
    Ok(db.row(sql, &[&of.peer, &of.space]).await?.is_some())
}

/// Deletes the removed peers that have no files left.
pub(crate) async fn delete_removed_peers(db: &mut impl Database) -> DbResult<()> {
    db.execute(
        "DELETE FROM peers WHERE name >= '/' AND name < '0'
         AND (SELECT 1 FROM files f WHERE f.peer = peers.id LIMIT 1) IS NULL",
        &[],
    )
    .await?;
    Ok(())
}
