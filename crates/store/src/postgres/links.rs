//! Links to single files.

use async_trait::async_trait;
use convite_core::{ContentHash, Problem, UnixMillis};

use super::connections::Connection;
use super::failure::Outcome;
use super::{PostgresStore, audit, transaction};
use crate::links::{goes_on, too_many};
use crate::stored::{damaged, user_name};
use crate::{AuditEntry, LINKS_MAX, LinkRecord, LinkUse, Links, NewLink, SecretHash};

async fn create(
    db: &Connection,
    link: &NewLink,
    entry: &AuditEntry,
    now: UnixMillis,
) -> Outcome<()> {
    // Two that make one at once may end with one more: the bound is no finer than that.
    let alive = db
        .one(
            "SELECT count(*) FROM links WHERE account = $1 AND expires > $2",
            &[&link.account.0, &now.0],
        )
        .await?;
    if alive.try_get::<_, i64>(0)? >= i64::from(LINKS_MAX) {
        return Err(too_many().into());
    }
    db.execute(
        "INSERT INTO links (token, account, hash, uses, expires, created)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            &link.token.as_slice(),
            &link.account.0,
            &link.hash.as_bytes().as_slice(),
            &i64::from(link.uses),
            &link.expires.0,
            &now.0,
        ],
    )
    .await?;
    audit::record(db, entry).await
}

async fn link(
    db: &Connection,
    token: &SecretHash,
    network: &str,
    now: UnixMillis,
) -> Outcome<Option<LinkRecord>> {
    let row = db
        .row(
            "SELECT a.name, l.hash FROM links l JOIN accounts a ON a.id = l.account
             WHERE l.token = $1 AND l.expires > $3 AND (l.uses > 0 OR EXISTS (
                 SELECT 1 FROM link_uses u WHERE u.token = l.token AND u.network = $2))",
            &[&token.as_slice(), &network, &now.0],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let hash = ContentHash::from_slice(row.try_get(1)?);
    Ok(Some(LinkRecord {
        user: user_name(row.try_get(0)?)?,
        hash: hash.map_err(|_| damaged("a content hash"))?,
    }))
}

async fn use_link(
    db: &Connection,
    token: &SecretHash,
    network: &str,
    begins: bool,
    entry: &AuditEntry,
    now: UnixMillis,
) -> Outcome<LinkUse> {
    // The row stays locked until the transaction ends, so that the last use goes to one.
    let locked = db
        .row(
            "SELECT 1 FROM links WHERE token = $1 AND expires > $2 FOR UPDATE",
            &[&token.as_slice(), &now.0],
        )
        .await?;
    if locked.is_none() {
        return Ok(LinkUse::Refused);
    }
    // Read only once the lock is had: the statement that waited for it sees what was before.
    let begun = db
        .row(
            "SELECT since FROM link_uses WHERE token = $1 AND network = $2",
            &[&token.as_slice(), &network],
        )
        .await?;
    let since = begun.map(|row| row.try_get(0)).transpose()?;
    if goes_on(since, begins, now) {
        return Ok(LinkUse::GoneOn);
    }
    let left = db
        .row(
            "UPDATE links SET uses = uses - 1 WHERE token = $1 AND uses > 0 RETURNING 1",
            &[&token.as_slice()],
        )
        .await?;
    if left.is_none() {
        return Ok(LinkUse::Refused);
    }
    db.execute(
        "INSERT INTO link_uses (token, network, since) VALUES ($1, $2, $3)
         ON CONFLICT (token, network) DO UPDATE SET since = excluded.since",
        &[&token.as_slice(), &network, &now.0],
    )
    .await?;
    audit::record(db, entry).await?;
    Ok(LinkUse::Begun)
}

/// Forgets the links that are over.
pub(super) async fn sweep(db: &Connection, now: UnixMillis) -> Outcome<()> {
    db.execute("DELETE FROM links WHERE expires <= $1", &[&now.0])
        .await?;
    Ok(())
}

#[async_trait]
impl Links for PostgresStore {
    async fn create_link(
        &self,
        link: &NewLink,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        transaction!(self, db => create(db, link, entry, now))
    }

    async fn link(
        &self,
        token: &SecretHash,
        network: &str,
        now: UnixMillis,
    ) -> Result<Option<LinkRecord>, Problem> {
        Ok(link(&self.connections.get().await?, token, network, now).await?)
    }

    async fn use_link(
        &self,
        token: &SecretHash,
        network: &str,
        begins: bool,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<LinkUse, Problem> {
        transaction!(self, db => use_link(db, token, network, begins, entry, now))
    }
}
