//! Deletion of contents that no peer shares any more.

use std::collections::BTreeSet;

use super::connections::Connection;
use crate::error::DbResult;

/// Deletes those of `contents` that have no files.
///
/// Never waits for locks, because two transactions that each share what the other removes would
/// deadlock. A content that is locked is left to [`sweep`]; without files it is already treated as
/// deleted.
pub(super) async fn drop_orphans(db: &Connection, contents: &[i64]) -> DbResult<()> {
    // Lock first: the next statement then sees everything committed so far, and no other
    // transaction can start to share these contents before this one ends.
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
             AND (SELECT 1 FROM files f WHERE f.content = c.id LIMIT 1) IS NULL",
            &[&locked],
        )
        .await?;
    }
    if locked.len() < contents.len() {
        let locked: BTreeSet<i64> = locked.into_iter().collect();
        let left = contents.iter().filter(|id| !locked.contains(id));
        let left: Vec<i64> = left.copied().collect();
        db.execute(
            "INSERT INTO orphans (content) SELECT unnest($1::BIGINT[])",
            &[&left],
        )
        .await?;
    }
    Ok(())
}

/// Deletes contents that publications could not delete.
pub(super) async fn sweep(db: &Connection) -> DbResult<()> {
    let rows = db
        .rows("DELETE FROM orphans RETURNING content", &[])
        .await?;
    let contents = rows.iter().map(|row| row.try_get(0));
    let contents: BTreeSet<i64> = contents.collect::<Result<_, _>>()?;
    let contents: Vec<i64> = contents.into_iter().collect();
    if contents.is_empty() {
        Ok(())
    } else {
        drop_orphans(db, &contents).await
    }
}
