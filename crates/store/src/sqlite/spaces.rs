//! Spaces of files.

use std::collections::{BTreeSet, HashMap};

use convite_core::{PeerId, SpaceName};
use rusqlite::{Connection, OptionalExtension, params};

use crate::Viewer;
use crate::error::{DbError, DbResult};
use crate::stored::space_name;

/// Returns the numbers of the visible spaces, for `IN (SELECT value FROM json_each(?))`.
pub(super) fn seen(viewer: &Viewer) -> String {
    let spaces: Vec<_> = viewer.spaces().iter().map(|s| s.0.to_string()).collect();
    format!("[{}]", spaces.join(","))
}

/// Returns the names of those of `spaces` that have one, sorted.
pub(super) fn names(db: &Connection, spaces: &BTreeSet<i64>) -> DbResult<Vec<SpaceName>> {
    let mut find = db.prepare_cached("SELECT name FROM spaces WHERE id = ?")?;
    let mut names = Vec::new();
    for space in spaces {
        let found: Option<String> = find.query_row([space], |row| row.get(0)).optional()?;
        if let Some(text) = found {
            names.push(space_name(&text)?);
        }
    }
    names.sort();
    Ok(names)
}

/// Returns for each peer the spaces that the viewer sees and its account belongs to.
pub(super) fn common(
    db: &Connection,
    viewer: &Viewer,
    peers: &[&PeerId],
) -> DbResult<HashMap<PeerId, Vec<SpaceName>>> {
    let mut statement = db.prepare_cached(
        "SELECT s.name FROM peers p CROSS JOIN json_each(?2) v
             CROSS JOIN memberships m ON m.account = p.account AND m.space = v.value
             CROSS JOIN spaces s ON s.id = m.space
         WHERE p.name = ?1 ORDER BY s.name",
    )?;
    let seen = seen(viewer);
    let mut common = HashMap::<_, Vec<_>>::new();
    for peer in peers {
        let mut rows = statement.query(params![peer.as_str(), seen])?;
        while let Some(row) = rows.next()? {
            let name = space_name(&row.get::<_, String>(0)?)?;
            common.entry((*peer).clone()).or_default().push(name);
        }
    }
    Ok(common)
}

/// Returns the number of a space that an account can publish to. The error is the same for a space
/// that does not exist and for one that the account is not a member of.
pub(super) fn writable(db: &Connection, space: &SpaceName, account: i64) -> DbResult<i64> {
    let key = db
        .prepare_cached(
            "SELECT s.id FROM spaces s JOIN memberships m ON m.space = s.id
             WHERE s.name = ? AND m.account = ?",
        )?
        .query_row(params![space.as_str(), account], |row| row.get(0))
        .optional()?;
    key.ok_or_else(|| DbError::CallerNotMember(space.clone()))
}
