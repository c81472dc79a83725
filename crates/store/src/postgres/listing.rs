//! Lists in pages: the peers online, and the files that they share.

use convite_core::model::{FileEntry, IndexEntry, Page, PeerSummary};
use convite_core::{PeerId, SafePath, UnixMillis};

use super::connections::Connection;
use super::failure::{Outcome, damaged};
use super::partials::hash_from;
use super::paths;
use super::peers::{addresses_from, id_from, unsigned};
use crate::cursor::{INDEX, PEERS, decode, encode, page, refuse};

pub(super) async fn peers(
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
    let rows = db
        .rows(
            "SELECT p.name, a.name, p.addresses, p.files, p.since
             FROM peers p JOIN accounts a ON a.id = p.account
             WHERE p.name > $1 AND NOT p.transient AND NOT p.departed AND p.lease > $2
             ORDER BY p.name LIMIT $3",
            &[&after, &now.0, &(i64::from(limit) + 1)],
        )
        .await?;
    let items = rows.iter().map(|row| {
        let user: &str = row.try_get(1)?;
        Ok(PeerSummary {
            id: id_from(row.try_get(0)?)?,
            user: user.parse().map_err(|_| damaged("a user name"))?,
            addresses: addresses_from(row.try_get(2)?)?,
            files: unsigned(row.try_get(3)?)?,
            since: UnixMillis(row.try_get(4)?).seconds(),
        })
    });
    Ok(page(
        items.collect::<Outcome<_>>()?,
        limit as usize,
        |last: &PeerSummary| encode(&[PEERS, last.id.as_str()]),
    ))
}

pub(super) async fn index(
    db: &Connection,
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
        "SELECT p.name, {path}, c.size, c.hash, f.modified
         FROM peers p CROSS JOIN LATERAL (
             SELECT g.path, g.whole, g.content, g.modified FROM files g
             WHERE g.peer = p.id AND g.path > CASE WHEN p.name = $1 THEN $2 ELSE '' END
             ORDER BY g.path LIMIT $5
         ) f JOIN contents c ON c.id = f.content
         WHERE p.name >= $1 AND ($3::TEXT IS NULL OR p.name = $3)
             AND NOT p.departed AND p.lease > $4
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
            ],
        )
        .await?;
    let items = rows.iter().map(|row| {
        Ok(IndexEntry {
            peer: id_from(row.try_get(0)?)?,
            file: FileEntry {
                path: paths::from(row, 1)?,
                size: unsigned(row.try_get(2)?)?,
                hash: hash_from(row.try_get(3)?)?,
                modified: row.try_get(4)?,
            },
        })
    });
    Ok(page(
        items.collect::<Outcome<_>>()?,
        limit as usize,
        |last: &IndexEntry| encode(&[INDEX, last.peer.as_str(), last.file.path.as_str()]),
    ))
}
