//! Check that an account claims only one content per hash: one kind, size and number of files. Each
//! further claim adds work to every lookup of the hash.

use convite_core::model::FileEntry;

use super::connections::Connection;
use crate::error::DbResult;
use crate::incoming;
use crate::stored::kind_number;

/// Rejects `files`, which a peer has just stored, if its account now claims two contents for one
/// of their hashes. Checks all files of the account's peers. During a full publication (`whole`), only
/// files of the current attempt count for this peer; an older size may remain until the publication
/// ends.
pub(super) async fn one_each(
    db: &Connection,
    peer: i64,
    files: &[FileEntry],
    whole: Option<i64>,
) -> DbResult<()> {
    let hashes: Vec<&[u8]> = files.iter().map(|f| f.hash.as_bytes().as_slice()).collect();
    let sizes: Vec<i64> = files.iter().map(|f| f.size as i64).collect();
    let numbers: Vec<i64> = files.iter().map(|f| f.files as i64).collect();
    let kinds: Vec<i64> = files.iter().map(|f| kind_number(f.kind)).collect();
    let rows = db
        .rows(
            "SELECT DISTINCT g.hash
             FROM unnest($1::BYTEA[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[])
                 AS g (hash, kind, size, files)
             WHERE (SELECT 1 FROM contents c WHERE c.hash = g.hash
                        AND (c.kind, c.size, c.files) < (g.kind, g.size, g.files) LIMIT 1)
                     IS NOT NULL
                 OR (SELECT 1 FROM contents c WHERE c.hash = g.hash
                        AND (c.kind, c.size, c.files) > (g.kind, g.size, g.files) LIMIT 1)
                     IS NOT NULL",
            &[&hashes, &kinds, &sizes, &numbers],
        )
        .await?;
    let contested = rows.iter().map(|row| row.try_get(0));
    let contested: Vec<&[u8]> = contested.collect::<Result<_, _>>()?;
    if contested.is_empty() {
        return Ok(());
    }
    let lying = db
        .row(
            "WITH lie (space) AS (
                 SELECT 0 UNION SELECT space FROM memberships
                     WHERE account = (SELECT account FROM peers WHERE id = $2)
             ), own (peer) AS MATERIALIZED (
                 SELECT id FROM peers WHERE account = (SELECT account FROM peers WHERE id = $2)
             )
             SELECT g.hash FROM unnest($1::BYTEA[]) AS g (hash)
             CROSS JOIN LATERAL (SELECT id FROM contents WHERE hash = g.hash OFFSET 0) c
             CROSS JOIN LATERAL (
                 SELECT count(*) AS files, count(*) FILTER (WHERE n.named) AS named FROM (
                     SELECT own.peer <> $2 OR $3::BIGINT IS NULL OR (
                         SELECT 1 FROM files WHERE content = c.id AND space = lie.space
                             AND peer = own.peer AND attempt = $3 LIMIT 1) IS NOT NULL AS named
                     FROM own CROSS JOIN lie CROSS JOIN LATERAL (
                         SELECT 1 FROM files WHERE content = c.id AND space = lie.space
                             AND peer = own.peer LIMIT 1
                     ) f
                 ) n
             ) k
             WHERE k.files > 0 GROUP BY g.hash
             HAVING count(*) > 2 OR count(*) FILTER (WHERE k.named > 0) > 1 LIMIT 1",
            &[&contested, &peer, &whole],
        )
        .await?;
    match lying {
        Some(row) => Err(incoming::two_claims(row.try_get(0)?)),
        None => Ok(()),
    }
}
