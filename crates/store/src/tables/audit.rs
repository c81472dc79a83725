//! The audit log.

use crate::audit::{Kind, Line, Placed, place};
use crate::database::Database;
use crate::error::DbResult;
use crate::{AUDIT_LINES_MAX, AuditEntry, ROUTINE_LINES_MAX};

/// Writes a line or merges into one: see [`Audit::record`](crate::Audit::record).
pub(crate) async fn record(db: &mut impl Database, entry: &AuditEntry) -> DbResult<()> {
    let actor = entry.actor.as_ref().map_or("", |actor| actor.as_str());
    let address = entry.address.map(|address| address.to_string());
    let address = address.unwrap_or_default();
    match entry.kind() {
        Kind::Administration => return insert(db, entry, actor, &entry.target, &address).await,
        Kind::Routine => return record_routine(db, entry, actor, &address).await,
        Kind::Refused => {}
    }
    if merge(db, entry, actor, &entry.target, &address).await? {
        return Ok(());
    }
    // Two concurrent entries may both start a line, so the limit is not exact.
    let lines: u64 = db
        .count(
            "SELECT count(*) FROM (
                 SELECT at FROM audit WHERE kind = 'refused' ORDER BY id DESC LIMIT 1000) v
             WHERE at > $1",
            &[&entry.window()],
        )
        .await?;
    if lines < AUDIT_LINES_MAX {
        return insert(db, entry, actor, &entry.target, &address).await;
    }
    if merge(db, entry, "", "", "").await? {
        return Ok(());
    }
    insert(db, entry, "", "", "").await
}

async fn record_routine(
    db: &mut impl Database,
    entry: &AuditEntry,
    actor: &str,
    address: &str,
) -> DbResult<()> {
    let rows = db
        .rows(
            "SELECT id, target, address FROM audit
             WHERE actor = $1 AND action = $2 AND outcome = $3 AND at > $4 ORDER BY at LIMIT $5",
            &[
                &actor,
                &entry.action.name(),
                &entry.outcome.name(),
                &entry.window(),
                &(ROUTINE_LINES_MAX as i64 + 1),
            ],
        )
        .await?;
    let lines = rows.iter().map(|row| {
        Ok(Line {
            id: row.get(0)?,
            target: row.get(1)?,
            address: row.get(2)?,
        })
    });
    let lines: Vec<Line> = lines.collect::<DbResult<_>>()?;
    match place(&lines, &entry.target, address) {
        Placed::Added(line) => merge_into(db, entry, line).await,
        Placed::Alone => insert(db, entry, actor, &entry.target, address).await,
        Placed::Beyond => insert(db, entry, actor, "", "").await,
    }
}

/// Merges into a line of the window. Returns whether there is one.
async fn merge(
    db: &mut impl Database,
    entry: &AuditEntry,
    actor: &str,
    target: &str,
    address: &str,
) -> DbResult<bool> {
    let line = db
        .value(
            "SELECT id FROM audit WHERE at > $1 AND outcome = $2 AND action = $3
                 AND actor = $4 AND target = $5 AND address = $6 LIMIT 1",
            &[
                &entry.window(),
                &entry.outcome.name(),
                &entry.action.name(),
                &actor,
                &target,
                &address,
            ],
        )
        .await?;
    let Some(line) = line else {
        return Ok(false);
    };
    merge_into(db, entry, line).await?;
    Ok(true)
}

async fn merge_into(db: &mut impl Database, entry: &AuditEntry, line: i64) -> DbResult<()> {
    db.execute(
        "UPDATE audit SET times = times + 1, last = CASE WHEN last < $2 THEN $2 ELSE last END
         WHERE id = $1",
        &[&line, &entry.at],
    )
    .await?;
    Ok(())
}

async fn insert(
    db: &mut impl Database,
    entry: &AuditEntry,
    actor: &str,
    target: &str,
    address: &str,
) -> DbResult<()> {
    db.execute(
        "INSERT INTO audit (at, last, times, actor, action, target, address, outcome, kind)
         VALUES ($1, $1, 1, $2, $3, $4, $5, $6, $7)",
        &[
            &entry.at,
            &actor,
            &entry.action.name(),
            &target,
            &address,
            &entry.outcome.name(),
            &entry.kind().name(),
        ],
    )
    .await?;
    Ok(())
}
