//! Taking out what nobody may see any more: files in a space that their peer's account does not belong
//! to, and peers that were removed.
//!
//! Who removes something only says so, in one short transaction. The files, of which there may be
//! very many, go afterwards, some at a time, so that no transaction takes longer than it may. What
//! is to go is read off the tables, so that whoever comes next, at any replica, goes on where one
//! was stopped.

use super::connections::Connection;
use super::failure::Outcome;
use super::publish;

/// A peer with files that have to go out of a space.
#[derive(Clone, Copy)]
pub(super) struct Leaving {
    peer: i64,
    space: i64,
}

/// What has to go; of one peer and space, or all.
const LEAVING: &str = "SELECT n.peer, n.space FROM peer_files n JOIN peers p ON p.id = n.peer
     WHERE n.files > 0 AND ($1::BIGINT IS NULL OR n.peer = $1)
     AND ($2::BIGINT IS NULL OR n.space = $2)
     AND (p.name LIKE '/%' OR (n.space <> 0 AND NOT EXISTS (
         SELECT 1 FROM memberships m WHERE m.account = p.account AND m.space = n.space)))";

/// Makes a peer one whose files have to go, and itself with them: nobody finds it, and its name is
/// free. (No id begins with a slash.)
pub(super) async fn mark_peer(db: &Connection, peer: i64) -> Outcome<()> {
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

/// What has to go.
pub(super) async fn leaving(db: &Connection) -> Outcome<Vec<Leaving>> {
    let rows = db.rows(LEAVING, &[&None::<i64>, &None::<i64>]).await?;
    let leaving = rows.iter().map(|row| {
        Ok(Leaving {
            peer: row.try_get(0)?,
            space: row.try_get(1)?,
        })
    });
    leaving.collect()
}

/// Takes some of it out, from the key `from` on, if it still has to go. Returns where to go on, or
/// none at the end, and the contents that this touched.
pub(super) async fn take_some(
    db: &Connection,
    of: Leaving,
    from: &str,
) -> Outcome<(Option<String>, Vec<i64>)> {
    // As a publication does. Who is let in again waits for it, and has the peer send all anew.
    db.row(
        "SELECT 1 FROM peers WHERE id = $1 FOR NO KEY UPDATE",
        &[&of.peer],
    )
    .await?;
    match db.row(LEAVING, &[&of.peer, &of.space]).await? {
        Some(_) => publish::take_out(db, of.peer, of.space, from).await,
        None => Ok((None, Vec::new())),
    }
}

/// Forgets the removed peers whose files are out.
pub(super) async fn forget_peers(db: &Connection) -> Outcome<()> {
    db.execute(
        "DELETE FROM peers p WHERE p.name LIKE '/%'
         AND NOT EXISTS (SELECT 1 FROM files f WHERE f.peer = p.id)",
        &[],
    )
    .await?;
    Ok(())
}
