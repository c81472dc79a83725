//! Links.

use async_trait::async_trait;
use convite_core::{Problem, UnixMillis};

use crate::database::{Access, Backend, Database, Lock};
use crate::error::{DbError, DbResult};
use crate::links::goes_on;
use crate::tables::audit;
use crate::{AuditEntry, LINKS_MAX, LinkRecord, LinkUse, Links, NewLink, SecretHash};

async fn create(
    db: &mut impl Database,
    link: &NewLink,
    entry: &AuditEntry,
    now: UnixMillis,
) -> DbResult<()> {
    // In PostgreSQL, two concurrent calls may exceed the limit by one.
    let alive: u32 = db
        .count(
            "SELECT count(*) FROM links WHERE account = $1 AND expires > $2",
            &[&link.account, &now],
        )
        .await?;
    if alive >= LINKS_MAX {
        return Err(DbError::TooManyLinks);
    }
    db.execute(
        "INSERT INTO links (token, account, hash, name, uses, expires, created)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            &link.token,
            &link.account,
            &link.hash,
            &link.name,
            &link.uses,
            &link.expires,
            &now,
        ],
    )
    .await?;
    audit::record(db, entry).await
}

async fn find(
    db: &mut impl Database,
    token: &SecretHash,
    network: &str,
    now: UnixMillis,
) -> DbResult<Option<LinkRecord>> {
    let row = db
        .row(
            "SELECT (SELECT name FROM accounts WHERE id = l.account), l.hash, l.name, EXISTS (
                 SELECT 1 FROM link_uses u WHERE u.token = l.token AND u.network = $2)
             FROM links l
             WHERE l.token = $1 AND l.expires > $3 AND (l.uses > 0 OR EXISTS (
                 SELECT 1 FROM link_uses u WHERE u.token = l.token AND u.network = $2))",
            &[token, &network, &now],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    Ok(Some(LinkRecord {
        user: row.get(0)?,
        hash: row.get(1)?,
        name: row.get(2)?,
        begun: row.get(3)?,
    }))
}

async fn use_link(
    db: &mut impl Database,
    token: &SecretHash,
    network: &str,
    begins: bool,
    entry: &AuditEntry,
    now: UnixMillis,
) -> DbResult<LinkUse> {
    // The row stays locked until the transaction ends, so that only one network gets the last use.
    let sql = "SELECT uses FROM links WHERE token = $1 AND expires > $2";
    let locked = db.lock(sql, &[token, &now], Lock::Update).await?;
    let Some(link) = locked.first() else {
        return Ok(LinkUse::Refused);
    };
    // Read after the lock is held: the statement that waited for the lock sees the state from
    // before.
    let since = db
        .value(
            "SELECT since FROM link_uses WHERE token = $1 AND network = $2",
            &[token, &network],
        )
        .await?;
    if goes_on(since, begins, now) {
        return Ok(LinkUse::GoneOn);
    }
    if link.get::<u32>(0)? == 0 {
        return Ok(LinkUse::Refused);
    }
    db.execute(
        "UPDATE links SET uses = uses - 1 WHERE token = $1",
        &[token],
    )
    .await?;
    db.execute(
        "INSERT INTO link_uses (token, network, since) VALUES ($1, $2, $3)
         ON CONFLICT (token, network) DO UPDATE SET since = excluded.since",
        &[token, &network, &now],
    )
    .await?;
    audit::record(db, entry).await?;
    Ok(LinkUse::Begun)
}

/// Deletes expired links.
pub(super) async fn sweep(db: &mut impl Database, now: UnixMillis) -> DbResult<()> {
    db.execute("DELETE FROM links WHERE expires <= $1", &[&now])
        .await?;
    Ok(())
}

#[async_trait]
impl<B: Backend> Links for B {
    async fn create_link(
        &self,
        link: &NewLink,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        let input = (link.clone(), entry.clone());
        self.run(Access::Write, input, move |db, (link, entry)| {
            Box::pin(create(db, link, entry, now))
        })
        .await
    }

    async fn link(
        &self,
        token: &SecretHash,
        network: &str,
        now: UnixMillis,
    ) -> Result<Option<LinkRecord>, Problem> {
        let input = (*token, network.to_owned());
        self.run(Access::Read, input, move |db, (token, network)| {
            Box::pin(find(db, token, network, now))
        })
        .await
    }

    async fn use_link(
        &self,
        token: &SecretHash,
        network: &str,
        begins: bool,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<LinkUse, Problem> {
        let input = (*token, network.to_owned(), entry.clone());
        self.run(Access::Write, input, move |db, (token, network, entry)| {
            Box::pin(use_link(db, token, network, begins, entry, now))
        })
        .await
    }
}
