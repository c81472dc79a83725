//! Sessions: they end, and with them the leases of the peers registered in them.

use std::net::IpAddr;

use async_trait::async_trait;
use convite_core::administration::SessionSummary;
use convite_core::model::Page;
use convite_core::{Problem, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use super::failure::Outcome;
use super::{SqliteStore, accounts, audit, spaces};
use crate::cursor;
use crate::stored::{damaged, user_name};
use crate::{AccountId, AuditEntry, SecretHash, SessionRecord, Sessions, id_bytes, public_id};

pub(super) fn create(
    db: &Connection,
    token: &SecretHash,
    account: AccountId,
    password_hash: &str,
    address: Option<IpAddr>,
    expires: UnixMillis,
    now: UnixMillis,
) -> Outcome<bool> {
    let address = address.map(|address| address.to_string());
    let begun = db
        .prepare_cached(
            "INSERT INTO sessions (token, account, expires, created, used, address)
             SELECT ?1, a.id, ?3, ?4, ?4, ?5 FROM accounts a
             WHERE a.id = ?2 AND a.disabled = 0 AND a.password_hash = ?6",
        )?
        .execute(params![
            token,
            account.0,
            expires.0,
            now.0,
            address.unwrap_or_default(),
            password_hash
        ])?;
    Ok(begun > 0)
}

pub(super) fn session(db: &Connection, token: &SecretHash) -> Outcome<Option<SessionRecord>> {
    let sql = format!(
        "SELECT {}, s.expires,
             (SELECT p.name FROM peers p WHERE p.session = s.token AND p.transient = 0
              ORDER BY p.id DESC LIMIT 1)
         FROM sessions s JOIN accounts a ON a.id = s.account WHERE s.token = ?",
        accounts::COLUMNS
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query([token])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let peer: Option<String> = row.get(6)?;
    let peer = peer.map(|name| name.parse()).transpose();
    let account = accounts::record(row)?;
    Ok(Some(SessionRecord {
        viewer: spaces::viewer(db, account.id)?,
        account,
        peer: peer.map_err(|_| damaged("a peer id"))?,
        expires: UnixMillis(row.get(5)?),
    }))
}

pub(super) fn extend(
    db: &Connection,
    token: &SecretHash,
    expires: UnixMillis,
    now: UnixMillis,
) -> Outcome<()> {
    db.prepare_cached("UPDATE sessions SET expires = ?, used = ? WHERE token = ?")?
        .execute(params![expires.0, now.0, token])?;
    Ok(())
}

/// Its peers have left: a heartbeat in another session must not bring back a peer that no session
/// answers for. Transient ones are forgotten.
pub(super) fn end(db: &Connection, token: &SecretHash) -> Outcome<()> {
    db.prepare_cached("DELETE FROM peers WHERE session = ? AND transient = 1")?
        .execute([token])?;
    db.prepare_cached(
        "DELETE FROM partials WHERE peer IN (SELECT id FROM peers WHERE session = ?)",
    )?
    .execute([token])?;
    db.prepare_cached("UPDATE peers SET departed = 1, session = NULL WHERE session = ?")?
        .execute([token])?;
    db.prepare_cached("DELETE FROM sessions WHERE token = ?")?
        .execute([token])?;
    Ok(())
}

/// Ends the sessions of an account, and the leases of the peers registered in them.
pub(super) fn end_all(
    db: &Connection,
    account: AccountId,
    keep: Option<&SecretHash>,
) -> Outcome<()> {
    let tokens: Vec<SecretHash> = db
        .prepare_cached("SELECT token FROM sessions WHERE account = ?")?
        .query_map([account.0], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for token in tokens.iter().filter(|token| Some(*token) != keep) {
        end(db, token)?;
    }
    Ok(())
}

/// Takes the peers of an account off the list, in whatever session they were registered.
pub(super) fn take_peers_off(db: &Connection, account: AccountId) -> Outcome<()> {
    for sql in [
        "DELETE FROM peers WHERE account = ? AND transient = 1",
        "DELETE FROM partials WHERE peer IN (SELECT id FROM peers WHERE account = ?)",
        "UPDATE peers SET departed = 1 WHERE account = ?",
    ] {
        db.prepare_cached(sql)?.execute([account.0])?;
    }
    Ok(())
}

fn sessions(
    db: &Connection,
    of: Option<AccountId>,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> Outcome<Page<SessionSummary>> {
    let limit = limit.max(1);
    let after = cursor::after(cursor, cursor::SESSIONS, |id| id_bytes(id).is_some())?;
    let mut statement = db.prepare_cached(
        "SELECT s.token, a.name, s.created, s.expires, s.address,
             (SELECT p.name FROM peers p WHERE p.session = s.token AND p.transient = 0
              ORDER BY p.id DESC LIMIT 1), s.used
         FROM sessions s JOIN accounts a ON a.id = s.account
         WHERE substr(s.token, 1, 8) > ?1 AND (?2 IS NULL OR s.account = ?2) AND s.expires > ?3
         ORDER BY s.token LIMIT ?4",
    )?;
    let mut rows = statement.query(params![
        id_bytes(&after).unwrap_or_default(),
        of.map(|account| account.0),
        now.0,
        i64::from(limit) + 1
    ])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        let peer: Option<String> = row.get(5)?;
        let peer = peer.map(|name| name.parse()).transpose();
        let address: String = row.get(4)?;
        items.push(SessionSummary {
            id: public_id(&row.get(0)?),
            user: user_name(&row.get::<_, String>(1)?)?,
            created_at: UnixMillis(row.get(2)?).seconds(),
            last_used_at: UnixMillis(row.get(6)?).seconds(),
            expires_at: UnixMillis(row.get(3)?).seconds(),
            address: address.parse().ok(),
            peer: peer.map_err(|_| damaged("a peer id"))?,
            current: false,
        });
    }
    Ok(cursor::page(items, limit as usize, |last| {
        cursor::encode(&[cursor::SESSIONS, &last.id])
    }))
}

fn revoke(db: &Connection, id: &str, of: Option<AccountId>, mut entry: AuditEntry) -> Outcome<()> {
    let found: Option<(SecretHash, String)> = db
        .prepare_cached(
            "SELECT s.token, a.name FROM sessions s JOIN accounts a ON a.id = s.account
             WHERE substr(s.token, 1, 8) = ?1 AND (?2 IS NULL OR s.account = ?2)",
        )?
        .query_row(
            params![
                id_bytes(id).unwrap_or_default(),
                of.map(|account| account.0)
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let (token, user) = found.ok_or_else(crate::sessions::unknown)?;
    end(db, &token)?;
    entry.target = format!("{user} {}", entry.target);
    audit::record(db, &entry)
}

#[async_trait]
impl Sessions for SqliteStore {
    async fn create_session(
        &self,
        token: &SecretHash,
        account: AccountId,
        password_hash: &str,
        address: Option<IpAddr>,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, Problem> {
        let (token, hash) = (*token, password_hash.to_owned());
        self.writer
            .write(move |db| create(db, &token, account, &hash, address, expires, now))
            .await
    }

    async fn session(&self, token: &SecretHash) -> Result<Option<SessionRecord>, Problem> {
        self.readers.read(|db| session(db, token))
    }

    async fn extend_session(
        &self,
        token: &SecretHash,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        let token = *token;
        self.writer
            .write(move |db| extend(db, &token, expires, now))
            .await
    }

    async fn end_session(&self, token: &SecretHash, _now: UnixMillis) -> Result<(), Problem> {
        let token = *token;
        self.writer.write(move |db| end(db, &token)).await
    }

    async fn sessions(
        &self,
        of: Option<AccountId>,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<SessionSummary>, Problem> {
        let cursor = cursor.map(str::to_owned);
        self.readers
            .read_long(move |db| sessions(db, of, limit, cursor.as_deref(), now))
            .await
    }

    async fn revoke_session(
        &self,
        id: &str,
        of: Option<AccountId>,
        entry: &AuditEntry,
    ) -> Result<(), Problem> {
        let (id, entry) = (id.to_owned(), entry.clone());
        self.writer
            .write(move |db| revoke(db, &id, of, entry.clone()))
            .await
    }
}
