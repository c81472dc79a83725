//! No file has two sizes: a peer that names two for one hash makes work for whoever locates it.

use std::collections::BTreeSet;

use convite_core::ContentHash;
use rusqlite::{Connection, params};

use super::failure::Outcome;
use crate::incoming;

/// Refuses two sizes of one peer for one of these hashes: of a change in all that it shares, of a
/// whole index in what that has named so far. (Of before there may be one more, which goes in the
/// end.)
pub(super) fn one_each(
    db: &Connection,
    peer: i64,
    hashes: &BTreeSet<ContentHash>,
    whole: Option<i64>,
) -> Outcome<()> {
    for hash in hashes {
        let (all, named): (i64, i64) = db
            .prepare_cached(
                "WITH lie (space) AS (
                     SELECT 0 UNION SELECT m.space FROM memberships m JOIN peers p
                         ON p.account = m.account WHERE p.id = ?2
                 )
                 SELECT count(*), coalesce(sum(EXISTS (
                     SELECT 1 FROM lie CROSS JOIN files f INDEXED BY files_by_content
                         ON f.content = c.id AND f.space = lie.space AND f.peer = ?2
                     WHERE ?3 IS NULL OR f.attempt = ?3)), 0)
                 FROM contents c WHERE c.hash = ?1 AND EXISTS (
                     SELECT 1 FROM lie CROSS JOIN files f INDEXED BY files_by_content
                         ON f.content = c.id AND f.space = lie.space AND f.peer = ?2)",
            )?
            .query_row(params![hash.as_bytes(), peer, whole], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        if named > 1 || all > 2 {
            return Err(incoming::two_sizes(hash.as_bytes()).into());
        }
    }
    Ok(())
}
