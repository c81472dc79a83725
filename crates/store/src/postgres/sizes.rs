//! No file has two sizes: a peer that names two for one hash makes work for whoever locates it.

use convite_core::model::FileEntry;

use super::connections::Connection;
use super::failure::Outcome;
use crate::incoming;

/// Refuses two sizes of one peer for one of the hashes of `files`, which are put already: of a
/// change in all that it shares, of a whole index in what that has named so far. (Of before
/// there may be one more, which goes in the end.)
pub(super) async fn one_each(
    db: &Connection,
    peer: i64,
    files: &[FileEntry],
    whole: Option<i64>,
) -> Outcome<()> {
    let hashes: Vec<&[u8]> = files.iter().map(|f| f.hash.as_bytes().as_slice()).collect();
    let sizes: Vec<i64> = files.iter().map(|f| f.size as i64).collect();
    let rows = db
        .rows(
            "SELECT DISTINCT g.hash FROM unnest($1::BYTEA[], $2::BIGINT[]) AS g (hash, size)
             WHERE EXISTS (SELECT 1 FROM contents c WHERE c.hash = g.hash AND c.size < g.size)
                 OR EXISTS (SELECT 1 FROM contents c WHERE c.hash = g.hash AND c.size > g.size)",
            &[&hashes, &sizes],
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
                 SELECT 0 UNION SELECT m.space FROM memberships m JOIN peers p
                     ON p.account = m.account WHERE p.id = $2
             )
             SELECT g.hash FROM unnest($1::BYTEA[]) AS g (hash)
             JOIN contents c ON c.hash = g.hash
             CROSS JOIN LATERAL (
                 SELECT count(*) AS files, count(*) FILTER (WHERE n.named) AS named FROM (
                     SELECT $3::BIGINT IS NULL OR f.attempt = $3 AS named
                     FROM lie CROSS JOIN LATERAL (
                         SELECT attempt FROM files WHERE content = c.id AND space = lie.space
                             AND peer = $2 OFFSET 0
                     ) f
                 ) n
             ) k
             WHERE k.files > 0 GROUP BY g.hash
             HAVING count(*) > 2 OR count(*) FILTER (WHERE k.named > 0) > 1 LIMIT 1",
            &[&contested, &peer, &whole],
        )
        .await?;
    match lying {
        Some(row) => Err(incoming::two_sizes(row.try_get(0)?).into()),
        None => Ok(()),
    }
}
