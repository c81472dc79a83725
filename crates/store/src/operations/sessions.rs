//! Sessions.

use std::net::IpAddr;

use async_trait::async_trait;
use convite_core::administration::SessionSummary;
use convite_core::model::Page;
use convite_core::{Problem, UnixMillis, UserName};

use crate::cursor;
use crate::database::{Access, Backend, Database, Lock};
use crate::error::{DbError, DbResult};
use crate::rows::Row;
use crate::tables::{accounts, audit, sessions, spaces};
use crate::{
    AccountId, AuditEntry, SecretHash, SessionRecord, Sessions, id_bytes, last_of_id, public_id,
};

/// A session to create.
struct NewSession {
    token: SecretHash,
    account: AccountId,
    password_hash: String,
    address: Option<IpAddr>,
    expires: UnixMillis,
}

/// Ends the sessions of an account that exceed the limit: first those without an online peer, then
/// by the longest time since the last use.
async fn enforce_session_limit(
    db: &mut impl Database,
    account: AccountId,
    limit: u32,
    now: UnixMillis,
) -> DbResult<()> {
    let limit = i64::from(limit.max(1));
    let sql = "SELECT count(*) FROM sessions WHERE account = $1";
    let held: i64 = db.count(sql, &[&account]).await?;
    if held < limit {
        return Ok(());
    }
    let rows = db
        .rows(
            "SELECT s.token FROM sessions s WHERE s.account = $1
             ORDER BY s.expires > $2 AND (SELECT 1 FROM peers p WHERE p.session = s.token
                 AND NOT p.departed AND p.lease > $2 LIMIT 1) IS NOT NULL, s.used, s.created
             LIMIT $3",
            &[&account, &now, &(held + 1 - limit)],
        )
        .await?;
    for row in &rows {
        sessions::end(db, &row.get(0)?).await?;
    }
    Ok(())
}

async fn create(
    db: &mut impl Database,
    session: &NewSession,
    limit: u32,
    now: UnixMillis,
) -> DbResult<bool> {
    enforce_session_limit(db, session.account, limit, now).await?;
    // Waits for concurrent changes of the account. A later change ends this session.
    let account = db
        .lock(
            "SELECT 1 FROM accounts WHERE id = $1 AND NOT disabled AND password_hash = $2",
            &[&session.account, &session.password_hash],
            Lock::Share,
        )
        .await?;
    if account.is_empty() {
        return Ok(false);
    }
    let address = session.address.map(|address| address.to_string());
    db.execute(
        "INSERT INTO sessions (token, account, expires, created, used, address)
         VALUES ($1, $2, $3, $4, $4, $5)",
        &[
            &session.token,
            &session.account,
            &session.expires,
            &now,
            &address.unwrap_or_default(),
        ],
    )
    .await?;
    Ok(true)
}

async fn find(db: &mut impl Database, token: &SecretHash) -> DbResult<Option<SessionRecord>> {
    let sql = format!(
        "SELECT {}, (SELECT expires FROM sessions WHERE token = $1),
             (SELECT p.name FROM peers p WHERE p.session = $1 AND NOT p.transient
              ORDER BY p.id + 0 DESC LIMIT 1)
         FROM accounts WHERE id = (SELECT account FROM sessions WHERE token = $1)",
        accounts::COLUMNS
    );
    let Some(row) = db.row(&sql, &[token]).await? else {
        return Ok(None);
    };
    let account = accounts::record(&row)?;
    Ok(Some(SessionRecord {
        viewer: spaces::visible(db, account.id).await?,
        account,
        peer: row.get(6)?,
        expires: row.get(5)?,
    }))
}

async fn extend(
    db: &mut impl Database,
    token: &SecretHash,
    expires: UnixMillis,
    now: UnixMillis,
) -> DbResult<()> {
    db.execute(
        "UPDATE sessions SET expires = $1, used = $2 WHERE token = $3",
        &[&expires, &now, token],
    )
    .await?;
    Ok(())
}

/// Query for the sessions after the token `$1` that match a condition.
macro_rules! sessions {
    ($which:literal) => {
        concat!(
            "SELECT s.token, (SELECT name FROM accounts WHERE id = s.account), s.created,
                 s.expires, s.address,
                 (SELECT p.name FROM peers p WHERE p.session = s.token AND NOT p.transient
                  ORDER BY p.id + 0 DESC LIMIT 1), s.used
             FROM sessions s WHERE ",
            $which,
            " s.token > $1 AND s.expires > $2 ORDER BY s.token LIMIT $3"
        )
    };
}

fn summary(row: &Row) -> DbResult<SessionSummary> {
    Ok(SessionSummary {
        id: public_id(&row.get(0)?),
        user: row.get(1)?,
        created_at: row.get::<UnixMillis>(2)?.seconds(),
        last_used_at: row.get::<UnixMillis>(6)?.seconds(),
        expires_at: row.get::<UnixMillis>(3)?.seconds(),
        address: row.get::<String>(4)?.parse().ok(),
        peer: row.get(5)?,
        current: false,
    })
}

async fn list(
    db: &mut impl Database,
    of: Option<AccountId>,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> DbResult<Page<SessionSummary>> {
    let after = cursor::after(cursor, cursor::SESSIONS, |id| id_bytes(id).is_some())?;
    let (after, most) = (last_of_id(&after), cursor::rows_of(limit));
    let rows = match of {
        None => db.rows(sessions!(""), &[&after, &now, &most]).await?,
        Some(account) => {
            let sql = sessions!("s.account = $4 AND");
            db.rows(sql, &[&after, &now, &most, &account]).await?
        }
    };
    cursor::page_of(&rows, limit, summary, |last| {
        cursor::encode(&[cursor::SESSIONS, &last.id])
    })
}

async fn revoke(
    db: &mut impl Database,
    id: &str,
    of: Option<AccountId>,
    entry: &AuditEntry,
) -> DbResult<()> {
    let row = db
        .row(
            "SELECT s.token, (SELECT name FROM accounts WHERE id = s.account) FROM sessions s
             WHERE s.token >= $1 AND s.token <= $2 AND (s.account = $3 OR $3 IS NULL) LIMIT 1",
            &[&id_bytes(id).unwrap_or_default(), &last_of_id(id), &of],
        )
        .await?;
    let row = row.ok_or(DbError::UnknownSession)?;
    sessions::end(db, &row.get(0)?).await?;
    let user: UserName = row.get(1)?;
    let entry = AuditEntry {
        target: format!("{user} {}", entry.target),
        ..entry.clone()
    };
    audit::record(db, &entry).await
}

#[async_trait]
impl<B: Backend> Sessions for B {
    async fn create_session(
        &self,
        token: &SecretHash,
        account: AccountId,
        password_hash: &str,
        address: Option<IpAddr>,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, Problem> {
        let session = NewSession {
            token: *token,
            account,
            password_hash: password_hash.to_owned(),
            address,
            expires,
        };
        let limit = self.quotas().sessions;
        self.run(Access::WriteAlways, session, move |db, session| {
            Box::pin(create(db, session, limit, now))
        })
        .await
    }

    async fn session(&self, token: &SecretHash) -> Result<Option<SessionRecord>, Problem> {
        self.run(Access::Read, *token, |db, token| Box::pin(find(db, token)))
            .await
    }

    async fn extend_session(
        &self,
        token: &SecretHash,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        self.run(Access::WriteAlways, *token, move |db, token| {
            Box::pin(extend(db, token, expires, now))
        })
        .await
    }

    async fn end_session(&self, token: &SecretHash, _now: UnixMillis) -> Result<(), Problem> {
        self.run(Access::WriteAlways, *token, |db, token| {
            Box::pin(sessions::end(db, token))
        })
        .await
    }

    async fn sessions(
        &self,
        of: Option<AccountId>,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<SessionSummary>, Problem> {
        let cursor = cursor.map(str::to_owned);
        self.run(Access::LongRead, cursor, move |db, cursor| {
            Box::pin(list(db, of, limit, cursor.as_deref(), now))
        })
        .await
    }

    async fn revoke_session(
        &self,
        id: &str,
        of: Option<AccountId>,
        entry: &AuditEntry,
    ) -> Result<(), Problem> {
        let input = (id.to_owned(), entry.clone());
        self.run(Access::WriteAlways, input, move |db, (id, entry)| {
            Box::pin(revoke(db, id, of, entry))
        })
        .await
    }
}
