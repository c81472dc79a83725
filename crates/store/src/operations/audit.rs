//! The audit log.

use async_trait::async_trait;
use convite_core::administration::AuditRecord;
use convite_core::model::Page;
use convite_core::{Problem, UnixMillis};

use crate::audit::Kind;
use crate::cursor;
use crate::database::{Access, Backend, Database};
use crate::error::{DbError, DbResult};
use crate::rows::Row;
use crate::tables::audit;
use crate::{Audit, AuditEntry};

/// Lines of kind `$1` that are older than `$2`, of the oldest thousand. A merged line is newer than
/// its position suggests, and is deleted once it is old enough itself.
const OLD: &str = "kind = $1 AND last < $2 AND id <= (
     SELECT max(id) FROM (SELECT id FROM audit WHERE kind = $1 ORDER BY id LIMIT 1000) a)";

/// Deletes per kind all lines except the newest `keep`, and lines last changed before `oldest`.
pub(super) async fn sweep(db: &mut impl Database, keep: u64, oldest: i64) -> DbResult<()> {
    let keep = i64::try_from(keep).unwrap_or(i64::MAX);
    for kind in Kind::ALL {
        db.execute(
            "DELETE FROM audit WHERE kind = $1 AND id <= (
                 SELECT id FROM audit WHERE kind = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
            &[&kind.name(), &keep],
        )
        .await?;
        let sql = format!("DELETE FROM audit WHERE {OLD}");
        db.execute(&sql, &[&kind.name(), &oldest]).await?;
    }
    Ok(())
}

/// Treats lines that [`sweep`] would have deleted as new.
pub(super) async fn renew_old(
    db: &mut impl Database,
    oldest: i64,
    now: UnixMillis,
) -> DbResult<()> {
    for kind in Kind::ALL {
        let sql = format!("UPDATE audit SET last = $3 WHERE {OLD}");
        db.execute(&sql, &[&kind.name(), &oldest, &now]).await?;
    }
    Ok(())
}

/// Returns a line with its number.
fn line(row: &Row) -> DbResult<(i64, AuditRecord)> {
    let text = |column| row.get::<String>(column);
    let (actor, address) = (text(4)?, text(7)?);
    let record = AuditRecord {
        at: row.get::<UnixMillis>(1)?.seconds(),
        last: row.get::<UnixMillis>(2)?.seconds(),
        times: row.get(3)?,
        actor: if actor.is_empty() {
            None
        } else {
            Some(row.get(4)?)
        },
        action: text(5)?
            .parse()
            .map_err(|_| DbError::Damaged("an action"))?,
        target: text(6)?,
        address: if address.is_empty() {
            None
        } else {
            Some(
                address
                    .parse()
                    .map_err(|_| DbError::Damaged("an address"))?,
            )
        },
        outcome: text(8)?
            .parse()
            .map_err(|_| DbError::Damaged("an outcome"))?,
    };
    Ok((row.get(0)?, record))
}

async fn list(
    db: &mut impl Database,
    limit: u32,
    cursor: Option<&str>,
) -> DbResult<Page<AuditRecord>> {
    let before = cursor::after(cursor, cursor::AUDIT, |id| id.parse::<i64>().is_ok())?;
    let before: i64 = before.parse().unwrap_or(i64::MAX);
    let rows = db
        .rows(
            "SELECT id, at, last, times, actor, action, target, address, outcome FROM audit
             WHERE id < $1 ORDER BY id DESC LIMIT $2",
            &[&before, &cursor::rows_of(limit)],
        )
        .await?;
    let page = cursor::page_of(&rows, limit, line, |(id, _)| {
        cursor::encode(&[cursor::AUDIT, &id.to_string()])
    })?;
    Ok(Page {
        items: page.items.into_iter().map(|(_, record)| record).collect(),
        next_cursor: page.next_cursor,
    })
}

#[async_trait]
impl<B: Backend> Audit for B {
    async fn record(&self, entry: &AuditEntry) -> Result<(), Problem> {
        self.run(Access::WriteAlways, entry.clone(), |db, entry| {
            Box::pin(audit::record(db, entry))
        })
        .await
    }

    async fn audit(&self, limit: u32, cursor: Option<&str>) -> Result<Page<AuditRecord>, Problem> {
        let cursor = cursor.map(str::to_owned);
        self.run(Access::LongRead, cursor, move |db, cursor| {
            Box::pin(list(db, limit, cursor.as_deref()))
        })
        .await
    }
}
