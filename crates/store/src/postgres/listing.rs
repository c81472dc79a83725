//! Paged lists: the online peers, and their files.

use convite_core::model::{FileEntry, FolderEntry, IndexEntry, Page, PeerSummary};
use convite_core::{PeerId, SafePath, UnixMillis};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::connections::Connection;
use super::{paths, spaces};
use crate::cursor::{self, INDEX, PEERS, decode, encode, page};
use crate::error::{DbError, DbResult};
use crate::folder::{FolderRow, LevelScan, Next};
use crate::stored::{self, content_hash, peer_id, space_name, unsigned, user_name};
use crate::{ListedPeer, Viewer};

/// Query for the online peers whose name matches a condition.
macro_rules! peers_online {
    ($which:literal) => {
        concat!(
            "SELECT p.name, a.name, p.addresses,
                 (SELECT coalesce(sum(n.files), 0)::BIGINT FROM peer_files n
                  WHERE n.peer = p.id AND n.space = ANY ($4)),
                 p.since, p.uploads, p.loads
             FROM peers p CROSS JOIN LATERAL (
                 SELECT name FROM accounts WHERE id = p.account LIMIT 1) a
             WHERE p.name ",
            $which,
            " $1 AND NOT p.transient AND NOT p.departed AND p.lease > $2
             ORDER BY p.name LIMIT $3"
        )
    };
}

fn listed(row: &Row) -> DbResult<ListedPeer> {
    let user: &str = row.try_get(1)?;
    let summary = PeerSummary {
        id: peer_id(row.try_get(0)?)?,
        user: user_name(user)?,
        addresses: stored::addresses(row.try_get(2)?)?,
        files: unsigned(row.try_get(3)?)?,
        since: UnixMillis(row.try_get(4)?).seconds(),
        uploads: false,
        loads: false,
        sent_rate: 0,
        received_rate: 0,
    };
    let terms = stored::terms(row.try_get(5)?, row.try_get(6)?)?;
    Ok(ListedPeer { summary, terms })
}

pub(super) async fn peer(
    db: &Connection,
    viewer: &Viewer,
    peer: &PeerId,
    now: UnixMillis,
) -> DbResult<Option<ListedPeer>> {
    let found = db
        .row(
            peers_online!("="),
            &[&peer.as_str(), &now.0, &1i64, &spaces::seen(viewer)],
        )
        .await?;
    found.as_ref().map(listed).transpose()
}

pub(super) async fn peers(
    db: &Connection,
    viewer: &Viewer,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> DbResult<Page<ListedPeer>> {
    let limit = limit.max(1);
    let after = cursor::after(cursor, PEERS, |name| name.parse::<PeerId>().is_ok())?;
    let (seen, most) = (spaces::seen(viewer), i64::from(limit) + 1);
    let rows = db
        .rows(peers_online!(">"), &[&after, &now.0, &most, &seen])
        .await?;
    Ok(page(
        rows.iter().map(listed).collect::<DbResult<_>>()?,
        limit as usize,
        |last: &ListedPeer| encode(&[PEERS, last.summary.id.as_str()]),
    ))
}

pub(super) async fn index(
    db: &Connection,
    viewer: &Viewer,
    peer: Option<&PeerId>,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> DbResult<Page<IndexEntry>> {
    let limit = i64::from(limit.max(1));
    let (from, after) = match cursor.map(|cursor| decode::<3>(cursor, INDEX)) {
        None => (String::new(), String::new()),
        Some(Some([_, name, path]))
            if name.parse::<PeerId>().is_ok() && path.parse::<SafePath>().is_ok() =>
        {
            (name, path)
        }
        Some(_) => return Err(DbError::InvalidCursor),
    };
    // Reads up to one page from each peer. The path in the cursor applies only to the peer in the
    // cursor; later peers start at their first file. Each peer has at least one file, except
    // possibly the one in the cursor.
    let sql = format!(
        "SELECT p.name, {path}, c.size, c.hash, f.modified, s.name, c.kind, c.files, f.executable
         FROM (
             SELECT id, name FROM peers p
             WHERE name {which} AND NOT departed AND lease > $3
                 AND (SELECT 1 FROM peer_files n WHERE n.peer = p.id
                          AND n.files + n.folders > 0 AND n.space = ANY ($5) LIMIT 1) IS NOT NULL
             ORDER BY name LIMIT $4::BIGINT + 1
         ) p CROSS JOIN LATERAL (
             SELECT g.path, g.whole, g.content, g.modified, g.space, g.executable FROM files g
             WHERE g.peer = p.id AND g.space = ANY ($5)
                 AND g.path > CASE WHEN p.name = $1 THEN $2 ELSE '' END
             ORDER BY g.path LIMIT $4
         ) f CROSS JOIN LATERAL (
             SELECT size, hash, kind, files FROM contents WHERE id = f.content LIMIT 1
         ) c LEFT JOIN LATERAL (
             SELECT name FROM spaces WHERE id = f.space LIMIT 1
         ) s ON TRUE
         ORDER BY p.name, f.path LIMIT $4",
        path = paths::PATH,
        which = match peer {
            Some(_) => "= $6",
            None => ">= $1",
        },
    );
    let after = paths::key(&after);
    let (after, most, seen) = (after.as_ref(), limit + 1, spaces::seen(viewer));
    let values: [&(dyn ToSql + Sync); 5] = [&from, &after, &now.0, &most, &seen];
    let name = peer.map(PeerId::as_str);
    let rows = match &name {
        // A cursor beyond this peer leaves nothing.
        Some(name) if *name < from.as_str() => Vec::new(),
        Some(name) => db.rows(&sql, &[&values[..], &[name]].concat()).await?,
        None => db.rows(&sql, &values).await?,
    };
    let items = rows.iter().map(|row| {
        let space: Option<&str> = row.try_get(5)?;
        Ok(IndexEntry {
            peer: peer_id(row.try_get(0)?)?,
            file: FileEntry {
                path: paths::from(row, 1)?,
                kind: stored::kind(row.try_get(6)?)?,
                size: unsigned(row.try_get(2)?)?,
                files: unsigned(row.try_get(7)?)?,
                hash: content_hash(row.try_get(3)?)?,
                modified: row.try_get(4)?,
                executable: row.try_get(8)?,
                space: space.map(space_name).transpose()?,
            },
        })
    });
    Ok(page(
        items.collect::<DbResult<_>>()?,
        limit as usize,
        |last: &IndexEntry| encode(&[INDEX, last.peer.as_str(), last.file.path.as_str()]),
    ))
}

/// Reads one level of a folder that a peer shares, until the page of `scan` is complete.
pub(super) async fn level(db: &Connection, peer: i64, scan: &mut LevelScan) -> DbResult<()> {
    let end = scan.end();
    loop {
        let (start, steps) = (scan.start().to_owned(), scan.wanted() as i64);
        // Each step is one lookup of the next path: behind the sub-folder that contains the path of
        // the previous step, or else behind that path itself.
        let rows = db
            .rows(
                "WITH RECURSIVE steps (path, nth) AS (
                     (SELECT path, 1::BIGINT FROM files
                      WHERE peer = $1 AND path >= $2 AND path < $3 ORDER BY path LIMIT 1)
                     UNION ALL
                     SELECT (SELECT f.path FROM files f
                             WHERE f.peer = $1 AND f.path < $3 AND f.path >=
                                 CASE strpos(substr(s.path, length($4::TEXT) + 1), '/')
                                     WHEN 0 THEN s.path || chr(1)
                                     ELSE $4 || split_part(substr(s.path, length($4) + 1), '/', 1)
                                         || '0' END
                             ORDER BY f.path LIMIT 1), s.nth + 1
                     FROM steps s WHERE s.path IS NOT NULL AND s.nth < $5
                 )
                 SELECT s.path, f.space, c.kind, c.size, c.files, c.hash, f.modified, f.executable
                 FROM steps s CROSS JOIN LATERAL (
                     SELECT content, space, modified, executable FROM files
                     WHERE peer = $1 AND path = s.path LIMIT 1
                 ) f CROSS JOIN LATERAL (
                     SELECT kind, size, files, hash FROM contents WHERE id = f.content LIMIT 1
                 ) c
                 ORDER BY s.nth",
                &[&peer, &start, &end, &scan.prefix(), &steps],
            )
            .await?;
        for row in &rows {
            let kind = stored::kind(row.try_get(2)?)?;
            let next = scan.add(FolderRow {
                path: row.try_get(0)?,
                space: row.try_get(1)?,
                entry: FolderEntry {
                    name: String::new(),
                    kind,
                    size: unsigned(row.try_get(3)?)?,
                    files: kind.files(unsigned(row.try_get(4)?)?),
                    hash: content_hash(row.try_get(5)?)?,
                    modified: row.try_get(6)?,
                    executable: row.try_get(7)?,
                },
            });
            // After a row in a sub-folder, the statement has continued behind it.
            if next == Next::Stop {
                return Ok(());
            }
        }
        if (rows.len() as i64) < steps {
            return Ok(());
        }
    }
}
