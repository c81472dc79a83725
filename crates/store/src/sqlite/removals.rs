//! Taking out what nobody may see any more: files in a space that their peer's account does not belong
//! to, and peers that were removed.
//!
//! Who removes something only says so, in one short transaction. The files, of which there may be
//! very many, go afterwards, some at a time, so that heartbeats get their turn. What is to go is
//! read off the tables, so that whoever comes next goes on where one was stopped.

use rusqlite::{Connection, params};

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
     WHERE n.files > 0 AND (?1 IS NULL OR n.peer = ?1) AND (?2 IS NULL OR n.space = ?2)
     AND (substr(p.name, 1, 1) = '/' OR (n.space <> 0 AND NOT EXISTS (
         SELECT 1 FROM memberships m WHERE m.account = p.account AND m.space = n.space)))";

/// Makes a peer one whose files have to go, and itself with them: nobody finds it, and its name is
/// free. (No id begins with a slash.)
pub(super) fn mark_peer(db: &Connection, peer: i64) -> Outcome<()> {
    for sql in [
        "DELETE FROM partials WHERE peer = ?",
        "DELETE FROM loads WHERE peer = ?",
        "UPDATE peers SET name = '/' || id, session = NULL, departed = 1, lease = 0,
             attempt = attempt + 1 WHERE id = ?",
    ] {
        db.prepare_cached(sql)?.execute([peer])?;
    }
    Ok(())
}

/// What has to go.
pub(super) fn leaving(db: &Connection) -> Outcome<Vec<Leaving>> {
    let mut statement = db.prepare_cached(LEAVING)?;
    let leaving = statement.query_map([None::<i64>, None], |row| {
        Ok(Leaving {
            peer: row.get(0)?,
            space: row.get(1)?,
        })
    })?;
    Ok(leaving.collect::<Result<_, _>>()?)
}

/// Takes some of it out, from the path `from` on, if it still has to go. Returns where to go on, or
/// none at the end.
pub(super) fn take_some(db: &Connection, of: Leaving, from: &str) -> Outcome<Option<String>> {
    let still = db
        .prepare_cached(LEAVING)?
        .exists(params![of.peer, of.space])?;
    match still {
        true => publish::take_out(db, of.peer, of.space, from),
        false => Ok(None),
    }
}

/// Forgets the removed peers whose files are out.
pub(super) fn forget_peers(db: &Connection) -> Outcome<()> {
    db.prepare_cached(
        "DELETE FROM peers WHERE substr(name, 1, 1) = '/'
         AND NOT EXISTS (SELECT 1 FROM files f WHERE f.peer = peers.id)",
    )?
    .execute([])?;
    Ok(())
}
