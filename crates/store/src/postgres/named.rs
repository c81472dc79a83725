//! Lookup of contents by an exact name or path: see `sqlite/named.rs`.

use std::collections::BTreeMap;

use convite_core::{PeerId, UnixMillis};

use super::connections::Connection;
use super::{paths, spaces};
use crate::error::DbResult;
use crate::named::name_key;
use crate::{NAMED_MAX, Named, Viewer};

/// Online peers with a file named `$1` in the spaces `$2`, at the time `$3`. One lookup in the name
/// index per peer.
macro_rules! online {
    () => {
        "FROM unnest($2::BIGINT[]) AS v (space) CROSS JOIN LATERAL (
             WITH RECURSIVE steps (peer) AS (
                 (SELECT f.peer FROM files f WHERE f.name = $1 AND f.space = v.space
                  ORDER BY f.peer LIMIT 1)
                 UNION ALL
                 SELECT (SELECT f.peer FROM files f
                         WHERE f.name = $1 AND f.space = v.space AND f.peer > s.peer
                         ORDER BY f.peer LIMIT 1)
                 FROM steps s WHERE s.peer IS NOT NULL
             )
             SELECT peer FROM steps
         ) h CROSS JOIN LATERAL (
             SELECT 1 FROM peers p WHERE p.id = h.peer AND NOT p.departed AND p.lease > $3 LIMIT 1
         ) p"
    };
}

pub(super) async fn named(
    db: &Connection,
    viewer: &Viewer,
    path: &str,
    peer: Option<&PeerId>,
    now: UnixMillis,
) -> DbResult<Named> {
    let (spaces, key) = (spaces::seen(viewer), paths::key(path));
    if let Some(peer) = peer {
        let rows = db
            .rows(
                "SELECT f.content FROM peers p CROSS JOIN LATERAL (
                     SELECT content, space FROM files WHERE peer = p.id AND path = $2 LIMIT 1
                 ) f
                 WHERE p.name = $1 AND NOT p.departed AND p.lease > $3 AND f.space = ANY ($4)",
                &[&peer.as_str(), &key.as_ref(), &now.0, &spaces],
            )
            .await?;
        let found = rows
            .iter()
            .map(|row| Ok((row.try_get(0)?, path.to_owned())));
        return Ok(Named::of(found.collect::<DbResult<_>>()?));
    }
    let name = name_key(path);
    // Without a folder, a path match is the same as a name match.
    if path.contains('/') {
        let rows = db
            .rows(
                concat!(
                    "SELECT DISTINCT f.content ",
                    online!(),
                    " CROSS JOIN LATERAL (
                         SELECT content, space FROM files WHERE peer = h.peer AND path = $4 LIMIT 1
                     ) f
                     WHERE f.space = v.space ORDER BY f.content LIMIT $5"
                ),
                &[
                    &name,
                    &spaces,
                    &now.0,
                    &key.as_ref(),
                    &(NAMED_MAX as i64 + 1),
                ],
            )
            .await?;
        if !rows.is_empty() {
            let found = rows
                .iter()
                .map(|row| Ok((row.try_get(0)?, path.to_owned())));
            return Ok(Named::of(found.collect::<DbResult<_>>()?));
        }
    }
    let rows = db
        .rows(
            concat!(
                "SELECT f.content, min(f.path) ",
                online!(),
                " CROSS JOIN LATERAL (
                     SELECT DISTINCT ON (f.content) f.content, coalesce(f.whole, f.path) AS path
                     FROM files f
                     WHERE f.name = $1 AND f.space = v.space AND f.peer = h.peer
                         AND right('/' || coalesce(f.whole, f.path), length($4::TEXT) + 1)
                             = '/' || $4
                     ORDER BY f.content LIMIT $5
                 ) f
                 GROUP BY f.content ORDER BY f.content LIMIT $5"
            ),
            &[&name, &spaces, &now.0, &path, &(NAMED_MAX as i64 + 1)],
        )
        .await?;
    let found = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    Ok(Named::of(found.collect::<DbResult<BTreeMap<_, _>>>()?))
}
