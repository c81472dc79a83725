//! Accounts: who is in the group.

use async_trait::async_trait;
use convite_core::administration::AccountSummary;
use convite_core::model::{Page, Role};
use convite_core::{Problem, SpaceName, UnixMillis, UserName};
use tokio_postgres::Row;

use super::connections::Connection;
use super::failure::{Failure, Outcome};
use super::{PostgresStore, audit, invites, sessions, spaces, transaction};
use crate::cursor;
use crate::stored::{damaged, user_name};
use crate::{AccountChange, AccountId, AccountRecord, Accounts, Admission, AuditEntry, SecretHash};

/// The columns that [`record`] reads, of the table `accounts` named `a`.
pub(super) const COLUMNS: &str = "a.id, a.name, a.role, a.password_hash, a.disabled";

/// Reads an account from the first five columns of a row.
pub(super) fn record(row: &Row) -> Outcome<AccountRecord> {
    Ok(AccountRecord {
        id: AccountId(row.try_get(0)?),
        user: user_name(row.try_get(1)?)?,
        role: role(row.try_get(2)?)?,
        password_hash: row.try_get(3)?,
        disabled: row.try_get(4)?,
    })
}

pub(super) fn role(text: &str) -> Outcome<Role> {
    text.parse()
        .map_err(|_| Failure::Problem(damaged("a role")))
}

async fn create(
    db: &Connection,
    user: &UserName,
    password_hash: &str,
    admission: &Admission,
    now: UnixMillis,
) -> Outcome<AccountRecord> {
    // The invite first: whoever has none learns nothing about who has an account.
    let (role, space) = match admission {
        Admission::Granted(role) => (*role, None),
        Admission::Invite(code) => invites::spend(db, code, now).await?,
    };
    let added = db
        .row(
            "INSERT INTO accounts (name, role, password_hash, created) VALUES ($1, $2, $3, $4)
             ON CONFLICT (name) DO NOTHING RETURNING id",
            &[&user.as_str(), &role.name(), &password_hash, &now.0],
        )
        .await?;
    let Some(added) = added else {
        return Err(crate::accounts::taken(user).into());
    };
    let id = AccountId(added.try_get(0)?);
    if let Some(space) = space {
        spaces::join(db, id, space, now).await?;
    }
    Ok(AccountRecord {
        id,
        user: user.clone(),
        role,
        password_hash: password_hash.to_owned(),
        disabled: false,
    })
}

pub(super) async fn has_admin(db: &Connection) -> Outcome<bool> {
    let row = db
        .one(
            "SELECT EXISTS (SELECT 1 FROM accounts WHERE role = 'admin' AND NOT disabled)",
            &[],
        )
        .await?;
    Ok(row.try_get(0)?)
}

async fn account(db: &Connection, user: &UserName) -> Outcome<Option<AccountRecord>> {
    let sql = format!("SELECT {COLUMNS} FROM accounts a WHERE a.name = $1");
    let row = db.row(&sql, &[&user.as_str()]).await?;
    row.as_ref().map(record).transpose()
}

/// The account of that name, or the problem that there is none.
pub(super) async fn existing(db: &Connection, user: &UserName) -> Outcome<AccountRecord> {
    let account = account(db, user).await?;
    Ok(account.ok_or_else(|| crate::accounts::unknown(user))?)
}

/// As [`existing`], with all administrators locked: who is the last does not change meanwhile.
async fn existing_among_admins(db: &Connection, user: &UserName) -> Outcome<AccountRecord> {
    db.execute(
        "SELECT id FROM accounts WHERE role = 'admin' ORDER BY id FOR NO KEY UPDATE",
        &[],
    )
    .await?;
    existing(db, user).await
}

/// Somebody goes on to administer without this account.
async fn must_leave_an_admin(db: &Connection, account: AccountId) -> Outcome<()> {
    let another = db
        .row(
            "SELECT 1 FROM accounts WHERE role = 'admin' AND NOT disabled AND id <> $1 LIMIT 1",
            &[&account.0],
        )
        .await?;
    match another {
        Some(_) => Ok(()),
        None => Err(crate::accounts::last_admin().into()),
    }
}

async fn set_role(db: &Connection, user: &UserName, role: Role) -> Outcome<()> {
    let account = existing_among_admins(db, user).await?;
    if account.role == Role::Admin && role != Role::Admin && !account.disabled {
        must_leave_an_admin(db, account.id).await?;
    }
    db.execute(
        "UPDATE accounts SET role = $1 WHERE id = $2",
        &[&role.name(), &account.id.0],
    )
    .await?;
    if role == Role::Guest {
        sessions::take_peers_off(db, account.id).await?;
    }
    Ok(())
}

async fn set_disabled(db: &Connection, user: &UserName, disabled: bool) -> Outcome<()> {
    let account = existing_among_admins(db, user).await?;
    if disabled && account.role == Role::Admin && !account.disabled {
        must_leave_an_admin(db, account.id).await?;
    }
    // First, so that no session begins that is not seen below.
    db.execute(
        "UPDATE accounts SET disabled = $1 WHERE id = $2",
        &[&disabled, &account.id.0],
    )
    .await?;
    if disabled {
        sessions::end_all(db, account.id, None).await?;
        sessions::take_peers_off(db, account.id).await?;
    }
    Ok(())
}

async fn set_password(
    db: &Connection,
    user: &UserName,
    password_hash: &str,
    keep: Option<&SecretHash>,
) -> Outcome<()> {
    let account = existing(db, user).await?;
    db.execute(
        "UPDATE accounts SET password_hash = $1 WHERE id = $2",
        &[&password_hash, &account.id.0],
    )
    .await?;
    sessions::end_all(db, account.id, keep).await
}

async fn change(
    db: &Connection,
    user: &UserName,
    change: &AccountChange,
    entries: &[AuditEntry],
) -> Outcome<()> {
    if let Some(role) = change.role {
        set_role(db, user, role).await?;
    }
    if let Some(disabled) = change.disabled {
        set_disabled(db, user, disabled).await?;
    }
    if let Some(hash) = &change.password_hash {
        set_password(db, user, hash, change.keep.as_ref()).await?;
    }
    for entry in entries {
        audit::record(db, entry).await?;
    }
    Ok(())
}

async fn add(
    db: &Connection,
    user: &UserName,
    password_hash: &str,
    role: Role,
    spaces: &[SpaceName],
    entry: &AuditEntry,
    now: UnixMillis,
) -> Outcome<AccountRecord> {
    let account = create(db, user, password_hash, &Admission::Granted(role), now).await?;
    for space in spaces {
        let key = spaces::key(db, space).await?;
        spaces::join(db, account.id, key, now).await?;
    }
    audit::record(db, entry).await?;
    Ok(account)
}

/// What [`summary`] reads.
const SUMMARY: &str = "SELECT a.name, a.role, a.disabled, a.created,
    ARRAY(SELECT s.name FROM memberships m JOIN spaces s ON s.id = m.space
          WHERE m.account = a.id ORDER BY s.name)
    FROM accounts a";

fn summary(row: &Row) -> Outcome<AccountSummary> {
    let spaces: Vec<&str> = row.try_get(4)?;
    let spaces = spaces.into_iter().map(spaces::space_name);
    Ok(AccountSummary {
        user: user_name(row.try_get(0)?)?,
        role: role(row.try_get(1)?)?,
        disabled: row.try_get(2)?,
        created_at: UnixMillis(row.try_get(3)?).seconds(),
        spaces: spaces.collect::<Outcome<_>>()?,
    })
}

async fn account_summary(db: &Connection, user: &UserName) -> Outcome<Option<AccountSummary>> {
    let sql = format!("{SUMMARY} WHERE a.name = $1");
    let row = db.row(&sql, &[&user.as_str()]).await?;
    row.as_ref().map(summary).transpose()
}

async fn accounts(
    db: &Connection,
    limit: u32,
    cursor: Option<&str>,
) -> Outcome<Page<AccountSummary>> {
    let limit = limit.max(1);
    let after = cursor::after(cursor, cursor::ACCOUNTS, |name| {
        name.parse::<UserName>().is_ok()
    })?;
    let sql = format!("{SUMMARY} WHERE a.name > $1 ORDER BY a.name LIMIT $2");
    let rows = db.rows(&sql, &[&after, &(i64::from(limit) + 1)]).await?;
    let items = rows.iter().map(summary);
    Ok(cursor::page(
        items.collect::<Outcome<_>>()?,
        limit as usize,
        |last: &AccountSummary| cursor::encode(&[cursor::ACCOUNTS, last.user.as_str()]),
    ))
}

#[async_trait]
impl Accounts for PostgresStore {
    async fn create_account(
        &self,
        user: &UserName,
        password_hash: &str,
        admission: Admission,
        now: UnixMillis,
    ) -> Result<AccountRecord, Problem> {
        transaction!(self, db => create(db, user, password_hash, &admission, now))
    }

    async fn account(&self, user: &UserName) -> Result<Option<AccountRecord>, Problem> {
        Ok(account(&self.connections.get().await?, user).await?)
    }

    async fn has_admin(&self) -> Result<bool, Problem> {
        Ok(has_admin(&self.connections.get().await?).await?)
    }

    async fn add_account(
        &self,
        user: &UserName,
        password_hash: &str,
        role: Role,
        spaces: &[SpaceName],
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<AccountRecord, Problem> {
        transaction!(self, db => add(db, user, password_hash, role, spaces, entry, now))
    }

    async fn accounts(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<AccountSummary>, Problem> {
        Ok(accounts(&self.connections.get().await?, limit, cursor).await?)
    }

    async fn account_summary(&self, user: &UserName) -> Result<Option<AccountSummary>, Problem> {
        Ok(account_summary(&self.connections.get().await?, user).await?)
    }

    async fn change_account(
        &self,
        user: &UserName,
        what: &AccountChange,
        entries: &[AuditEntry],
    ) -> Result<(), Problem> {
        transaction!(self, db => change(db, user, what, entries))
    }
}
