//! Contents that nobody shares any more.

use std::collections::BTreeSet;

use super::connections::Connection;
use super::failure::Outcome;

/// Drops those of these contents that have no files.
///
/// Waits for nobody: two that each share what the other gives up would wait for each other. What
/// somebody else is at is left to [`sweep`], and passes for gone as soon as it has no files.
pub(super) async fn drop_orphans(db: &Connection, contents: &[i64]) -> Outcome<()> {
    // Locked first: the next statement sees what was committed by then, and until this transaction
    // ends nobody begins to share them.
    let rows = db
        .rows(
            "SELECT id FROM contents WHERE id = ANY ($1) FOR UPDATE SKIP LOCKED",
            &[&contents],
        )
        .await?;
    let locked: Vec<i64> = rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?;
    if !locked.is_empty() {
        db.execute(
            "DELETE FROM contents c WHERE c.id = ANY ($1)
             AND NOT EXISTS (SELECT 1 FROM files f WHERE f.content = c.id)",
            &[&locked],
        )
        .await?;
    }
    if locked.len() < contents.len() {
        db.execute(
            "INSERT INTO orphans (content)
             SELECT g.id FROM unnest($1::BIGINT[]) AS g (id) WHERE g.id <> ALL ($2)",
            &[&contents, &locked],
        )
        .await?;
    }
    Ok(())
}

/// Drops what publications left behind.
pub(super) async fn sweep(db: &Connection) -> Outcome<()> {
    let rows = db
        .rows("DELETE FROM orphans RETURNING content", &[])
        .await?;
    let contents = rows.iter().map(|row| row.try_get(0));
    let contents: BTreeSet<i64> = contents.collect::<Result<_, _>>()?;
    let contents: Vec<i64> = contents.into_iter().collect();
    match contents.is_empty() {
        true => Ok(()),
        false => drop_orphans(db, &contents).await,
    }
}
