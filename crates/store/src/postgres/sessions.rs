//! Sessions: they end, and with them the leases of the peers registered in them.

use std::net::IpAddr;

use async_trait::async_trait;
use convite_core::administration::SessionSummary;
use convite_core::model::Page;
use convite_core::{Problem, UnixMillis};
use tokio_postgres::Row;

use super::connections::Connection;
use super::failure::{Failure, Outcome};
use super::{PostgresStore, accounts, audit, spaces, transaction};
use crate::cursor;
use crate::stored::{damaged, user_name};
use crate::{
    AccountId, AuditEntry, SecretHash, SessionRecord, Sessions, Viewer, id_bytes, public_id,
};

fn record(row: &Row, viewer: Viewer) -> Outcome<SessionRecord> {
    let peer: Option<&str> = row.try_get(6)?;
    let peer = peer.map(str::parse).transpose();
    Ok(SessionRecord {
        account: accounts::record(row)?,
        viewer,
        peer: peer.map_err(|_| damaged("a peer id"))?,
        expires: UnixMillis(row.try_get(5)?),
    })
}

/// Its peers have left: a heartbeat in another session must not bring back a peer that no session
/// answers for. Transient ones are forgotten.
async fn end(db: &Connection, token: &[u8]) -> Outcome<()> {
    // Whoever registers a peer in it has done so, and the peer is found here, or sees it gone.
    db.row(
        "SELECT 1 FROM sessions WHERE token = $1 FOR UPDATE",
        &[&token],
    )
    .await?;
    db.execute(
        "DELETE FROM peers WHERE session = $1 AND transient",
        &[&token],
    )
    .await?;
    // Locks the peers before what they announced, as an announcement does.
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

/// Ends the sessions of an account, and the leases of the peers registered in them.
pub(super) async fn end_all(
    db: &Connection,
    account: AccountId,
    keep: Option<&SecretHash>,
) -> Outcome<()> {
    let keep = keep.map_or(&[][..], |token| token.as_slice());
    let rows = db
        .rows(
            "SELECT token FROM sessions WHERE account = $1 AND token <> $2 ORDER BY token",
            &[&account.0, &keep],
        )
        .await?;
    for row in &rows {
        end(db, row.try_get(0)?).await?;
    }
    Ok(())
}

/// Takes the peers of an account off the list, in whatever session they were registered.
pub(super) async fn take_peers_off(db: &Connection, account: AccountId) -> Outcome<()> {
    for sql in [
        "DELETE FROM peers WHERE account = $1 AND transient",
        "UPDATE peers SET departed = TRUE WHERE account = $1",
        "DELETE FROM partials WHERE peer IN (SELECT id FROM peers WHERE account = $1)",
    ] {
        db.execute(sql, &[&account.0]).await?;
    }
    Ok(())
}

async fn sessions(
    db: &Connection,
    of: Option<AccountId>,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> Outcome<Page<SessionSummary>> {
    let limit = limit.max(1);
    let after = cursor::after(cursor, cursor::SESSIONS, |id| id_bytes(id).is_some())?;
    let rows = db
        .rows(
            "SELECT s.token, a.name, s.created, s.expires, s.address,
                 (SELECT p.name FROM peers p WHERE p.session = s.token AND NOT p.transient
                  ORDER BY p.id DESC LIMIT 1), s.used
             FROM sessions s JOIN accounts a ON a.id = s.account
             WHERE substring(s.token FROM 1 FOR 8) > $1 AND ($2::BIGINT IS NULL OR s.account = $2)
                 AND s.expires > $3
             ORDER BY s.token LIMIT $4",
            &[
                &id_bytes(&after).unwrap_or_default(),
                &of.map(|account| account.0),
                &now.0,
                &(i64::from(limit) + 1),
            ],
        )
        .await?;
    let items = rows.iter().map(|row| {
        let token: &[u8] = row.try_get(0)?;
        let address: &str = row.try_get(4)?;
        let peer: Option<&str> = row.try_get(5)?;
        let peer = peer.map(str::parse).transpose();
        Ok(SessionSummary {
            id: public_id(&token.try_into().map_err(|_| damaged("a token"))?),
            user: user_name(row.try_get(1)?)?,
            created_at: UnixMillis(row.try_get(2)?).seconds(),
            last_used_at: UnixMillis(row.try_get(6)?).seconds(),
            expires_at: UnixMillis(row.try_get(3)?).seconds(),
            address: address.parse().ok(),
            peer: peer.map_err(|_| damaged("a peer id"))?,
            current: false,
        })
    });
    Ok(cursor::page(
        items.collect::<Outcome<_>>()?,
        limit as usize,
        |last: &SessionSummary| cursor::encode(&[cursor::SESSIONS, &last.id]),
    ))
}

async fn revoke(
    db: &Connection,
    id: &str,
    of: Option<AccountId>,
    entry: &AuditEntry,
) -> Outcome<()> {
    let row = db
        .row(
            "SELECT s.token, a.name FROM sessions s JOIN accounts a ON a.id = s.account
             WHERE substring(s.token FROM 1 FOR 8) = $1
                 AND ($2::BIGINT IS NULL OR s.account = $2)
             LIMIT 1",
            &[
                &id_bytes(id).unwrap_or_default(),
                &of.map(|account| account.0),
            ],
        )
        .await?;
    let row = row.ok_or_else(crate::sessions::unknown)?;
    end(db, row.try_get(0)?).await?;
    let user: &str = row.try_get(1)?;
    let entry = AuditEntry {
        target: format!("{user} {}", entry.target),
        ..entry.clone()
    };
    audit::record(db, &entry).await
}

#[async_trait]
impl Sessions for PostgresStore {
    async fn create_session(
        &self,
        token: &SecretHash,
        account: AccountId,
        password_hash: &str,
        address: Option<IpAddr>,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, Problem> {
        let db = self.connections.get().await?;
        let address = address.map(|address| address.to_string());
        // Who changes the account is waited for, and ends this session if it comes later.
        let begun = db
            .execute(
                "INSERT INTO sessions (token, account, expires, created, used, address)
                 SELECT $1::BYTEA, a.id, $3::BIGINT, $4::BIGINT, $4, $5::TEXT FROM accounts a
                 WHERE a.id = $2 AND NOT a.disabled AND a.password_hash = $6 FOR SHARE",
                &[
                    &token.as_slice(),
                    &account.0,
                    &expires.0,
                    &now.0,
                    &address.unwrap_or_default(),
                    &password_hash,
                ],
            )
            .await?;
        Ok(begun > 0)
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
        let Some(row) = db.row(&sql, &[&token.as_slice()]).await? else {
            return Ok(None);
        };
        let account = AccountId(row.try_get(0).map_err(Failure::from)?);
        let viewer = spaces::viewer(&db, account).await?;
        Ok(Some(record(&row, viewer)?))
    }

    async fn extend_session(
        &self,
        token: &SecretHash,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        let db = self.connections.get().await?;
        db.execute(
            "UPDATE sessions SET expires = $1, used = $2 WHERE token = $3",
            &[&expires.0, &now.0, &token.as_slice()],
        )
        .await?;
        Ok(())
    }

    async fn end_session(&self, token: &SecretHash, _now: UnixMillis) -> Result<(), Problem> {
        transaction!(self, db => end(db, token.as_slice()))
    }

    async fn sessions(
        &self,
        of: Option<AccountId>,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<SessionSummary>, Problem> {
        Ok(sessions(&self.connections.get().await?, of, limit, cursor, now).await?)
    }

    async fn revoke_session(
        &self,
        id: &str,
        of: Option<AccountId>,
        entry: &AuditEntry,
    ) -> Result<(), Problem> {
        transaction!(self, db => revoke(db, id, of, entry))
    }
}
