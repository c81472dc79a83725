//! Lists in pages: the peers online, and the files that they share.
//!
//! A cursor is the last key of the page before, so that a page costs the same wherever it lies and
//! what comes and goes meanwhile makes no gaps and no repeats.

use convite_core::model::{FileEntry, IndexEntry, Page, PeerSummary};
use convite_core::{ContentHash, PeerId, Problem, SafePath, UnixMillis};
use data_encoding::BASE64URL_NOPAD;
use rusqlite::{Connection, params};

use super::failure::{Outcome, damaged};
use super::peers::{addresses_from, unsigned};

/// Stands before the key, so that the cursor of one list is refused by the other.
const PEERS: &str = "peers";
const INDEX: &str = "index";

fn encode(parts: &[&str]) -> String {
    // No part holds a NUL.
    BASE64URL_NOPAD.encode(parts.join("\0").as_bytes())
}

/// The parts of a cursor, if it has as many as `N` and the first is `list`.
fn decode<const N: usize>(cursor: &str, list: &str) -> Option<[String; N]> {
    let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let parts: Vec<String> = text.split('\0').map(str::to_owned).collect();
    let parts: [String; N] = parts.try_into().ok()?;
    (parts.first()? == list).then_some(parts)
}

fn refuse() -> Problem {
    Problem::invalid("the cursor is not one that this list returned")
        .hint("leave it out to begin with the first page")
}

/// The items of a page of which one more than `limit` was asked for.
fn page<T>(mut items: Vec<T>, limit: usize, cursor: impl FnOnce(&T) -> String) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(cursor);
    Page { items, next_cursor }
}

fn peer_id(text: &str) -> Outcome<PeerId> {
    Ok(text.parse().map_err(|_| damaged("a peer id"))?)
}

pub(super) fn peers(
    db: &Connection,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> Outcome<Page<PeerSummary>> {
    let limit = limit.max(1);
    let after = match cursor.map(|cursor| decode::<2>(cursor, PEERS)) {
        None => String::new(),
        Some(Some([_, name])) if name.parse::<PeerId>().is_ok() => name,
        Some(_) => return Err(refuse().into()),
    };
    let mut statement = db.prepare_cached(
        "SELECT p.name, a.name, p.addresses, p.files, p.since
         FROM peers p JOIN accounts a ON a.id = p.account
         WHERE p.name > ? AND p.transient = 0 AND p.departed = 0 AND p.lease > ?
         ORDER BY p.name LIMIT ?",
    )?;
    let mut rows = statement.query(params![after, now.0, i64::from(limit) + 1])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        let user: String = row.get(1)?;
        items.push(PeerSummary {
            id: peer_id(&row.get::<_, String>(0)?)?,
            user: user.parse().map_err(|_| damaged("a user name"))?,
            addresses: addresses_from(&row.get::<_, String>(2)?)?,
            files: unsigned(row.get(3)?)?,
            since: UnixMillis(row.get(4)?).seconds(),
        });
    }
    Ok(page(items, limit as usize, |last| {
        encode(&[PEERS, last.id.as_str()])
    }))
}

pub(super) fn index(
    db: &Connection,
    peer: Option<&PeerId>,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> Outcome<Page<IndexEntry>> {
    let limit = limit.max(1) as usize;
    let (from, mut after) = match cursor.map(|cursor| decode::<3>(cursor, INDEX)) {
        None => (String::new(), String::new()),
        Some(Some([_, name, path]))
            if name.parse::<PeerId>().is_ok() && path.parse::<SafePath>().is_ok() =>
        {
            (name, path)
        }
        Some(_) => return Err(refuse().into()),
    };
    let mut online = db.prepare_cached(
        "SELECT id, name FROM peers
         WHERE name >= ?1 AND (?2 IS NULL OR name = ?2) AND departed = 0 AND lease > ?3
         ORDER BY name",
    )?;
    let mut files = db.prepare_cached(
        "SELECT f.path, c.size, c.hash, f.modified
         FROM files f JOIN contents c ON c.id = f.content
         WHERE f.peer = ? AND f.path > ? ORDER BY f.path LIMIT ?",
    )?;
    let mut items = Vec::new();
    let mut peers = online.query(params![from, peer.map(PeerId::as_str), now.0])?;
    while let Some(row) = peers.next()? {
        if items.len() > limit {
            break;
        }
        let (key, name): (i64, String) = (row.get(0)?, row.get(1)?);
        let id = peer_id(&name)?;
        // The path in the cursor belongs to the peer in it; the next peer begins at its first.
        let after = if name == from {
            std::mem::take(&mut after)
        } else {
            String::new()
        };
        let mut rows = files.query(params![key, after, (limit + 1 - items.len()) as i64])?;
        while let Some(row) = rows.next()? {
            let path: String = row.get(0)?;
            items.push(IndexEntry {
                peer: id.clone(),
                file: FileEntry {
                    path: path.parse().map_err(|_| damaged("a path"))?,
                    size: unsigned(row.get(1)?)?,
                    hash: ContentHash::from_bytes(row.get(2)?),
                    modified: row.get(3)?,
                },
            });
        }
    }
    Ok(page(items, limit, |last| {
        encode(&[INDEX, last.peer.as_str(), last.file.path.as_str()])
    }))
}
