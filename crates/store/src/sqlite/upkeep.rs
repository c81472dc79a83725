//! Forgetting what has run out, and counting what is there.

use async_trait::async_trait;
use convite_core::{Problem, UnixMillis};
use rusqlite::Connection;

use super::failure::Outcome;
use super::peers::{self, unsigned};
use super::{SqliteStore, audit, changes, partials};
use crate::upkeep::REMEMBERED;
use crate::{AUDIT_KEPT, AUDIT_MAX, Totals, Upkeep};

pub(super) fn sweep(db: &Connection, keep_changes: u64, now: UnixMillis) -> Outcome<()> {
    let forgotten = now.0.saturating_sub(REMEMBERED);
    db.prepare_cached("DELETE FROM sessions WHERE expires <= ?")?
        .execute([forgotten])?;
    db.prepare_cached("DELETE FROM invites WHERE expires <= ?")?
        .execute([forgotten])?;
    audit::sweep(db, AUDIT_MAX, now.0.saturating_sub(AUDIT_KEPT))?;
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
    })
}

#[async_trait]
impl Upkeep for SqliteStore {
    async fn sweep(&self, keep_changes: u64, now: UnixMillis) -> Result<(), Problem> {
        self.writer
            .write(move |db| sweep(db, keep_changes, now))
            .await
    }

    async fn totals(&self, now: UnixMillis) -> Result<Totals, Problem> {
        self.readers.read(|db| totals(db, now))
    }
}
