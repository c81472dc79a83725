//! Paged lists: the online peers, and their files, as far as the viewer can see them.

use convite_core::model::{FileEntry, FolderEntry, IndexEntry, Page, PeerSummary};
use convite_core::{ContentHash, PeerId, SafePath, UnixMillis};
use rusqlite::{Connection, Row, params};

use super::spaces;
use crate::cursor::{self, INDEX, PEERS, decode, encode, page};
use crate::error::{DbError, DbResult};
use crate::folder::{FolderRow, LevelScan, Next};
use crate::stored::{self, peer_id, space_name, unsigned, user_name};
use crate::{ListedPeer, Viewer};

/// Query for the online peers whose name matches a condition.
macro_rules! peers_online {
    ($which:literal) => {
        concat!(
            "SELECT p.name, a.name, p.addresses,
                 (SELECT coalesce(sum(n.files), 0) FROM peer_files n WHERE n.peer = p.id
                  AND n.space IN (SELECT value FROM json_each(?1))),
                 p.since, p.uploads, p.loads
             FROM peers p CROSS JOIN accounts a ON a.id = p.account
             WHERE p.name ",
            $which,
            " ?2 AND p.transient = 0 AND p.departed = 0 AND p.lease > ?3
             ORDER BY p.name LIMIT ?4"
        )
    };
}

fn listed(row: &Row<'_>) -> DbResult<ListedPeer> {
    let user: String = row.get(1)?;
    let terms = stored::terms(&row.get::<_, String>(5)?, &row.get::<_, String>(6)?)?;
    let summary = PeerSummary {
        id: peer_id(&row.get::<_, String>(0)?)?,
        user: user_name(&user)?,
        addresses: stored::addresses(&row.get::<_, String>(2)?)?,
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
) -> DbResult<Option<ListedPeer>> {
    let mut statement = db.prepare_cached(peers_online!("="))?;
    let mut rows = statement.query(params![spaces::seen(viewer), peer.as_str(), now.0, 1])?;
    rows.next()?.map(listed).transpose()
}

pub(super) fn peers(
    db: &Connection,
    viewer: &Viewer,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> DbResult<Page<ListedPeer>> {
    let limit = limit.max(1);
    let after = cursor::after(cursor, PEERS, |name| name.parse::<PeerId>().is_ok())?;
    let mut statement = db.prepare_cached(peers_online!(">"))?;
    let (seen, most) = (spaces::seen(viewer), i64::from(limit) + 1);
    let mut rows = statement.query(params![seen, after, now.0, most])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(listed(row)?);
    }
    Ok(page(items, limit as usize, |last| {
        encode(&[PEERS, last.summary.id.as_str()])
    }))
}

/// Query for the online peers, starting at a name, that share something in these spaces and match a
/// condition.
macro_rules! sharing {
    ($which:literal) => {
        concat!(
            "SELECT id, name FROM peers p WHERE ",
            $which,
            " name >= ?1 AND departed = 0 AND lease > ?3
             AND EXISTS (SELECT 1 FROM peer_files n WHERE n.peer = p.id
                 AND n.files + n.folders > 0 AND n.space IN (SELECT value FROM json_each(?4)))
             ORDER BY name"
        )
    };
}

pub(super) fn index(
    db: &Connection,
    viewer: &Viewer,
    peer: Option<&PeerId>,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> DbResult<Page<IndexEntry>> {
    let limit = limit.max(1) as usize;
    let (from, mut after) = match cursor.map(|cursor| decode::<3>(cursor, INDEX)) {
        None => (String::new(), String::new()),
        Some(Some([_, name, path]))
            if name.parse::<PeerId>().is_ok() && path.parse::<SafePath>().is_ok() =>
        {
            (name, path)
        }
        Some(_) => return Err(DbError::InvalidCursor),
    };
    // Peers that share nothing in these spaces are skipped, however much they share elsewhere.
    let mut online = db.prepare_cached(match peer {
        None => sharing!(""),
        Some(_) => sharing!("name = ?2 AND"),
    })?;
    let mut files = db.prepare_cached(
        "SELECT f.path, c.size, c.hash, f.modified, s.name, c.kind, c.files, f.executable
         FROM files f CROSS JOIN contents c ON c.id = f.content
         LEFT JOIN spaces s ON s.id = f.space
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
        // The path in the cursor applies only to the peer in the cursor. The next peer starts at
        // its first file.
        let after = if name == from {
            std::mem::take(&mut after)
        } else {
            String::new()
        };
        let mut rows = files.query(params![key, after, seen, (limit + 1 - items.len()) as i64])?;
        while let Some(row) = rows.next()? {
            let path: String = row.get(0)?;
            let space: Option<String> = row.get(4)?;
            items.push(IndexEntry {
                peer: id.clone(),
                file: FileEntry {
                    path: stored::path(&path)?,
                    kind: stored::kind(row.get(5)?)?,
                    size: unsigned(row.get(1)?)?,
                    files: unsigned(row.get(6)?)?,
                    hash: ContentHash::from_bytes(row.get(2)?),
                    modified: row.get(3)?,
                    executable: row.get(7)?,
                    space: space.as_deref().map(space_name).transpose()?,
                },
            });
        }
    }
    Ok(page(items, limit, |last| {
        encode(&[INDEX, last.peer.as_str(), last.file.path.as_str()])
    }))
}

/// Reads one level of a folder that a peer shares, until the page of `scan` is complete.
pub(super) fn level(db: &Connection, peer: i64, scan: &mut LevelScan) -> DbResult<()> {
    let mut statement = db.prepare_cached(
        "SELECT f.path, f.space, c.kind, c.size, c.files, c.hash, f.modified, f.executable
         FROM files f CROSS JOIN contents c ON c.id = f.content
         WHERE f.peer = ? AND f.path >= ? AND f.path < ? ORDER BY f.path",
    )?;
    let end = scan.end();
    loop {
        // Rows are read one by one, so none are read in vain before a jump.
        let mut rows = statement.query(params![peer, scan.start(), end])?;
        loop {
            let Some(row) = rows.next()? else {
                return Ok(());
            };
            let kind = stored::kind(row.get(2)?)?;
            let next = scan.add(FolderRow {
                path: row.get(0)?,
                space: row.get(1)?,
                entry: FolderEntry {
                    name: String::new(),
                    kind,
                    size: unsigned(row.get(3)?)?,
                    files: kind.files(unsigned(row.get(4)?)?),
                    hash: ContentHash::from_bytes(row.get(5)?),
                    modified: row.get(6)?,
                    executable: row.get(7)?,
                },
            });
            match next {
                Next::Row => {}
                Next::Jump => break,
                Next::Stop => return Ok(()),
            }
        }
    }
}
