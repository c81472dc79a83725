//! Forgetting what has run out, and counting what is there. Every replica sweeps; what one has
//! swept the next finds gone.

use async_trait::async_trait;
use convite_core::{Problem, UnixMillis};

use super::connections::Connection;
use super::failure::Outcome;
use super::peers::unsigned;
use super::publish::publication;
use super::{PostgresStore, links, loads, orphans, removals, transaction};
use crate::upkeep::REMEMBERED;
use crate::{AUDIT_KEPT, AUDIT_MAX, Load, Totals, Upkeep};

async fn sweep(db: &Connection, keep_changes: u64, now: UnixMillis) -> Outcome<()> {
    let forgotten = now.0.saturating_sub(REMEMBERED);
    for sql in [
        "DELETE FROM sessions WHERE expires <= $1",
        "DELETE FROM invites WHERE expires <= $1",
        "DELETE FROM partials WHERE peer IN (SELECT id FROM peers WHERE lease <= $1)",
    ] {
        db.execute(sql, &[&forgotten]).await?;
    }
    db.execute(
        "DELETE FROM peers WHERE transient AND lease <= $1",
        &[&now.0],
    )
    .await?;
    db.execute(
        "DELETE FROM audit WHERE last < $1 OR id <= (SELECT max(id) FROM audit) - $2",
        &[&now.0.saturating_sub(AUDIT_KEPT), &(AUDIT_MAX as i64)],
    )
    .await?;
    links::sweep(db, now).await?;
    loads::sweep(db, now).await?;
    orphans::sweep(db).await?;
    let keep = i64::try_from(keep_changes).unwrap_or(i64::MAX);
    db.execute(
        "DELETE FROM changes WHERE seq <= (SELECT position FROM change_log) - $1",
        &[&keep],
    )
    .await?;
    Ok(())
}

async fn totals(db: &Connection, now: UnixMillis) -> Outcome<Totals> {
    let row = db
        .one(
            "SELECT (SELECT count(*) FROM accounts WHERE NOT disabled),
                 (SELECT count(*) FROM peers
                  WHERE NOT transient AND NOT departed AND lease > $1),
                 (SELECT coalesce(sum(files), 0)::BIGINT FROM peer_files),
                 (SELECT count(*) FROM sessions WHERE expires > $1)",
            &[&now.0],
        )
        .await?;
    Ok(Totals {
        accounts: unsigned(row.try_get(0)?)?,
        peers: unsigned(row.try_get(1)?)?,
        files: unsigned(row.try_get(2)?)?,
        sessions: unsigned(row.try_get(3)?)?,
    })
}

/// A server that only reads, such as a standby, refuses this whether or not there is such a row.
async fn check_writable(db: &Connection) -> Outcome<()> {
    db.execute(
        "UPDATE accounts SET disabled = disabled WHERE id = (SELECT min(id) FROM accounts)",
        &[],
    )
    .await?;
    Ok(())
}

#[async_trait]
impl Upkeep for PostgresStore {
    async fn sweep(&self, keep_changes: u64, now: UnixMillis) -> Result<(), Problem> {
        let swept: Result<(), Problem> = transaction!(self, db => sweep(db, keep_changes, now));
        swept?;
        self.finish_removals().await
    }

    async fn finish_removals(&self) -> Result<(), Problem> {
        let all = removals::leaving(&self.connections.get().await?).await?;
        for leaving in all {
            let mut from = Some(String::new());
            while let Some(key) = from {
                let next: Result<Option<String>, Problem> =
                    publication!(self, db => removals::take_some(db, leaving, &key));
                from = next?;
            }
        }
        transaction!(self, db => removals::forget_peers(db))
    }

    async fn totals(&self, now: UnixMillis) -> Result<Totals, Problem> {
        Ok(totals(&self.connections.get().await?, now).await?)
    }

    async fn check_writable(&self, _now: UnixMillis) -> Result<(), Problem> {
        transaction!(self, db => check_writable(db))
    }

    fn load(&self) -> Load {
        self.connections.load()
    }
}
