//! The change log, and the documents that whoever follows it derives an index from.
//!
//! The numbers of the log have no gaps: one thread writes it, and a number is taken back when its
//! transaction is. So a follower at position N has lost nothing if N + 1 is there or yet to come.

use std::collections::HashSet;

use convite_core::ContentHash;
use rusqlite::{Connection, OptionalExtension, params};

use super::failure::Outcome;
use super::peers::unsigned;
use crate::stored::damaged;
use crate::{Changes, ContentDocument, ContentKey, DOCUMENT_PATHS_MAX, PeerKey, SpaceKey};

pub(super) fn last(db: &Connection) -> Outcome<i64> {
    // Kept by AUTOINCREMENT, also when the log has been emptied.
    let last = db
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(last.unwrap_or(0))
}

pub(super) fn changes(db: &Connection, position: i64, limit: u32) -> Outcome<Changes> {
    let last = last(db)?;
    let first: Option<i64> = db
        .prepare_cached("SELECT min(seq) FROM changes")?
        .query_row([], |row| row.get(0))?;
    // A position beyond the end is of another database, or of this one before it was restored.
    if position > last || position < first.unwrap_or(last + 1) - 1 {
        return Ok(Changes {
            contents: Vec::new(),
            position: last,
            lost: true,
        });
    }
    let mut statement =
        db.prepare_cached("SELECT seq, content FROM changes WHERE seq > ? ORDER BY seq LIMIT ?")?;
    let mut rows = statement.query(params![position, limit])?;
    let mut changes = Changes {
        position,
        ..Changes::default()
    };
    let mut seen = HashSet::new();
    while let Some(row) = rows.next()? {
        changes.position = row.get(0)?;
        let key = ContentKey(row.get(1)?);
        if seen.insert(key) {
            changes.contents.push((key, documents(db, key)?));
        }
    }
    Ok(changes)
}

pub(super) fn contents(
    db: &Connection,
    after: ContentKey,
    limit: u32,
) -> Outcome<Vec<ContentDocument>> {
    let keys = {
        let mut statement =
            db.prepare_cached("SELECT id FROM contents WHERE id > ? ORDER BY id LIMIT ?")?;
        let rows =
            statement.query_map(params![after.0, limit], |row| row.get(0).map(ContentKey))?;
        rows.collect::<Result<Vec<_>, _>>()?
    };
    let mut all = Vec::with_capacity(keys.len());
    for key in keys {
        all.extend(documents(db, key)?);
    }
    Ok(all)
}

/// A content as it is now in each of the spaces in which it is; nothing if it is gone.
fn documents(db: &Connection, key: ContentKey) -> Outcome<Vec<ContentDocument>> {
    let found = db
        .prepare_cached("SELECT hash, size FROM contents WHERE id = ?")?
        .query_row([key.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((hash, size)) = found else {
        return Ok(Vec::new());
    };
    let mut step = db.prepare_cached(
        "SELECT space FROM files INDEXED BY files_by_content
         WHERE content = ? AND space > ? ORDER BY space LIMIT 1",
    )?;
    let mut documents = Vec::new();
    let mut after = -1;
    while let Some(space) = step
        .query_row(params![key.0, after], |row| row.get(0))
        .optional()?
    {
        let (paths, modified) = paths(db, key, space)?;
        documents.push(ContentDocument {
            key,
            hash: ContentHash::from_bytes(hash),
            space: SpaceKey(space),
            size: unsigned(size)?,
            modified,
            paths,
            peers: holders(db, key, space)?,
        });
        after = space;
    }
    Ok(documents)
}

/// The peers that share a content in a space.
fn holders(db: &Connection, key: ContentKey, space: i64) -> Outcome<Vec<PeerKey>> {
    let mut step = db.prepare_cached(
        "SELECT peer FROM files INDEXED BY files_by_content
         WHERE content = ? AND space = ? AND peer > ? ORDER BY peer LIMIT 1",
    )?;
    let mut peers = Vec::new();
    let mut after = 0;
    while let Some(peer) = step
        .query_row(params![key.0, space, after], |row| row.get(0))
        .optional()?
    {
        peers.push(PeerKey(peer));
        after = peer;
    }
    Ok(peers)
}

/// The distinct paths of a content in a space, and when the newest of these files was changed.
fn paths(db: &Connection, key: ContentKey, space: i64) -> Outcome<(Vec<String>, i64)> {
    // In the order of the index, and no more rows than it takes.
    let mut statement = db.prepare_cached(
        "SELECT path, modified FROM files INDEXED BY files_by_content
         WHERE content = ? AND space = ?
         ORDER BY peer, path",
    )?;
    let mut rows = statement.query([key.0, space])?;
    let mut paths: Vec<String> = Vec::new();
    let mut newest = None;
    while paths.len() < DOCUMENT_PATHS_MAX {
        let Some(row) = rows.next()? else {
            break;
        };
        let path = row.get_ref(0)?.as_str().map_err(|_| damaged("a path"))?;
        if !paths.iter().any(|known| known == path) {
            paths.push(path.to_owned());
        }
        newest = newest.max(Some(row.get(1)?));
    }
    Ok((paths, newest.unwrap_or_default()))
}
