//! Forgetting what has run out, and counting what is there.

use async_trait::async_trait;
use convite_core::{Problem, UnixMillis};
use rusqlite::Connection;

use super::failure::Outcome;
use super::peers::{self, unsigned};
use super::{SqliteStore, audit, changes, links, loads, partials, removals};
use crate::upkeep::REMEMBERED;
use crate::{AUDIT_KEPT, AUDIT_MAX, Load, Totals, Upkeep};

pub(super) fn sweep(db: &Connection, keep_changes: u64, now: UnixMillis) -> Outcome<()> {
    let forgotten = now.0.saturating_sub(REMEMBERED);
    db.prepare_cached("DELETE FROM sessions WHERE expires <= ?")?
        .execute([forgotten])?;
    db.prepare_cached("DELETE FROM invites WHERE expires <= ?")?
        .execute([forgotten])?;
    audit::sweep(db, AUDIT_MAX, now.0.saturating_sub(AUDIT_KEPT))?;
    links::sweep(db, now)?;
    loads::sweep(db, now)?;
    partials::sweep(db, forgotten)?;
    peers::forget_lapsed(db, now)?;
    let keep = i64::try_from(keep_changes).unwrap_or(i64::MAX);
    db.prepare_cached("DELETE FROM changes WHERE seq <= ?")?
        .execute([changes::last(db)?.saturating_sub(keep)])?;
    Ok(())
}

pub(super) fn totals(db: &Connection, now: UnixMillis) -> Outcome<Totals> {
    let count = |sql: &str, now: &[i64]| -> Outcome<u64> {
        unsigned(
            db.prepare_cached(sql)?
                .query_row(rusqlite::params_from_iter(now), |row| row.get(0))?,
        )
    };
    Ok(Totals {
        accounts: count("SELECT count(*) FROM accounts WHERE disabled = 0", &[])?,
        peers: count(
            "SELECT count(*) FROM peers WHERE transient = 0 AND departed = 0 AND lease > ?",
            &[now.0],
        )?,
        files: count("SELECT coalesce(sum(files), 0) FROM peer_files", &[])?,
        sessions: count("SELECT count(*) FROM sessions WHERE expires > ?", &[now.0])?,
    })
}

/// Notes the time in the file's header, in a field that SQLite leaves to programs and this one has
/// no other use for. (An update that leaves a row as it is would write nothing.)
fn check_writable(db: &Connection, now: UnixMillis) -> Outcome<()> {
    let version = now.0 / 1000 % i64::from(i32::MAX);
    db.pragma_update(None, "user_version", version)?;
    Ok(())
}

#[async_trait]
impl Upkeep for SqliteStore {
    async fn sweep(&self, keep_changes: u64, now: UnixMillis) -> Result<(), Problem> {
        self.writer
            .write(move |db| sweep(db, keep_changes, now))
            .await?;
        self.finish_removals().await
    }

    async fn finish_removals(&self) -> Result<(), Problem> {
        let all = self.readers.read_long(|db| removals::leaving(db)).await?;
        for leaving in all {
            let mut from = Some(String::new());
            while let Some(path) = from {
                from = self
                    .writer
                    .write(move |db| removals::take_some(db, leaving, &path))
                    .await?;
            }
        }
        self.writer.write(removals::forget_peers).await
    }

    async fn totals(&self, now: UnixMillis) -> Result<Totals, Problem> {
        self.readers.read(|db| totals(db, now))
    }

    async fn check_writable(&self, now: UnixMillis) -> Result<(), Problem> {
        self.writer.write(move |db| check_writable(db, now)).await
    }

    fn load(&self) -> Load {
        let (open, busy) = self.readers.in_use();
        let written = self.writer.written();
        Load {
            // The one that writes is always open.
            connections: open + 1,
            busy: busy + u64::from(written.is_writing),
            queued: written.queued,
            transactions: written.transactions,
            transaction_time: written.time,
        }
    }
}
