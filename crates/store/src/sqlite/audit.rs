//! The audit log.

use async_trait::async_trait;
use convite_core::administration::{AuditRecord, Outcome as Ended};
use convite_core::model::Page;
use convite_core::{Problem, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use super::SqliteStore;
use super::failure::Outcome;
use super::peers::unsigned;
use crate::cursor;
use crate::stored::{damaged, user_name};
use crate::{AUDIT_LINES_MAX, AUDIT_WINDOW, Audit, AuditEntry};

/// Writes a line, or adds to one: see [`Audit::record`].
pub(super) fn record(db: &Connection, entry: &AuditEntry) -> Outcome<()> {
    let actor = entry.actor.as_ref().map_or("", |actor| actor.as_str());
    let address = entry.address.map(|address| address.to_string());
    let address = address.unwrap_or_default();
    if entry.outcome == Ended::Done {
        return insert(db, entry, actor, &entry.target, &address);
    }
    if add(db, entry, actor, &entry.target, &address)? {
        return Ok(());
    }
    let lines: i64 = db
        .prepare_cached("SELECT count(*) FROM audit WHERE outcome <> 'done' AND at > ?")?
        .query_row([window(entry)], |row| row.get(0))?;
    if unsigned(lines)? < AUDIT_LINES_MAX {
        return insert(db, entry, actor, &entry.target, &address);
    }
    if add(db, entry, "", "", "")? {
        return Ok(());
    }
    insert(db, entry, "", "", "")
}

fn window(entry: &AuditEntry) -> i64 {
    entry.at.0.saturating_sub(AUDIT_WINDOW)
}

/// Adds to a line of the window; returns whether there is one.
fn add(
    db: &Connection,
    entry: &AuditEntry,
    actor: &str,
    target: &str,
    address: &str,
) -> Outcome<bool> {
    let line: Option<i64> = db
        .prepare_cached(
            "SELECT id FROM audit WHERE outcome <> 'done' AND at > ? AND outcome = ? AND action = ?
                 AND actor = ? AND target = ? AND address = ? LIMIT 1",
        )?
        .query_row(
            params![
                window(entry),
                entry.outcome.name(),
                entry.action.name(),
                actor,
                target,
                address
            ],
            |row| row.get(0),
        )
        .optional()?;
    let Some(line) = line else {
        return Ok(false);
    };
    db.prepare_cached("UPDATE audit SET times = times + 1, last = max(last, ?) WHERE id = ?")?
        .execute(params![entry.at.0, line])?;
    Ok(true)
}

fn insert(
    db: &Connection,
    entry: &AuditEntry,
    actor: &str,
    target: &str,
    address: &str,
) -> Outcome<()> {
    db.prepare_cached(
        "INSERT INTO audit (at, last, times, actor, action, target, address, outcome)
         VALUES (?1, ?1, 1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        entry.at.0,
        actor,
        entry.action.name(),
        target,
        address,
        entry.outcome.name()
    ])?;
    Ok(())
}

fn audit(db: &Connection, limit: u32, cursor: Option<&str>) -> Outcome<Page<AuditRecord>> {
    let limit = limit.max(1);
    let before = cursor::after(cursor, cursor::AUDIT, |id| id.parse::<i64>().is_ok())?;
    let before: i64 = before.parse().unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(
        "SELECT id, at, last, times, actor, action, target, address, outcome FROM audit
         WHERE id < ? ORDER BY id DESC LIMIT ?",
    )?;
    let mut rows = statement.query(params![before, i64::from(limit) + 1])?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |column| row.get::<_, String>(column);
        let (actor, action, address, outcome) = (text(4)?, text(5)?, text(7)?, text(8)?);
        let some = |text: String| (!text.is_empty()).then_some(text);
        let record = AuditRecord {
            at: UnixMillis(row.get(1)?).seconds(),
            last: UnixMillis(row.get(2)?).seconds(),
            times: unsigned(row.get(3)?)?,
            actor: match some(actor) {
                None => None,
                Some(actor) => Some(user_name(&actor)?),
            },
            action: action.parse().map_err(|_| damaged("an act"))?,
            target: text(6)?,
            address: match some(address) {
                None => None,
                Some(address) => Some(address.parse().map_err(|_| damaged("an address"))?),
            },
            outcome: outcome.parse().map_err(|_| damaged("an outcome"))?,
        };
        lines.push((row.get::<_, i64>(0)?, record));
    }
    let page = cursor::page(lines, limit as usize, |(id, _)| {
        cursor::encode(&[cursor::AUDIT, &id.to_string()])
    });
    Ok(Page {
        items: page.items.into_iter().map(|(_, record)| record).collect(),
        next_cursor: page.next_cursor,
    })
}

/// Forgets all lines but the newest `keep`, and those from before `oldest`.
pub(super) fn sweep(db: &Connection, keep: u64, oldest: i64) -> Outcome<()> {
    let keep = i64::try_from(keep).unwrap_or(i64::MAX);
    db.prepare_cached(
        "DELETE FROM audit WHERE last < ?1 OR id <= (SELECT max(id) FROM audit) - ?2",
    )?
    .execute(params![oldest, keep])?;
    Ok(())
}

#[async_trait]
impl Audit for SqliteStore {
    async fn record(&self, entry: &AuditEntry) -> Result<(), Problem> {
        let entry = entry.clone();
        self.writer.write(move |db| record(db, &entry)).await
    }

    async fn audit(&self, limit: u32, cursor: Option<&str>) -> Result<Page<AuditRecord>, Problem> {
        let cursor = cursor.map(str::to_owned);
        self.readers
            .read_long(move |db| audit(db, limit, cursor.as_deref()))
            .await
    }
}
