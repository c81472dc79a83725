//! Spaces of files.

use std::collections::{BTreeSet, HashMap};

use convite_core::{PeerId, SpaceName};

use super::connections::Connection;
use crate::Viewer;
use crate::error::{DbError, DbResult};
use crate::stored::{peer_id, space_name};

/// Returns the numbers of the visible spaces, for `= ANY ($n)`.
pub(super) fn seen(viewer: &Viewer) -> Vec<i64> {
    viewer.spaces().iter().map(|space| space.0).collect()
}

/// Returns the names of those of `spaces` that have one, by number.
pub(super) async fn names(
    db: &Connection,
    spaces: &BTreeSet<i64>,
) -> DbResult<HashMap<i64, SpaceName>> {
    if spaces.is_empty() {
        return Ok(HashMap::new());
    }
    let spaces: Vec<i64> = spaces.iter().copied().collect();
    let rows = db
        .rows(
            "SELECT id, name FROM spaces WHERE id = ANY ($1)",
            &[&spaces],
        )
        .await?;
    let named = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, space_name(row.try_get(1)?)?)));
    named.collect()
}

/// Returns for each peer the spaces that the viewer sees and its account belongs to.
pub(super) async fn common(
    db: &Connection,
    viewer: &Viewer,
    peers: &[&PeerId],
) -> DbResult<HashMap<PeerId, Vec<SpaceName>>> {
    let names: Vec<&str> = peers.iter().map(|peer| peer.as_str()).collect();
    let rows = db
        .rows(
            "SELECT g.name, s.name FROM unnest($1::TEXT[]) AS g (name)
             CROSS JOIN LATERAL (SELECT account FROM peers WHERE name = g.name LIMIT 1) p
             CROSS JOIN unnest($2::BIGINT[]) AS v (space)
             CROSS JOIN LATERAL (
                 SELECT space FROM memberships
                 WHERE account = p.account AND space = v.space LIMIT 1) m
             CROSS JOIN LATERAL (SELECT name FROM spaces WHERE id = m.space LIMIT 1) s
             ORDER BY s.name",
            &[&names, &seen(viewer)],
        )
        .await?;
    let mut common = HashMap::<_, Vec<_>>::new();
    for row in &rows {
        let of_peer = common.entry(peer_id(row.try_get(0)?)?).or_default();
        of_peer.push(space_name(row.try_get(1)?)?);
    }
    Ok(common)
}

/// Returns the number of a space that the account of a peer can publish to. The error is the same
/// for a space that does not exist and for one that the account is not a member of.
pub(super) async fn writable(db: &Connection, space: &SpaceName, peer: i64) -> DbResult<i64> {
    let row = db
        .row(
            "SELECT space FROM memberships
             WHERE account = (SELECT account FROM peers WHERE id = $2)
                 AND space = (SELECT id FROM spaces WHERE name = $1)
             FOR SHARE",
            &[&space.as_str(), &peer],
        )
        .await?;
    let row = row.ok_or_else(|| DbError::CallerNotMember(space.clone()))?;
    Ok(row.try_get(0)?)
}
