//! Loads on other peers.

use async_trait::async_trait;
use convite_core::loads::{LoadId, LoadReport, LoadSummary};
use convite_core::model::Page;
use convite_core::{PeerId, Problem, UnixMillis};
use tokio_postgres::Row;

use super::connections::Connection;
use super::failure::Outcome;
use super::partials::hash_from;
use super::peers::{id_from as peer_from, unsigned};
use super::{PostgresStore, audit, transaction};
use crate::cursor;
use crate::incoming::stored;
use crate::loads::{AWAY, show, too_many, unknown};
use crate::stored::{damaged, terms, user_name};
use crate::{
    AccountId, AuditEntry, Host, LOAD_KEPT, LOAD_PATIENCE, LOADS_MAX, Loads, NewLoad, OpenLoad,
    PeerKey,
};

/// What [`summary`] reads: of the loads of account `$1`, with the time in `$2`.
const SUMMARIES: &str = "SELECT l.id, p.name, l.hash, l.name, l.size, l.state, l.bytes, l.rate,
         l.message, l.created, l.touched, NOT p.departed AND p.lease > $2
     FROM loads l JOIN peers p ON p.id = l.peer WHERE l.account = $1";

/// A load, and when it was asked for in milliseconds.
fn summary(row: &Row, now: UnixMillis) -> Outcome<(LoadSummary, i64)> {
    let state: &str = row.try_get(5)?;
    let message: &str = row.try_get(8)?;
    let created: i64 = row.try_get(9)?;
    let load = LoadSummary {
        load: id_from(row.try_get(0)?),
        peer: peer_from(row.try_get(1)?)?,
        hash: hash_from(row.try_get(2)?)?,
        name: row.try_get(3)?,
        size: unsigned(row.try_get(4)?)?,
        state: state.parse().map_err(|_| damaged("a state"))?,
        bytes: unsigned(row.try_get(6)?)?,
        rate: unsigned(row.try_get(7)?)?,
        message: (!message.is_empty()).then(|| message.to_owned()),
        created_at: UnixMillis(created).seconds(),
    };
    Ok((show(load, row.try_get(10)?, row.try_get(11)?, now), created))
}

/// An id as it is stored.
fn stored_id(id: LoadId) -> i64 {
    id.0.cast_signed()
}

fn id_from(stored: i64) -> LoadId {
    LoadId(stored.cast_unsigned())
}

async fn host(db: &Connection, peer: &PeerId) -> Outcome<Option<Host>> {
    let row = db
        .row(
            "SELECT p.id, p.account, a.name, p.uploads, p.loads
             FROM peers p JOIN accounts a ON a.id = p.account
             WHERE p.name = $1 AND NOT p.transient",
            &[&peer.as_str()],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    Ok(Some(Host {
        key: PeerKey(row.try_get(0)?),
        account: AccountId(row.try_get(1)?),
        user: user_name(row.try_get(2)?)?,
        terms: terms(row.try_get(3)?, row.try_get(4)?)?,
    }))
}

async fn create(
    db: &Connection,
    load: &NewLoad,
    entry: &AuditEntry,
    now: UnixMillis,
) -> Outcome<(LoadId, bool)> {
    // Whoever asks for the same at once waits here, and finds it.
    db.one(
        "SELECT 1 FROM accounts WHERE id = $1 FOR NO KEY UPDATE",
        &[&load.account.0],
    )
    .await?;
    let since = now.0.saturating_sub(LOAD_PATIENCE);
    let hash = load.hash.as_bytes().as_slice();
    let same = db
        .row(
            "SELECT id FROM loads WHERE peer = $1 AND account = $2 AND hash = $3 AND touched > $4
             AND state IN ('waiting', 'running') LIMIT 1",
            &[&load.peer.0, &load.account.0, &hash, &since],
        )
        .await?;
    if let Some(row) = same {
        return Ok((id_from(row.try_get(0)?), false));
    }
    let open = db
        .one(
            "SELECT count(*) FROM loads WHERE account = $1 AND touched > $2
             AND state IN ('waiting', 'running')",
            &[&load.account.0, &since],
        )
        .await?;
    if open.try_get::<_, i64>(0)? >= i64::from(LOADS_MAX) {
        return Err(too_many().into());
    }
    db.execute(
        "INSERT INTO loads (id, account, peer, hash, size, name, state, bytes, rate, message,
             created, touched)
         VALUES ($1, $2, $3, $4, $5, $6, 'waiting', 0, 0, '', $7, $7)",
        &[
            &stored_id(load.id),
            &load.account.0,
            &load.peer.0,
            &hash,
            &stored(load.size, "size of a file")?,
            &load.name,
            &now.0,
        ],
    )
    .await?;
    audit::record(db, entry).await?;
    Ok((load.id, true))
}

async fn one(
    db: &Connection,
    account: AccountId,
    load: LoadId,
    now: UnixMillis,
) -> Outcome<Option<LoadSummary>> {
    let row = db
        .row(
            &format!("{SUMMARIES} AND l.id = $3"),
            &[&account.0, &now.0, &stored_id(load)],
        )
        .await?;
    let found = row.map(|row| summary(&row, now)).transpose()?;
    Ok(found.map(|(load, _)| load))
}

async fn page(
    db: &Connection,
    account: AccountId,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> Outcome<Page<LoadSummary>> {
    let limit = limit.max(1);
    let (created, id) = cursor::before_load(cursor)?;
    let rows = db
        .rows(
            &format!(
                "{SUMMARIES} AND (l.created, l.id) < ($3, $4)
                 ORDER BY l.created DESC, l.id DESC LIMIT $5"
            ),
            &[&account.0, &now.0, &created, &id, &(i64::from(limit) + 1)],
        )
        .await?;
    let items = rows.iter().map(|row| summary(row, now));
    let page = cursor::page(
        items.collect::<Outcome<_>>()?,
        limit as usize,
        |(load, created)| cursor::of_load(*created, stored_id(load.load)),
    );
    Ok(Page {
        items: page.items.into_iter().map(|(load, _)| load).collect(),
        next_cursor: page.next_cursor,
    })
}

async fn open(
    db: &Connection,
    peer: PeerKey,
    limit: u32,
    now: UnixMillis,
) -> Outcome<Vec<OpenLoad>> {
    let rows = db
        .rows(
            "SELECT l.id, l.account, a.name, l.hash, l.size, l.name
             FROM loads l JOIN accounts a ON a.id = l.account
             WHERE l.peer = $1 AND l.touched > $2 AND l.state IN ('waiting', 'running')
             ORDER BY l.created, l.id LIMIT $3",
            &[
                &peer.0,
                &now.0.saturating_sub(LOAD_PATIENCE),
                &i64::from(limit),
            ],
        )
        .await?;
    let open = rows.iter().map(|row| {
        Ok(OpenLoad {
            id: id_from(row.try_get(0)?),
            account: AccountId(row.try_get(1)?),
            user: user_name(row.try_get(2)?)?,
            hash: hash_from(row.try_get(3)?)?,
            size: unsigned(row.try_get(4)?)?,
            name: row.try_get(5)?,
        })
    });
    open.collect()
}

async fn report(
    db: &Connection,
    peer: &PeerId,
    account: AccountId,
    load: LoadId,
    report: &LoadReport,
    now: UnixMillis,
) -> Outcome<AccountId> {
    let row = db
        .row(
            "UPDATE loads SET state = $1, bytes = $2, rate = $3, message = $4, touched = $5
             WHERE id = $6 AND state IN ('waiting', 'running') AND touched > $7
                 AND peer = (SELECT id FROM peers WHERE name = $8 AND account = $9)
             RETURNING account",
            &[
                &report.state.name(),
                &stored(report.bytes, "number of bytes")?,
                &stored(report.rate, "rate")?,
                &report.message,
                &now.0,
                &stored_id(load),
                &now.0.saturating_sub(LOAD_PATIENCE),
                &peer.as_str(),
                &account.0,
            ],
        )
        .await?;
    let row = row.ok_or_else(|| unknown(load))?;
    Ok(AccountId(row.try_get(0)?))
}

/// Forgets what was over long ago, and gives up what no peer has said anything of.
pub(super) async fn sweep(db: &Connection, now: UnixMillis) -> Outcome<()> {
    db.execute(
        "UPDATE loads SET state = 'failed', rate = 0, message = $1, touched = $2
         WHERE touched <= $3 AND state IN ('waiting', 'running')",
        &[&AWAY, &now.0, &now.0.saturating_sub(LOAD_PATIENCE)],
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
impl Loads for PostgresStore {
    async fn host(&self, peer: &PeerId) -> Result<Option<Host>, Problem> {
        Ok(host(&self.connections.get().await?, peer).await?)
    }

    async fn create_load(
        &self,
        load: &NewLoad,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<(LoadId, bool), Problem> {
        transaction!(self, db => create(db, load, entry, now))
    }

    async fn load_of(
        &self,
        account: AccountId,
        load: LoadId,
        now: UnixMillis,
    ) -> Result<Option<LoadSummary>, Problem> {
        Ok(one(&self.connections.get().await?, account, load, now).await?)
    }

    async fn loads(
        &self,
        account: AccountId,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<LoadSummary>, Problem> {
        let db = self.connections.get().await?;
        Ok(page(&db, account, limit, cursor, now).await?)
    }

    async fn open_loads(
        &self,
        peer: PeerKey,
        limit: u32,
        now: UnixMillis,
    ) -> Result<Vec<OpenLoad>, Problem> {
        Ok(open(&self.connections.get().await?, peer, limit, now).await?)
    }

    async fn report_load(
        &self,
        peer: &PeerId,
        account: AccountId,
        load: LoadId,
        said: &LoadReport,
        now: UnixMillis,
    ) -> Result<AccountId, Problem> {
        transaction!(self, db => report(db, peer, account, load, said, now))
    }
}
