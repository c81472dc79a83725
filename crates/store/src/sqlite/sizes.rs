//! Check that an account claims only one content per hash: one kind, size and number of files. Each
//! further claim adds work to every lookup of the hash.

use std::collections::BTreeSet;

use convite_core::ContentHash;
use rusqlite::{Connection, params};

use crate::error::DbResult;
use crate::incoming;

/// Rejects a publication of `hashes` by a peer if its account now claims two contents for one of them.
/// Checks all files of the account's peers. During a full publication (`whole`), only files of the
/// current attempt count for this peer; an older size may remain until the publication ends.
pub(super) fn one_each(
    db: &Connection,
    peer: i64,
    hashes: &BTreeSet<ContentHash>,
    whole: Option<i64>,
) -> DbResult<()> {
    for hash in hashes {
        let (all, named): (i64, i64) = db
            .prepare_cached(
                "WITH lie (space) AS (
                     SELECT 0 UNION SELECT m.space FROM memberships m JOIN peers p
                         ON p.account = m.account WHERE p.id = ?2
                 ), own (peer) AS (
                     SELECT q.id FROM peers p JOIN peers q ON q.account = p.account WHERE p.id = ?2
                 )
                 SELECT count(*), coalesce(sum(EXISTS (
                     SELECT 1 FROM own CROSS JOIN lie CROSS JOIN files f INDEXED BY files_by_content
                         ON f.content = c.id AND f.space = lie.space AND f.peer = own.peer
                     WHERE own.peer <> ?2 OR ?3 IS NULL OR f.attempt = ?3)), 0)
                 FROM contents c WHERE c.hash = ?1 AND EXISTS (
                     SELECT 1 FROM own CROSS JOIN lie CROSS JOIN files f INDEXED BY files_by_content
                         ON f.content = c.id AND f.space = lie.space AND f.peer = own.peer)",
            )?
            .query_row(params![hash.as_bytes(), peer, whole], |row| row.try_into())?;
        if named > 1 || all > 2 {
            return Err(incoming::two_claims(hash.as_bytes()));
        }
    }
    Ok(())
}
