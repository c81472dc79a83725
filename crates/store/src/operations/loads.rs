//! Remote fetches.

use async_trait::async_trait;
use convite_core::model::Page;
use convite_core::remote_fetch::{LoadId, LoadReport, LoadSummary};
use convite_core::{PeerId, Problem, UnixMillis};

use crate::cursor;
use crate::database::{Access, Backend, Database, Lock};
use crate::error::{DbError, DbResult};
use crate::incoming::stored;
use crate::loads::{AWAY, show};
use crate::rows::Row;
use crate::stored::terms;
use crate::tables::audit;
use crate::{
    AccountId, AuditEntry, Host, LOAD_KEPT, LOAD_PATIENCE, LOADS_MAX, Loads, NewLoad, OpenLoad,
    PeerKey,
};

/// Query for [`summary`]: the remote fetches of account `$1`, at the time `$2`.
const SUMMARIES: &str = "SELECT l.id, (SELECT name FROM peers WHERE id = l.peer), l.hash, l.name,
         l.size, l.state, l.bytes, l.rate, l.message, l.created, l.touched,
         (SELECT NOT departed AND lease > $2 FROM peers WHERE id = l.peer)
     FROM loads l WHERE l.account = $1";

/// Returns a remote fetch with its creation time in milliseconds.
fn summary(row: &Row, now: UnixMillis) -> DbResult<(LoadSummary, i64)> {
    let (state, message): (String, String) = (row.get(5)?, row.get(8)?);
    let created: i64 = row.get(9)?;
    let load = LoadSummary {
        load: id_from(row.get(0)?),
        peer: row.get(1)?,
        hash: row.get(2)?,
        name: row.get(3)?,
        size: row.get(4)?,
        state: state.parse().map_err(|_| DbError::Damaged("a state"))?,
        bytes: row.get(6)?,
        rate: row.get(7)?,
        message: (!message.is_empty()).then_some(message),
        created_at: UnixMillis(created).seconds(),
    };
    Ok((show(load, row.get(10)?, row.get(11)?, now), created))
}

/// Returns an id in stored form.
fn stored_id(id: LoadId) -> i64 {
    id.0.cast_signed()
}

fn id_from(stored: i64) -> LoadId {
    LoadId(stored.cast_unsigned())
}

async fn host(db: &mut impl Database, peer: &PeerId) -> DbResult<Option<Host>> {
    let row = db
        .row(
            "SELECT p.id, p.account, (SELECT name FROM accounts WHERE id = p.account), p.uploads,
                 p.loads
             FROM peers p WHERE p.name = $1 AND NOT p.transient",
            &[peer],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let (uploads, loads): (String, String) = (row.get(3)?, row.get(4)?);
    Ok(Some(Host {
        key: row.get(0)?,
        account: row.get(1)?,
        user: row.get(2)?,
        terms: terms(&uploads, &loads)?,
    }))
}

async fn create(
    db: &mut impl Database,
    load: &NewLoad,
    entry: &AuditEntry,
    now: UnixMillis,
) -> DbResult<(LoadId, bool)> {
    // Serializes concurrent requests of the same account, so that a duplicate is found.
    let sql = "SELECT 1 FROM accounts WHERE id = $1";
    db.lock(sql, &[&load.account], Lock::NoKeyUpdate).await?;
    let since = now.0.saturating_sub(LOAD_PATIENCE);
    let same = db
        .value(
            "SELECT id FROM loads WHERE peer = $1 AND account = $2 AND hash = $3 AND touched > $4
             AND state IN ('waiting', 'running') LIMIT 1",
            &[&load.peer, &load.account, &load.hash, &since],
        )
        .await?;
    if let Some(id) = same {
        return Ok((id_from(id), false));
    }
    let open: u32 = db
        .count(
            "SELECT count(*) FROM loads WHERE account = $1 AND touched > $2
             AND state IN ('waiting', 'running')",
            &[&load.account, &since],
        )
        .await?;
    if open >= LOADS_MAX {
        return Err(DbError::TooManyFetches);
    }
    db.execute(
        "INSERT INTO loads (id, account, peer, hash, size, name, state, bytes, rate, message,
             created, touched)
         VALUES ($1, $2, $3, $4, $5, $6, 'waiting', 0, 0, '', $7, $7)",
        &[
            &stored_id(load.id),
            &load.account,
            &load.peer,
            &load.hash,
            &stored(load.size, "file size")?,
            &load.name,
            &now,
        ],
    )
    .await?;
    audit::record(db, entry).await?;
    Ok((load.id, true))
}

async fn find(
    db: &mut impl Database,
    account: AccountId,
    load: LoadId,
    now: UnixMillis,
) -> DbResult<Option<LoadSummary>> {
    let sql = format!("{SUMMARIES} AND l.id = $3");
    let row = db.row(&sql, &[&account, &now, &stored_id(load)]).await?;
    let found = row.map(|row| summary(&row, now)).transpose()?;
    Ok(found.map(|(load, _)| load))
}

async fn list(
    db: &mut impl Database,
    account: AccountId,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> DbResult<Page<LoadSummary>> {
    let (created, id) = cursor::before_load(cursor)?;
    let sql = format!(
        "{SUMMARIES} AND (l.created, l.id) < ($3, $4)
         ORDER BY l.created DESC, l.id DESC LIMIT $5"
    );
    let rows = db
        .rows(
            &sql,
            &[&account, &now, &created, &id, &cursor::rows_of(limit)],
        )
        .await?;
    let page = cursor::page_of(
        &rows,
        limit,
        |row| summary(row, now),
        |(load, created)| cursor::of_load(*created, stored_id(load.load)),
    )?;
    Ok(Page {
        items: page.items.into_iter().map(|(load, _)| load).collect(),
        next_cursor: page.next_cursor,
    })
}

async fn open(
    db: &mut impl Database,
    peer: PeerKey,
    limit: u32,
    now: UnixMillis,
) -> DbResult<Vec<OpenLoad>> {
    let rows = db
        .rows(
            "SELECT l.id, l.account, (SELECT name FROM accounts WHERE id = l.account), l.hash,
                 l.size, l.name
             FROM loads l
             WHERE l.peer = $1 AND l.touched > $2 AND l.state IN ('waiting', 'running')
             ORDER BY row_number() OVER (PARTITION BY l.account ORDER BY l.created, l.id),
                 l.created, l.id LIMIT $3",
            &[&peer, &now.0.saturating_sub(LOAD_PATIENCE), &limit],
        )
        .await?;
    let open = rows.iter().map(|row| {
        Ok(OpenLoad {
            id: id_from(row.get(0)?),
            account: row.get(1)?,
            user: row.get(2)?,
            hash: row.get(3)?,
            size: row.get(4)?,
            name: row.get(5)?,
        })
    });
    open.collect()
}

async fn report(
    db: &mut impl Database,
    peer: &PeerId,
    account: AccountId,
    load: LoadId,
    report: &LoadReport,
    now: UnixMillis,
) -> DbResult<AccountId> {
    let requester = db
        .value(
            "UPDATE loads SET state = $1, bytes = $2, rate = $3, message = $4, touched = $5
             WHERE id = $6 AND state IN ('waiting', 'running') AND touched > $7
                 AND peer = (SELECT id FROM peers WHERE name = $8 AND account = $9)
             RETURNING account",
            &[
                &report.state.name(),
                &stored(report.bytes, "number of bytes")?,
                &stored(report.rate, "rate")?,
                &report.message,
                &now,
                &stored_id(load),
                &now.0.saturating_sub(LOAD_PATIENCE),
                peer,
                &account,
            ],
        )
        .await?;
    requester.ok_or(DbError::UnknownFetch(load))
}

/// Deletes remote fetches that finished long ago, and fails those without a report for too long.
pub(super) async fn sweep(db: &mut impl Database, now: UnixMillis) -> DbResult<()> {
    db.execute(
        "UPDATE loads SET state = 'failed', rate = 0, message = $1, touched = $2
         WHERE touched <= $3 AND state IN ('waiting', 'running')",
        &[&AWAY, &now, &now.0.saturating_sub(LOAD_PATIENCE)],
    )
    .await?;
    db.execute(
        "DELETE FROM loads WHERE touched <= $1 AND state IN ('done', 'failed')",
        &[&now.0.saturating_sub(LOAD_KEPT)],
    )
    .await?;
    Ok(())
}

#[async_trait]
impl<B: Backend> Loads for B {
    async fn host(&self, peer: &PeerId) -> Result<Option<Host>, Problem> {
        self.run(Access::Read, peer.clone(), |db, peer| {
            Box::pin(host(db, peer))
        })
        .await
    }

    async fn create_load(
        &self,
        load: &NewLoad,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<(LoadId, bool), Problem> {
        let input = (load.clone(), entry.clone());
        self.run(Access::Write, input, move |db, (load, entry)| {
            Box::pin(create(db, load, entry, now))
        })
        .await
    }

    async fn load_of(
        &self,
        account: AccountId,
        load: LoadId,
        now: UnixMillis,
    ) -> Result<Option<LoadSummary>, Problem> {
        self.run(Access::Read, (), move |db, ()| {
            Box::pin(find(db, account, load, now))
        })
        .await
    }

    async fn loads(
        &self,
        account: AccountId,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<LoadSummary>, Problem> {
        let cursor = cursor.map(str::to_owned);
        self.run(Access::Read, cursor, move |db, cursor| {
            Box::pin(list(db, account, limit, cursor.as_deref(), now))
        })
        .await
    }

    async fn open_loads(
        &self,
        peer: PeerKey,
        limit: u32,
        now: UnixMillis,
    ) -> Result<Vec<OpenLoad>, Problem> {
        self.run(Access::Read, (), move |db, ()| {
            Box::pin(open(db, peer, limit, now))
        })
        .await
    }

    async fn report_load(
        &self,
        peer: &PeerId,
        account: AccountId,
        load: LoadId,
        said: &LoadReport,
        now: UnixMillis,
    ) -> Result<AccountId, Problem> {
        // A lost progress report is followed by another. A final report is repeated only if its
        // answer is lost, so it must be on disk.
        let access = if said.state.is_final() {
            Access::Write
        } else {
            Access::WriteUnsynced
        };
        let input = (peer.clone(), said.clone());
        self.run(access, input, move |db, (peer, said)| {
            Box::pin(report(db, peer, account, load, said, now))
        })
        .await
    }
}
