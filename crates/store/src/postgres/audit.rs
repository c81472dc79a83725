//! The audit log.

use async_trait::async_trait;
use convite_core::administration::{AuditRecord, Outcome as Ended};
use convite_core::model::Page;
use convite_core::{Problem, UnixMillis};
use tokio_postgres::Row;

use super::connections::Connection;
use super::failure::Outcome;
use super::peers::unsigned;
use super::{PostgresStore, transaction};
use crate::cursor;
use crate::stored::{damaged, user_name};
use crate::{AUDIT_LINES_MAX, AUDIT_WINDOW, Audit, AuditEntry};

/// Writes a line, or adds to one: see [`Audit::record`].
pub(super) async fn record(db: &Connection, entry: &AuditEntry) -> Outcome<()> {
    let actor = entry.actor.as_ref().map_or("", |actor| actor.as_str());
    let address = entry.address.map(|address| address.to_string());
    let address = address.unwrap_or_default();
    if entry.outcome == Ended::Done {
        return insert(db, entry, actor, &entry.target, &address).await;
    }
    if add(db, entry, actor, &entry.target, &address).await? {
        return Ok(());
    }
    // Two that begin a line at once make two: the bound is no finer than that.
    let row = db
        .one(
            "SELECT count(*) FROM audit WHERE outcome <> 'done' AND at > $1",
            &[&window(entry)],
        )
        .await?;
    if unsigned(row.try_get(0)?)? < AUDIT_LINES_MAX {
        return insert(db, entry, actor, &entry.target, &address).await;
    }
    if add(db, entry, "", "", "").await? {
        return Ok(());
    }
    insert(db, entry, "", "", "").await
}

fn window(entry: &AuditEntry) -> i64 {
    entry.at.0.saturating_sub(AUDIT_WINDOW)
}

/// Adds to a line of the window; returns whether there is one.
async fn add(
    db: &Connection,
    entry: &AuditEntry,
    actor: &str,
    target: &str,
    address: &str,
) -> Outcome<bool> {
    let added = db
        .execute(
            "UPDATE audit SET times = times + 1, last = greatest(last, $2)
             WHERE id = (
                 SELECT id FROM audit WHERE outcome <> 'done' AND at > $1 AND outcome = $3
                     AND action = $4 AND actor = $5 AND target = $6 AND address = $7 LIMIT 1)",
            &[
                &window(entry),
                &entry.at.0,
                &entry.outcome.name(),
                &entry.action.name(),
                &actor,
                &target,
                &address,
            ],
        )
        .await?;
    Ok(added > 0)
}

async fn insert(
    db: &Connection,
    entry: &AuditEntry,
    actor: &str,
    target: &str,
    address: &str,
) -> Outcome<()> {
    db.execute(
        "INSERT INTO audit (at, last, times, actor, action, target, address, outcome)
         VALUES ($1, $1, 1, $2, $3, $4, $5, $6)",
        &[
            &entry.at.0,
            &actor,
            &entry.action.name(),
            &target,
            &address,
            &entry.outcome.name(),
        ],
    )
    .await?;
    Ok(())
}

fn read(row: &Row) -> Outcome<(i64, AuditRecord)> {
    let text = |column| row.try_get::<_, &str>(column);
    let (actor, action, address, outcome) = (text(4)?, text(5)?, text(7)?, text(8)?);
    let record = AuditRecord {
        at: UnixMillis(row.try_get(1)?).seconds(),
        last: UnixMillis(row.try_get(2)?).seconds(),
        times: unsigned(row.try_get(3)?)?,
        actor: match actor {
            "" => None,
            actor => Some(user_name(actor)?),
        },
        action: action.parse().map_err(|_| damaged("an act"))?,
        target: text(6)?.to_owned(),
        address: match address {
            "" => None,
            address => Some(address.parse().map_err(|_| damaged("an address"))?),
        },
        outcome: outcome.parse().map_err(|_| damaged("an outcome"))?,
    };
    Ok((row.try_get(0)?, record))
}

async fn audit(db: &Connection, limit: u32, cursor: Option<&str>) -> Outcome<Page<AuditRecord>> {
    let limit = limit.max(1);
    let before = cursor::after(cursor, cursor::AUDIT, |id| id.parse::<i64>().is_ok())?;
    let before: i64 = before.parse().unwrap_or(i64::MAX);
    let rows = db
        .rows(
            "SELECT id, at, last, times, actor, action, target, address, outcome FROM audit
             WHERE id < $1 ORDER BY id DESC LIMIT $2",
            &[&before, &(i64::from(limit) + 1)],
        )
        .await?;
    let lines = rows.iter().map(read).collect::<Outcome<_>>()?;
    let page = cursor::page(lines, limit as usize, |(id, _): &(i64, AuditRecord)| {
        cursor::encode(&[cursor::AUDIT, &id.to_string()])
    });
    Ok(Page {
        items: page.items.into_iter().map(|(_, record)| record).collect(),
        next_cursor: page.next_cursor,
    })
}

#[async_trait]
impl Audit for PostgresStore {
    async fn record(&self, entry: &AuditEntry) -> Result<(), Problem> {
        transaction!(self, db => record(db, entry))
    }

    async fn audit(&self, limit: u32, cursor: Option<&str>) -> Result<Page<AuditRecord>, Problem> {
        Ok(audit(&self.connections.get().await?, limit, cursor).await?)
    }
}
