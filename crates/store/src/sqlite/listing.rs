//! The peers online, and the files that they share, as far as a viewer may see.

use convite_core::model::{FileEntry, IndexEntry, Page, PeerSummary};
use convite_core::{ContentHash, PeerId, SafePath, UnixMillis};
use rusqlite::{Connection, Row, params};

use super::failure::Outcome;
use super::peers::{addresses_from, unsigned};
use super::spaces;
use crate::cursor::{self, INDEX, PEERS, decode, encode, page, refuse};
use crate::stored::{self, damaged, user_name};
use crate::{ListedPeer, Viewer};

fn peer_id(text: &str) -> Outcome<PeerId> {
    Ok(text.parse().map_err(|_| damaged("a peer id"))?)
}

/// The peers online: those after `?2`, or the one named `?5`.
const PEERS_ONLINE: &str = "SELECT p.name, a.name, p.addresses,
         (SELECT coalesce(sum(n.files), 0) FROM peer_files n WHERE n.peer = p.id
          AND n.space IN (SELECT value FROM json_each(?1))),
         p.since, p.uploads, p.loads
     FROM peers p JOIN accounts a ON a.id = p.account
     WHERE p.name > ?2 AND (?5 IS NULL OR p.name = ?5)
         AND p.transient = 0 AND p.departed = 0 AND p.lease > ?3
     ORDER BY p.name LIMIT ?4";

fn listed(row: &Row<'_>) -> Outcome<ListedPeer> {
    let user: String = row.get(1)?;
    let terms = stored::terms(&row.get::<_, String>(5)?, &row.get::<_, String>(6)?)?;
    let summary = PeerSummary {
        id: peer_id(&row.get::<_, String>(0)?)?,
        user: user_name(&user)?,
        addresses: addresses_from(&row.get::<_, String>(2)?)?,
        files: unsigned(row.get(3)?)?,
        since: UnixMillis(row.get(4)?).seconds(),
        uploads: false,
        loads: false,
        sent_rate: 0,
        received_rate: 0,
    };
    Ok(ListedPeer { summary, terms })
}

pub(super) fn peer(
    db: &Connection,
    viewer: &Viewer,
    peer: &PeerId,
    now: UnixMillis,
) -> Outcome<Option<ListedPeer>> {
    let mut statement = db.prepare_cached(PEERS_ONLINE)?;
    let mut rows = statement.query(params![spaces::seen(viewer), "", now.0, 1, peer.as_str()])?;
    rows.next()?.map(listed).transpose()
}

pub(super) fn peers(
    db: &Connection,
    viewer: &Viewer,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> Outcome<Page<ListedPeer>> {
    let limit = limit.max(1);
    let after = cursor::after(cursor, PEERS, |name| name.parse::<PeerId>().is_ok())?;
    let mut statement = db.prepare_cached(PEERS_ONLINE)?;
    let (seen, most) = (spaces::seen(viewer), i64::from(limit) + 1);
    let mut rows = statement.query(params![seen, after, now.0, most, None::<&str>])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(listed(row)?);
    }
    Ok(page(items, limit as usize, |last| {
        encode(&[PEERS, last.summary.id.as_str()])
    }))
}

pub(super) fn index(
    db: &Connection,
    viewer: &Viewer,
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
    // Whoever shares nothing in these spaces is passed over, however much elsewhere.
    let mut online = db.prepare_cached(
        "SELECT id, name FROM peers p
         WHERE name >= ?1 AND (?2 IS NULL OR name = ?2) AND departed = 0 AND lease > ?3
             AND EXISTS (SELECT 1 FROM peer_files n WHERE n.peer = p.id AND n.files > 0
                 AND n.space IN (SELECT value FROM json_each(?4)))
         ORDER BY name",
    )?;
    let mut files = db.prepare_cached(
        "SELECT f.path, c.size, c.hash, f.modified, s.name
         FROM files f JOIN contents c ON c.id = f.content LEFT JOIN spaces s ON s.id = f.space
         WHERE f.peer = ? AND f.path > ? AND f.space IN (SELECT value FROM json_each(?))
         ORDER BY f.path LIMIT ?",
    )?;
    let seen = spaces::seen(viewer);
    let mut items = Vec::new();
    let mut peers = online.query(params![from, peer.map(PeerId::as_str), now.0, seen])?;
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
        let mut rows = files.query(params![key, after, seen, (limit + 1 - items.len()) as i64])?;
        while let Some(row) = rows.next()? {
            let path: String = row.get(0)?;
            let space: Option<String> = row.get(4)?;
            let space = space.map(|name| name.parse()).transpose();
            items.push(IndexEntry {
                peer: id.clone(),
                file: FileEntry {
                    path: path.parse().map_err(|_| damaged("a path"))?,
                    size: unsigned(row.get(1)?)?,
                    hash: ContentHash::from_bytes(row.get(2)?),
                    modified: row.get(3)?,
                    space: space.map_err(|_| damaged("the name of a space"))?,
                },
            });
        }
    }
    Ok(page(items, limit, |last| {
        encode(&[INDEX, last.peer.as_str(), last.file.path.as_str()])
    }))
}
