//! Lookup of contents by an exact name or path.
//!
//! The search skips from peer to peer in the name index, and at each peer from content to content.
//! An offline peer and further copies of a content cost one step each.

use std::collections::BTreeMap;

use convite_core::{PeerId, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::DbResult;
use crate::named::name_key;
use crate::{NAMED_MAX, Named, Viewer};

/// Returns the contents that online peers share under `path`, or under a path that ends with `/`
/// and `path`. With `peer`, only those that this peer shares under exactly `path`. Exact matches
/// exclude the others.
pub(super) fn named(
    db: &Connection,
    viewer: &Viewer,
    path: &str,
    peer: Option<&PeerId>,
    now: UnixMillis,
) -> DbResult<Named> {
    if let Some(peer) = peer {
        return at_peer(db, viewer, path, peer, now);
    }
    let mut whole = BTreeMap::new();
    let mut ends = BTreeMap::new();
    let mut find = db
        .prepare_cached("SELECT content FROM files WHERE peer = ?1 AND path = ?2 AND space = ?3")?;
    let mut contents = db.prepare_cached(
        "SELECT content, min(path) FROM files INDEXED BY files_by_name
         WHERE name = ?1 AND space = ?2 AND peer = ?3
             AND substr('/' || path, -length('/' || ?4)) = '/' || ?4
         GROUP BY content ORDER BY content LIMIT ?5",
    )?;
    let (name, most) = (name_key(path), NAMED_MAX as i64 + 1);
    for (peer, space) in online(db, viewer, name, now)? {
        // Without a folder, a path match is the same as a name match.
        if path.contains('/')
            && let Some(content) = find
                .query_row(params![peer, path, space], |row| row.get(0))
                .optional()?
        {
            whole.insert(content, path.to_owned());
        }
        if ends.len() <= NAMED_MAX && whole.is_empty() {
            let mut rows = contents.query(params![name, space, peer, path, most])?;
            while let Some(row) = rows.next()? {
                ends.insert(row.get(0)?, row.get(1)?);
            }
        }
    }
    Ok(Named::of(if whole.is_empty() { ends } else { whole }))
}

/// Returns the online peers that share a file with this name, each with the file's space.
fn online(
    db: &Connection,
    viewer: &Viewer,
    name: i64,
    now: UnixMillis,
) -> DbResult<Vec<(i64, i64)>> {
    let mut step = db.prepare_cached(
        "SELECT p.id, p.departed = 0 AND p.lease > ?4
         FROM files f INDEXED BY files_by_name CROSS JOIN peers p ON p.id = f.peer
         WHERE f.name = ?1 AND f.space = ?2 AND f.peer > ?3 ORDER BY f.peer LIMIT 1",
    )?;
    let mut online = Vec::new();
    for space in viewer.spaces() {
        let mut after = 0;
        loop {
            let next: Option<(i64, bool)> = step
                .query_row(params![name, space.0, after, now.0], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            let Some((peer, is_online)) = next else {
                break;
            };
            after = peer;
            if is_online {
                online.push((peer, space.0));
            }
        }
    }
    Ok(online)
}

fn at_peer(
    db: &Connection,
    viewer: &Viewer,
    path: &str,
    peer: &PeerId,
    now: UnixMillis,
) -> DbResult<Named> {
    let mut find = db.prepare_cached(
        "SELECT f.content FROM peers p CROSS JOIN files f ON f.peer = p.id
         WHERE p.name = ?1 AND p.departed = 0 AND p.lease > ?2 AND f.path = ?3 AND f.space = ?4",
    )?;
    let mut found = BTreeMap::new();
    for space in viewer.spaces() {
        let content = find.query_row(params![peer.as_str(), now.0, path, space.0], |row| {
            row.get(0)
        });
        if let Some(content) = content.optional()? {
            found.insert(content, path.to_owned());
        }
    }
    Ok(Named::of(found))
}
