//! Deletion of expired rows, and counts. Every replica sweeps; rows that another has deleted are
//! skipped.

use async_trait::async_trait;
use convite_core::{Problem, UnixMillis};

use super::{audit, files, links, loads, swarm, wrong_times};
use crate::database::{Access, Backend, Database};
use crate::error::{DbError, DbResult};
use crate::tables::removals;
use crate::upkeep::{REMEMBERED, SWEPT, time_from};
use crate::{AUDIT_KEPT, AUDIT_MAX, Load, Totals, Upkeep};

async fn sweep(db: &mut impl Database, keep_changes: u64, now: UnixMillis) -> DbResult<()> {
    // The clock may have been wrong since the last sweep, for too short a time to be noticed.
    if let Some(swept) = last_sweep(db).await? {
        wrong_times::correct_past(db, swept, now).await?;
    }
    let forgotten = now.0.saturating_sub(REMEMBERED);
    for sql in [
        "DELETE FROM sessions WHERE expires <= $1",
        "DELETE FROM invites WHERE expires <= $1",
    ] {
        db.execute(sql, &[&forgotten]).await?;
    }
    swarm::sweep(db, forgotten).await?;
    let sql = "DELETE FROM peers WHERE transient AND lease <= $1";
    db.execute(sql, &[&now]).await?;
    audit::sweep(db, AUDIT_MAX, now.0.saturating_sub(AUDIT_KEPT)).await?;
    links::sweep(db, now).await?;
    loads::sweep(db, now).await?;
    db.sweep_own_tables().await?;
    let keep = i64::try_from(keep_changes).unwrap_or(i64::MAX);
    let last = db.last_change().await?.saturating_sub(keep);
    db.execute("DELETE FROM changes WHERE seq <= $1", &[&last])
        .await?;
    set_mark(db, SWEPT, &now.0.to_string().into_bytes()).await
}

async fn mark(db: &mut impl Database, name: &str) -> DbResult<Option<Vec<u8>>> {
    db.value("SELECT value FROM marks WHERE name = $1", &[&name])
        .await
}

async fn set_mark(db: &mut impl Database, name: &str, value: &Vec<u8>) -> DbResult<()> {
    db.execute(
        "INSERT INTO marks (name, value) VALUES ($1, $2)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        &[&name, value],
    )
    .await?;
    Ok(())
}

async fn last_sweep(db: &mut impl Database) -> DbResult<Option<UnixMillis>> {
    let noted = mark(db, SWEPT).await?;
    Ok(noted.as_deref().and_then(time_from))
}

async fn mend_times(db: &mut impl Database, now: UnixMillis) -> DbResult<()> {
    if let Some(swept) = last_sweep(db).await? {
        wrong_times::correct_past(db, swept, now).await?;
    }
    wrong_times::correct_future(db, now).await
}

async fn totals(db: &mut impl Database, now: UnixMillis) -> DbResult<Totals> {
    let row = db
        .row(
            "SELECT (SELECT count(*) FROM accounts WHERE NOT disabled),
                 (SELECT count(*) FROM peers
                  WHERE NOT transient AND NOT departed AND lease > $1),
                 (SELECT CAST(coalesce(sum(files), 0) AS BIGINT) FROM peer_files),
                 (SELECT count(*) FROM sessions WHERE expires > $1)",
            &[&now],
        )
        .await?;
    let row = row.ok_or(DbError::Damaged("the counts"))?;
    Ok(Totals {
        accounts: row.get(0)?,
        peers: row.get(1)?,
        files: row.get(2)?,
        sessions: row.get(3)?,
    })
}

#[async_trait]
impl<B: Backend> Upkeep for B {
    async fn sweep(&self, keep_changes: u64, now: UnixMillis) -> Result<(), Problem> {
        self.run(Access::WriteAlways, (), move |db, ()| {
            Box::pin(sweep(db, keep_changes, now))
        })
        .await?;
        self.finish_removals().await
    }

    async fn finish_removals(&self) -> Result<(), Problem> {
        let pending = self
            .run(Access::LongRead, (), |db, ()| {
                Box::pin(removals::pending(db))
            })
            .await?;
        for removal in pending {
            let mut from = Some(String::new());
            while let Some(key) = from {
                from = self
                    .run(Access::WriteAlways, key, move |db, key| {
                        Box::pin(files::remove_batch(db, removal, key))
                    })
                    .await?;
            }
        }
        self.run(Access::WriteAlways, (), |db, ()| {
            Box::pin(removals::delete_removed_peers(db))
        })
        .await
    }

    async fn last_sweep(&self) -> Result<Option<UnixMillis>, Problem> {
        self.run(Access::Read, (), |db, ()| Box::pin(last_sweep(db)))
            .await
    }

    async fn mend_times(&self, now: UnixMillis) -> Result<(), Problem> {
        self.run(Access::WriteAlways, (), move |db, ()| {
            Box::pin(mend_times(db, now))
        })
        .await
    }

    async fn mark(&self, name: &str) -> Result<Option<Vec<u8>>, Problem> {
        self.run(Access::Read, name.to_owned(), |db, name| {
            Box::pin(mark(db, name))
        })
        .await
    }

    async fn set_mark(&self, name: &str, value: &[u8]) -> Result<(), Problem> {
        let input = (name.to_owned(), value.to_vec());
        self.run(Access::WriteAlways, input, |db, (name, value)| {
            Box::pin(set_mark(db, name, value))
        })
        .await
    }

    async fn totals(&self, now: UnixMillis) -> Result<Totals, Problem> {
        self.run(Access::Read, (), move |db, ()| Box::pin(totals(db, now)))
            .await
    }

    async fn check_writable(&self, now: UnixMillis) -> Result<(), Problem> {
        self.run(Access::WriteAlways, (), move |db, ()| {
            Box::pin(db.check_writable(now))
        })
        .await
    }

    fn load(&self) -> Load {
        self.database_load()
    }
}
