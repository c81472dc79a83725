//! Sessions: they end, and with them the leases of the peers registered in them.

use async_trait::async_trait;
use convite_core::{Problem, UnixMillis};
use rusqlite::{Connection, params};

use super::failure::{Outcome, damaged};
use super::{SqliteStore, accounts};
use crate::{AccountId, SecretHash, SessionRecord, Sessions};

pub(super) fn create(
    db: &Connection,
    token: &SecretHash,
    account: AccountId,
    expires: UnixMillis,
    now: UnixMillis,
) -> Outcome<()> {
    db.prepare_cached(
        "INSERT INTO sessions (token, account, expires, created) VALUES (?, ?, ?, ?)",
    )?
    .execute(params![token, account.0, expires.0, now.0])?;
    Ok(())
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
    Ok(Some(SessionRecord {
        account: accounts::record(row)?,
        peer: peer.map_err(|_| damaged("a peer id"))?,
        expires: UnixMillis(row.get(5)?),
    }))
}

pub(super) fn extend(db: &Connection, token: &SecretHash, expires: UnixMillis) -> Outcome<()> {
    db.prepare_cached("UPDATE sessions SET expires = ? WHERE token = ?")?
        .execute(params![expires.0, token])?;
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

#[async_trait]
impl Sessions for SqliteStore {
    async fn create_session(
        &self,
        token: &SecretHash,
        account: AccountId,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        let token = *token;
        self.writer
            .write(move |db| create(db, &token, account, expires, now))
            .await
    }

    async fn session(&self, token: &SecretHash) -> Result<Option<SessionRecord>, Problem> {
        self.readers.read(|db| session(db, token))
    }

    async fn extend_session(&self, token: &SecretHash, expires: UnixMillis) -> Result<(), Problem> {
        let token = *token;
        self.writer
            .write(move |db| extend(db, &token, expires))
            .await
    }

    async fn end_session(&self, token: &SecretHash, _now: UnixMillis) -> Result<(), Problem> {
        let token = *token;
        self.writer.write(move |db| end(db, &token)).await
    }
}
