//! Links to single files.

use async_trait::async_trait;
use convite_core::{ContentHash, Problem, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use super::failure::Outcome;
use super::{SqliteStore, audit};
use crate::links::{goes_on, too_many};
use crate::stored::user_name;
use crate::{AuditEntry, LINKS_MAX, LinkRecord, LinkUse, Links, NewLink, SecretHash};

fn create(db: &Connection, link: &NewLink, entry: &AuditEntry, now: UnixMillis) -> Outcome<()> {
    let alive: u32 = db
        .prepare_cached("SELECT count(*) FROM links WHERE account = ? AND expires > ?")?
        .query_row(params![link.account.0, now.0], |row| row.get(0))?;
    if alive >= LINKS_MAX {
        return Err(too_many().into());
    }
    db.prepare_cached(
        "INSERT INTO links (token, account, hash, uses, expires, created)
         VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        link.token,
        link.account.0,
        link.hash.as_bytes(),
        link.uses,
        link.expires.0,
        now.0
    ])?;
    audit::record(db, entry)
}

fn link(
    db: &Connection,
    token: &SecretHash,
    network: &str,
    now: UnixMillis,
) -> Outcome<Option<LinkRecord>> {
    let found: Option<(String, [u8; 32])> = db
        .prepare_cached(
            "SELECT a.name, l.hash FROM links l JOIN accounts a ON a.id = l.account
             WHERE l.token = ?1 AND l.expires > ?3 AND (l.uses > 0 OR EXISTS (
                 SELECT 1 FROM link_uses u WHERE u.token = l.token AND u.network = ?2))",
        )?
        .query_row(params![token, network, now.0], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((user, hash)) = found else {
        return Ok(None);
    };
    Ok(Some(LinkRecord {
        user: user_name(&user)?,
        hash: ContentHash::from_bytes(hash),
    }))
}

fn use_link(
    db: &Connection,
    token: &SecretHash,
    network: &str,
    begins: bool,
    entry: &AuditEntry,
    now: UnixMillis,
) -> Outcome<LinkUse> {
    let found: Option<(u32, Option<i64>)> = db
        .prepare_cached(
            "SELECT l.uses, u.since FROM links l
             LEFT JOIN link_uses u ON u.token = l.token AND u.network = ?2
             WHERE l.token = ?1 AND l.expires > ?3",
        )?
        .query_row(params![token, network, now.0], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((uses, since)) = found else {
        return Ok(LinkUse::Refused);
    };
    if goes_on(since, begins, now) {
        return Ok(LinkUse::GoneOn);
    }
    if uses == 0 {
        return Ok(LinkUse::Refused);
    }
    db.prepare_cached("UPDATE links SET uses = uses - 1 WHERE token = ?")?
        .execute([token])?;
    db.prepare_cached(
        "INSERT INTO link_uses (token, network, since) VALUES (?, ?, ?)
         ON CONFLICT (token, network) DO UPDATE SET since = excluded.since",
    )?
    .execute(params![token, network, now.0])?;
    audit::record(db, entry)?;
    Ok(LinkUse::Begun)
}

/// Forgets the links that are over.
pub(super) fn sweep(db: &Connection, now: UnixMillis) -> Outcome<()> {
    db.prepare_cached("DELETE FROM links WHERE expires <= ?")?
        .execute([now.0])?;
    Ok(())
}

#[async_trait]
impl Links for SqliteStore {
    async fn create_link(
        &self,
        link: &NewLink,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        let (link, entry) = (link.clone(), entry.clone());
        self.writer
            .write(move |db| create(db, &link, &entry, now))
            .await
    }

    async fn link(
        &self,
        token: &SecretHash,
        network: &str,
        now: UnixMillis,
    ) -> Result<Option<LinkRecord>, Problem> {
        self.readers.read(|db| link(db, token, network, now))
    }

    async fn use_link(
        &self,
        token: &SecretHash,
        network: &str,
        begins: bool,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<LinkUse, Problem> {
        let (token, network, entry) = (*token, network.to_owned(), entry.clone());
        self.writer
            .write(move |db| use_link(db, &token, &network, begins, &entry, now))
            .await
    }
}
