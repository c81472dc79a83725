//! Lists in pages: the peers online, and the files that they share.

use convite_core::model::{FileEntry, IndexEntry, Page, PeerSummary};
use convite_core::{PeerId, SafePath, UnixMillis};
use tokio_postgres::Row;

use super::connections::Connection;
use super::failure::Outcome;
use super::partials::hash_from;
use super::peers::{addresses_from, id_from, unsigned};
use super::{paths, spaces};
use crate::cursor::{self, INDEX, PEERS, decode, encode, page, refuse};
use crate::stored::{self, user_name};
use crate::{ListedPeer, Viewer};

/// The peers online: those after `$1`, or the one named `$5`.
const PEERS_ONLINE: &str = "SELECT p.name, a.name, p.addresses,
         (SELECT coalesce(sum(n.files), 0)::BIGINT FROM peer_files n
          WHERE n.peer = p.id AND n.space = ANY ($4)),
         p.since, p.uploads, p.loads
     FROM peers p JOIN accounts a ON a.id = p.account
     WHERE p.name > $1 AND ($5::TEXT IS NULL OR p.name = $5)
         AND NOT p.transient AND NOT p.departed AND p.lease > $2
     ORDER BY p.name LIMIT $3";

fn listed(row: &Row) -> Outcome<ListedPeer> {
    let user: &str = row.try_get(1)?;
    let summary = PeerSummary {
        id: id_from(row.try_get(0)?)?,
        user: user_name(user)?,
        addresses: addresses_from(row.try_get(2)?)?,
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
) -> Outcome<Option<ListedPeer>> {
    let (seen, name) = (spaces::seen(viewer), Some(peer.as_str()));
    let found = db
        .row(PEERS_ONLINE, &[&"", &now.0, &1i64, &seen, &name])
        .await?;
    found.as_ref().map(listed).transpose()
}

pub(super) async fn peers(
    db: &Connection,
    viewer: &Viewer,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> Outcome<Page<ListedPeer>> {
    let limit = limit.max(1);
    let after = cursor::after(cursor, PEERS, |name| name.parse::<PeerId>().is_ok())?;
    let (seen, most) = (spaces::seen(viewer), i64::from(limit) + 1);
    let rows = db
        .rows(PEERS_ONLINE, &[&after, &now.0, &most, &seen, &None::<&str>])
        .await?;
    Ok(page(
        rows.iter().map(listed).collect::<Outcome<_>>()?,
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
) -> Outcome<Page<IndexEntry>> {
    let limit = i64::from(limit.max(1));
    let (from, after) = match cursor.map(|cursor| decode::<3>(cursor, INDEX)) {
        None => (String::new(), String::new()),
        Some(Some([_, name, path]))
            if name.parse::<PeerId>().is_ok() && path.parse::<SafePath>().is_ok() =>
        {
            (name, path)
        }
        Some(_) => return Err(refuse().into()),
    };
    // A page of each peer, as far as the list gets; the path in the cursor belongs to the peer in
    // it, and the next peer begins at its first.
    let sql = format!(
        "SELECT p.name, {path}, c.size, c.hash, f.modified, s.name
         FROM peers p CROSS JOIN LATERAL (
             SELECT g.path, g.whole, g.content, g.modified, g.space FROM files g
             WHERE g.peer = p.id AND g.space = ANY ($6) AND g.path > CASE WHEN p.name = $1 THEN $2 ELSE '' END
             ORDER BY g.path LIMIT $5
         ) f JOIN contents c ON c.id = f.content LEFT JOIN spaces s ON s.id = f.space
         WHERE p.name >= $1 AND ($3::TEXT IS NULL OR p.name = $3)
             AND NOT p.departed AND p.lease > $4
             AND EXISTS (SELECT 1 FROM peer_files n
                         WHERE n.peer = p.id AND n.files > 0 AND n.space = ANY ($6))
         ORDER BY p.name, f.path LIMIT $5",
        path = paths::PATH
    );
    let after = paths::key(&after);
    let rows = db
        .rows(
            &sql,
            &[
                &from,
                &after.as_ref(),
                &peer.map(PeerId::as_str),
                &now.0,
                &(limit + 1),
                &spaces::seen(viewer),
            ],
        )
        .await?;
    let items = rows.iter().map(|row| {
        let space: Option<&str> = row.try_get(5)?;
        Ok(IndexEntry {
            peer: id_from(row.try_get(0)?)?,
            file: FileEntry {
                path: paths::from(row, 1)?,
                size: unsigned(row.try_get(2)?)?,
                hash: hash_from(row.try_get(3)?)?,
                modified: row.try_get(4)?,
                space: space.map(spaces::space_name).transpose()?,
            },
        })
    });
    Ok(page(
        items.collect::<Outcome<_>>()?,
        limit as usize,
        |last: &IndexEntry| encode(&[INDEX, last.peer.as_str(), last.file.path.as_str()]),
    ))
}
