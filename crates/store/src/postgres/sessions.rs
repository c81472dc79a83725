//! Sessions: they end, and with them the leases of the peers registered in them.

use async_trait::async_trait;
use convite_core::{Problem, UnixMillis};
use tokio_postgres::Row;

use super::connections::Connection;
use super::failure::{Outcome, damaged};
use super::{PostgresStore, accounts, transaction};
use crate::{AccountId, SecretHash, SessionRecord, Sessions};

fn record(row: &Row) -> Outcome<SessionRecord> {
    let peer: Option<&str> = row.try_get(6)?;
    let peer = peer.map(str::parse).transpose();
    Ok(SessionRecord {
        account: accounts::record(row)?,
        peer: peer.map_err(|_| damaged("a peer id"))?,
        expires: UnixMillis(row.try_get(5)?),
    })
}

/// Its peers have left: a heartbeat in another session must not bring back a peer that no session
/// answers for. Transient ones are forgotten.
async fn end(db: &Connection, token: &[u8]) -> Outcome<()> {
    db.execute(
        "DELETE FROM peers WHERE session = $1 AND transient",
        &[&token],
    )
    .await?;
    // Locks the peers first, as an announcement does.
    db.execute(
        "UPDATE peers SET departed = TRUE WHERE session = $1",
        &[&token],
    )
    .await?;
    db.execute(
        "DELETE FROM partials WHERE peer IN (SELECT id FROM peers WHERE session = $1)",
        &[&token],
    )
    .await?;
    db.execute(
        "UPDATE peers SET session = NULL WHERE session = $1",
        &[&token],
    )
    .await?;
    db.execute("DELETE FROM sessions WHERE token = $1", &[&token])
        .await?;
    Ok(())
}

#[async_trait]
impl Sessions for PostgresStore {
    async fn create_session(
        &self,
        token: &SecretHash,
        account: AccountId,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        let db = self.connections.get().await?;
        db.execute(
            "INSERT INTO sessions (token, account, expires, created) VALUES ($1, $2, $3, $4)",
            &[&token.as_slice(), &account.0, &expires.0, &now.0],
        )
        .await?;
        Ok(())
    }

    async fn session(&self, token: &SecretHash) -> Result<Option<SessionRecord>, Problem> {
        let sql = format!(
            "SELECT {}, s.expires,
                 (SELECT p.name FROM peers p WHERE p.session = s.token AND NOT p.transient
                  ORDER BY p.id DESC LIMIT 1)
             FROM sessions s JOIN accounts a ON a.id = s.account WHERE s.token = $1",
            accounts::COLUMNS
        );
        let db = self.connections.get().await?;
        let row = db.row(&sql, &[&token.as_slice()]).await?;
        Ok(row.as_ref().map(record).transpose()?)
    }

    async fn extend_session(&self, token: &SecretHash, expires: UnixMillis) -> Result<(), Problem> {
        let db = self.connections.get().await?;
        db.execute(
            "UPDATE sessions SET expires = $1 WHERE token = $2",
            &[&expires.0, &token.as_slice()],
        )
        .await?;
        Ok(())
    }

    async fn end_session(&self, token: &SecretHash, _now: UnixMillis) -> Result<(), Problem> {
        transaction!(self, db => end(db, token.as_slice()))
    }
}
