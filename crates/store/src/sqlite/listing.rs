//! Lists in pages: the peers online, and the files that they share.

use convite_core::model::{FileEntry, IndexEntry, Page, PeerSummary};
use convite_core::{ContentHash, PeerId, SafePath, UnixMillis};
use rusqlite::{Connection, params};

use super::failure::{Outcome, damaged};
use super::peers::{addresses_from, unsigned};
use crate::cursor::{INDEX, PEERS, decode, encode, page, refuse};

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
