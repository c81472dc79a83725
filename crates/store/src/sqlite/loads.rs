//! Loads on other peers.

use async_trait::async_trait;
use convite_core::loads::{LoadId, LoadReport, LoadSummary};
use convite_core::model::Page;
use convite_core::{ContentHash, PeerId, Problem, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::failure::Outcome;
use super::peers::unsigned;
use super::{SqliteStore, audit};
use crate::cursor;
use crate::incoming::stored;
use crate::loads::{AWAY, show, too_many, unknown};
use crate::stored::{damaged, terms, user_name};
use crate::{
    AccountId, AuditEntry, Host, LOAD_KEPT, LOAD_PATIENCE, LOADS_MAX, Loads, NewLoad, OpenLoad,
    PeerKey,
};

/// What [`summary`] reads: of the loads of account `?1`, with the time in `?2`.
const SUMMARIES: &str = "SELECT l.id, p.name, l.hash, l.name, l.size, l.state, l.bytes, l.rate,
         l.message, l.created, l.touched, p.departed = 0 AND p.lease > ?2
     FROM loads l JOIN peers p ON p.id = l.peer WHERE l.account = ?1";

/// A load, and when it was asked for in milliseconds.
fn summary(row: &Row<'_>, now: UnixMillis) -> Outcome<(LoadSummary, i64)> {
    let (peer, state): (String, String) = (row.get(1)?, row.get(5)?);
    let message: String = row.get(8)?;
    let created: i64 = row.get(9)?;
    let load = LoadSummary {
        load: id_from(row.get(0)?),
        peer: peer.parse().map_err(|_| damaged("a peer id"))?,
        hash: ContentHash::from_bytes(row.get(2)?),
        name: row.get(3)?,
        size: unsigned(row.get(4)?)?,
        state: state.parse().map_err(|_| damaged("a state"))?,
        bytes: unsigned(row.get(6)?)?,
        rate: unsigned(row.get(7)?)?,
        message: (!message.is_empty()).then_some(message),
        created_at: UnixMillis(created).seconds(),
    };
    Ok((show(load, row.get(10)?, row.get(11)?, now), created))
}

/// An id as it is stored.
fn stored_id(id: LoadId) -> i64 {
    id.0.cast_signed()
}

fn id_from(stored: i64) -> LoadId {
    LoadId(stored.cast_unsigned())
}

fn host(db: &Connection, peer: &PeerId) -> Outcome<Option<Host>> {
    let mut statement = db.prepare_cached(
        "SELECT p.id, p.account, a.name, p.uploads, p.loads
         FROM peers p JOIN accounts a ON a.id = p.account WHERE p.name = ? AND p.transient = 0",
    )?;
    let mut rows = statement.query([peer.as_str()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some(Host {
        key: PeerKey(row.get(0)?),
        account: AccountId(row.get(1)?),
        user: user_name(&row.get::<_, String>(2)?)?,
        terms: terms(&row.get::<_, String>(3)?, &row.get::<_, String>(4)?)?,
    }))
}

fn create(
    db: &Connection,
    load: &NewLoad,
    entry: &AuditEntry,
    now: UnixMillis,
) -> Outcome<(LoadId, bool)> {
    let since = now.0.saturating_sub(LOAD_PATIENCE);
    let same: Option<i64> = db
        .prepare_cached(
            "SELECT id FROM loads WHERE peer = ? AND account = ? AND hash = ? AND touched > ?
             AND state IN ('waiting', 'running')",
        )?
        .query_row(
            params![load.peer.0, load.account.0, load.hash.as_bytes(), since],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(id) = same {
        return Ok((id_from(id), false));
    }
    let open: u32 = db
        .prepare_cached(
            "SELECT count(*) FROM loads WHERE account = ? AND touched > ?
             AND state IN ('waiting', 'running')",
        )?
        .query_row(params![load.account.0, since], |row| row.get(0))?;
    if open >= LOADS_MAX {
        return Err(too_many().into());
    }
    db.prepare_cached(
        "INSERT INTO loads (id, account, peer, hash, size, name, state, bytes, rate, message,
             created, touched)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'waiting', 0, 0, '', ?7, ?7)",
    )?
    .execute(params![
        stored_id(load.id),
        load.account.0,
        load.peer.0,
        load.hash.as_bytes(),
        stored(load.size, "size of a file")?,
        load.name,
        now.0
    ])?;
    audit::record(db, entry)?;
    Ok((load.id, true))
}

fn one(
    db: &Connection,
    account: AccountId,
    load: LoadId,
    now: UnixMillis,
) -> Outcome<Option<LoadSummary>> {
    let mut statement = db.prepare_cached(&format!("{SUMMARIES} AND l.id = ?3"))?;
    let mut rows = statement.query(params![account.0, now.0, stored_id(load)])?;
    let found = rows.next()?.map(|row| summary(row, now)).transpose()?;
    Ok(found.map(|(load, _)| load))
}

fn page(
    db: &Connection,
    account: AccountId,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> Outcome<Page<LoadSummary>> {
    let limit = limit.max(1);
    let (created, id) = cursor::before_load(cursor)?;
    let mut statement = db.prepare_cached(&format!(
        "{SUMMARIES} AND (l.created, l.id) < (?3, ?4)
         ORDER BY l.created DESC, l.id DESC LIMIT ?5"
    ))?;
    let mut rows = statement.query(params![account.0, now.0, created, id, i64::from(limit) + 1])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(summary(row, now)?);
    }
    let page = cursor::page(items, limit as usize, |(load, created)| {
        cursor::of_load(*created, stored_id(load.load))
    });
    Ok(Page {
        items: page.items.into_iter().map(|(load, _)| load).collect(),
        next_cursor: page.next_cursor,
    })
}

fn open(db: &Connection, peer: PeerKey, limit: u32, now: UnixMillis) -> Outcome<Vec<OpenLoad>> {
    let mut statement = db.prepare_cached(
        "SELECT l.id, l.account, a.name, l.hash, l.size, l.name
         FROM loads l JOIN accounts a ON a.id = l.account
         WHERE l.peer = ? AND l.touched > ? AND l.state IN ('waiting', 'running')
         ORDER BY l.created, l.id LIMIT ?",
    )?;
    let since = now.0.saturating_sub(LOAD_PATIENCE);
    let mut rows = statement.query(params![peer.0, since, limit])?;
    let mut open = Vec::new();
    while let Some(row) = rows.next()? {
        open.push(OpenLoad {
            id: id_from(row.get(0)?),
            account: AccountId(row.get(1)?),
            user: user_name(&row.get::<_, String>(2)?)?,
            hash: ContentHash::from_bytes(row.get(3)?),
            size: unsigned(row.get(4)?)?,
            name: row.get(5)?,
        });
    }
    Ok(open)
}

fn report(
    db: &Connection,
    peer: &PeerId,
    account: AccountId,
    load: LoadId,
    report: &LoadReport,
    now: UnixMillis,
) -> Outcome<AccountId> {
    let asked: Option<i64> = db
        .prepare_cached(
            "UPDATE loads SET state = ?1, bytes = ?2, rate = ?3, message = ?4, touched = ?5
             WHERE id = ?6 AND state IN ('waiting', 'running') AND touched > ?7
                 AND peer = (SELECT id FROM peers WHERE name = ?8 AND account = ?9)
             RETURNING account",
        )?
        .query_row(
            params![
                report.state.name(),
                stored(report.bytes, "number of bytes")?,
                stored(report.rate, "rate")?,
                report.message,
                now.0,
                stored_id(load),
                now.0.saturating_sub(LOAD_PATIENCE),
                peer.as_str(),
                account.0
            ],
            |row| row.get(0),
        )
        .optional()?;
    Ok(asked.map(AccountId).ok_or_else(|| unknown(load))?)
}

/// Forgets what was over long ago, and gives up what no peer has said anything of.
pub(super) fn sweep(db: &Connection, now: UnixMillis) -> Outcome<()> {
    db.prepare_cached(
        "UPDATE loads SET state = 'failed', rate = 0, message = ?, touched = ?
         WHERE touched <= ? AND state IN ('waiting', 'running')",
    )?
    .execute(params![AWAY, now.0, now.0.saturating_sub(LOAD_PATIENCE)])?;
    db.prepare_cached("DELETE FROM loads WHERE touched <= ? AND state IN ('done', 'failed')")?
        .execute([now.0.saturating_sub(LOAD_KEPT)])?;
    Ok(())
}

#[async_trait]
impl Loads for SqliteStore {
    async fn host(&self, peer: &PeerId) -> Result<Option<Host>, Problem> {
        self.readers.read(|db| host(db, peer))
    }

    async fn create_load(
        &self,
        load: &NewLoad,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<(LoadId, bool), Problem> {
        let (load, entry) = (load.clone(), entry.clone());
        self.writer
            .write(move |db| create(db, &load, &entry, now))
            .await
    }

    async fn load_of(
        &self,
        account: AccountId,
        load: LoadId,
        now: UnixMillis,
    ) -> Result<Option<LoadSummary>, Problem> {
        self.readers.read(|db| one(db, account, load, now))
    }

    async fn loads(
        &self,
        account: AccountId,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<LoadSummary>, Problem> {
        self.readers
            .read(|db| page(db, account, limit, cursor, now))
    }

    async fn open_loads(
        &self,
        peer: PeerKey,
        limit: u32,
        now: UnixMillis,
    ) -> Result<Vec<OpenLoad>, Problem> {
        self.readers.read(|db| open(db, peer, limit, now))
    }

    async fn report_load(
        &self,
        peer: &PeerId,
        account: AccountId,
        load: LoadId,
        said: &LoadReport,
        now: UnixMillis,
    ) -> Result<AccountId, Problem> {
        let (peer, said) = (peer.clone(), said.clone());
        let is_over = said.state.is_over();
        let change = move |db: &Connection| report(db, &peer, account, load, &said, now);
        // How far it is will be said again; that it is over, only if this answer gets lost.
        match is_over {
            true => self.writer.write(change).await,
            false => self.writer.write_unsynced(change).await,
        }
    }
}
