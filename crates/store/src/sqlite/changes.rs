//! The change log, and the documents from which a search index is built.
//!
//! The numbers of the log have no gaps: one thread writes it, and a rollback also releases its
//! numbers. Therefore a reader at position N has missed nothing if entry N + 1 exists or has not
//! been written yet.

use std::collections::HashSet;

use convite_core::ContentHash;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{DbError, DbResult};
use crate::located::{searchable, searched};
use crate::stored::{self, unsigned};
use crate::{Changes, ContentDocument, ContentKey, PeerKey, SpaceKey};

pub(super) fn last(db: &Connection) -> DbResult<i64> {
    // AUTOINCREMENT keeps this value even when the log is empty.
    let last = db
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(last.unwrap_or(0))
}

pub(super) fn changes(db: &Connection, position: i64, limit: u32) -> DbResult<Changes> {
    let last = last(db)?;
    let first: Option<i64> = db
        .prepare_cached("SELECT min(seq) FROM changes")?
        .query_row([], |row| row.get(0))?;
    // A position beyond the end is from another database, or from before a restore.
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
) -> DbResult<Vec<ContentDocument>> {
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

/// Returns the current documents of a content in each space; none if it is deleted.
fn documents(db: &Connection, key: ContentKey) -> DbResult<Vec<ContentDocument>> {
    let found = db
        .prepare_cached("SELECT hash, kind, size FROM contents WHERE id = ?")?
        .query_row([key.0], |row| row.try_into())
        .optional()?;
    let Some((hash, kind, size)) = found else {
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
        let holders = holders(db, key, space)?;
        let peers = holders.iter().map(|(_, peer)| PeerKey(*peer)).collect();
        let (paths, modified) = paths(db, key, space, holders)?;
        documents.push(ContentDocument {
            key,
            hash: ContentHash::from_bytes(hash),
            kind: stored::kind(kind)?,
            space: SpaceKey(space),
            size: unsigned(size)?,
            modified,
            paths,
            peers,
        });
        after = space;
    }
    Ok(documents)
}

/// Returns the accounts and peers that share a content in a space, by peer.
fn holders(db: &Connection, key: ContentKey, space: i64) -> DbResult<Vec<(i64, i64)>> {
    let mut step = db.prepare_cached(
        "SELECT p.account, f.peer FROM files f INDEXED BY files_by_content
             CROSS JOIN peers p ON p.id = f.peer
         WHERE f.content = ? AND f.space = ? AND f.peer > ? ORDER BY f.peer LIMIT 1",
    )?;
    let mut peers = Vec::new();
    let mut after = 0;
    while let Some((account, peer)) = step
        .query_row(params![key.0, space, after], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?
    {
        peers.push((account, peer));
        after = peer;
    }
    Ok(peers)
}

/// Returns distinct paths of a content in a space, and the latest modification time of these files.
fn paths(
    db: &Connection,
    key: ContentKey,
    space: i64,
    holders: Vec<(i64, i64)>,
) -> DbResult<(Vec<String>, i64)> {
    let mut statement = db.prepare_cached(
        "SELECT path, modified FROM files INDEXED BY files_by_content
         WHERE content = ? AND space = ? AND peer = ? ORDER BY path LIMIT ?",
    )?;
    let (holders, most) = searched(key.0, holders);
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut of_peers = Vec::with_capacity(holders.len());
    let mut newest = None;
    for (account, peer) in holders {
        let mut rows = statement.query(params![key.0, space, peer, most])?;
        let mut paths = Vec::new();
        while let Some(row) = rows.next()? {
            let path = row
                .get_ref(0)?
                .as_str()
                .map_err(|_| DbError::Damaged("a path"))?;
            paths.push(path.to_owned());
            newest = newest.max(Some(row.get(1)?));
        }
        of_peers.push((account, paths));
    }
    Ok((searchable(key.0, of_peers), newest.unwrap_or_default()))
}
