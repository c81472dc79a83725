//! Accounts.

use async_trait::async_trait;
use convite_core::administration::AccountSummary;
use convite_core::model::{Page, Role};
use convite_core::{Problem, SpaceName, UnixMillis, UserName};
use rusqlite::{Connection, Row, params};

use super::failure::{Failure, Outcome};
use super::{SqliteStore, audit, invites, sessions, spaces};
use crate::cursor;
use crate::stored::{damaged, user_name};
use crate::{AccountChange, AccountId, AccountRecord, Accounts, Admission, AuditEntry, SecretHash};

/// The columns that [`record`] reads, of the table `accounts` named `a`.
pub(super) const COLUMNS: &str = "a.id, a.name, a.role, a.password_hash, a.disabled";

/// Reads an account from the first five columns of a row.
pub(super) fn record(row: &Row<'_>) -> Outcome<AccountRecord> {
    let user: String = row.get(1)?;
    Ok(AccountRecord {
        id: AccountId(row.get(0)?),
        user: user_name(&user)?,
        role: role(row.get_ref(2)?.as_str())?,
        password_hash: row.get(3)?,
        disabled: row.get(4)?,
    })
}

pub(super) fn role(text: Result<&str, rusqlite::types::FromSqlError>) -> Outcome<Role> {
    text.ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Failure::Problem(damaged("a role")))
}

pub(super) fn create(
    db: &Connection,
    user: &UserName,
    password_hash: &str,
    admission: &Admission,
    now: UnixMillis,
) -> Outcome<AccountRecord> {
    // The invite first: whoever has none learns nothing about who has an account.
    let (role, space) = match admission {
        Admission::Granted(role) => (*role, None),
        Admission::Invite(code) => invites::spend(db, code, now)?,
    };
    let added = db
        .prepare_cached(
            "INSERT INTO accounts (name, role, password_hash, created) VALUES (?, ?, ?, ?)
             ON CONFLICT (name) DO NOTHING",
        )?
        .execute(params![user.as_str(), role.name(), password_hash, now.0])?;
    if added == 0 {
        return Err(crate::accounts::taken(user).into());
    }
    let id = AccountId(db.last_insert_rowid());
    if let Some(space) = space {
        spaces::join(db, id.0, space, now)?;
    }
    Ok(AccountRecord {
        id,
        user: user.clone(),
        role,
        password_hash: password_hash.to_owned(),
        disabled: false,
    })
}

pub(super) fn account(db: &Connection, user: &UserName) -> Outcome<Option<AccountRecord>> {
    let sql = format!("SELECT {COLUMNS} FROM accounts a WHERE a.name = ?");
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query([user.as_str()])?;
    rows.next()?.map(record).transpose()
}

pub(super) fn has_admin(db: &Connection) -> Outcome<bool> {
    Ok(db
        .prepare_cached("SELECT 1 FROM accounts WHERE role = 'admin' AND disabled = 0 LIMIT 1")?
        .exists([])?)
}

/// The account of that name, or the problem that there is none.
pub(super) fn existing(db: &Connection, user: &UserName) -> Outcome<AccountRecord> {
    Ok(account(db, user)?.ok_or_else(|| crate::accounts::unknown(user))?)
}

/// Somebody goes on to administer without this account.
fn must_leave_an_admin(db: &Connection, account: AccountId) -> Outcome<()> {
    let another = db
        .prepare_cached(
            "SELECT 1 FROM accounts WHERE role = 'admin' AND disabled = 0 AND id <> ? LIMIT 1",
        )?
        .exists([account.0])?;
    if another {
        return Ok(());
    }
    Err(crate::accounts::last_admin().into())
}

fn set_role(db: &Connection, user: &UserName, role: Role) -> Outcome<()> {
    let account = existing(db, user)?;
    if account.role == Role::Admin && role != Role::Admin && !account.disabled {
        must_leave_an_admin(db, account.id)?;
    }
    db.prepare_cached("UPDATE accounts SET role = ? WHERE id = ?")?
        .execute(params![role.name(), account.id.0])?;
    if role == Role::Guest {
        sessions::take_peers_off(db, account.id)?;
    }
    Ok(())
}

fn set_disabled(db: &Connection, user: &UserName, disabled: bool) -> Outcome<()> {
    let account = existing(db, user)?;
    if disabled {
        if account.role == Role::Admin && !account.disabled {
            must_leave_an_admin(db, account.id)?;
        }
        sessions::end_all(db, account.id, None)?;
        sessions::take_peers_off(db, account.id)?;
    }
    db.prepare_cached("UPDATE accounts SET disabled = ? WHERE id = ?")?
        .execute(params![disabled, account.id.0])?;
    Ok(())
}

fn set_password(
    db: &Connection,
    user: &UserName,
    password_hash: &str,
    keep: Option<&SecretHash>,
) -> Outcome<()> {
    let account = existing(db, user)?;
    db.prepare_cached("UPDATE accounts SET password_hash = ? WHERE id = ?")?
        .execute(params![password_hash, account.id.0])?;
    sessions::end_all(db, account.id, keep)
}

fn change(db: &Connection, user: &UserName, change: &AccountChange) -> Outcome<()> {
    if let Some(role) = change.role {
        set_role(db, user, role)?;
    }
    if let Some(disabled) = change.disabled {
        set_disabled(db, user, disabled)?;
    }
    if let Some(hash) = &change.password_hash {
        set_password(db, user, hash, change.keep.as_ref())?;
    }
    Ok(())
}

/// What [`summary`] reads.
const SUMMARY: &str = "SELECT id, name, role, disabled, created FROM accounts";

fn summary(db: &Connection, row: &Row<'_>) -> Outcome<AccountSummary> {
    let mut spaces = db.prepare_cached(
        "SELECT s.name FROM memberships m JOIN spaces s ON s.id = m.space
         WHERE m.account = ? ORDER BY s.name",
    )?;
    let mut names = Vec::new();
    let mut own = spaces.query([row.get::<_, i64>(0)?])?;
    while let Some(space) = own.next()? {
        let space: String = space.get(0)?;
        names.push(space.parse().map_err(|_| damaged("the name of a space"))?);
    }
    Ok(AccountSummary {
        user: user_name(&row.get::<_, String>(1)?)?,
        role: role(row.get_ref(2)?.as_str())?,
        disabled: row.get(3)?,
        created_at: UnixMillis(row.get(4)?).seconds(),
        spaces: names,
    })
}

fn account_summary(db: &Connection, user: &UserName) -> Outcome<Option<AccountSummary>> {
    let mut statement = db.prepare_cached(&format!("{SUMMARY} WHERE name = ?"))?;
    let mut rows = statement.query([user.as_str()])?;
    rows.next()?.map(|row| summary(db, row)).transpose()
}

fn accounts(db: &Connection, limit: u32, cursor: Option<&str>) -> Outcome<Page<AccountSummary>> {
    let limit = limit.max(1);
    let after = cursor::after(cursor, cursor::ACCOUNTS, |name| {
        name.parse::<UserName>().is_ok()
    })?;
    let sql = format!("{SUMMARY} WHERE name > ? ORDER BY name LIMIT ?");
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params![after, i64::from(limit) + 1])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(summary(db, row)?);
    }
    Ok(cursor::page(items, limit as usize, |last| {
        cursor::encode(&[cursor::ACCOUNTS, last.user.as_str()])
    }))
}

#[async_trait]
impl Accounts for SqliteStore {
    async fn create_account(
        &self,
        user: &UserName,
        password_hash: &str,
        admission: Admission,
        now: UnixMillis,
    ) -> Result<AccountRecord, Problem> {
        let (user, password_hash) = (user.clone(), password_hash.to_owned());
        self.writer
            .write(move |db| create(db, &user, &password_hash, &admission, now))
            .await
    }

    async fn account(&self, user: &UserName) -> Result<Option<AccountRecord>, Problem> {
        self.readers.read(|db| account(db, user))
    }

    async fn has_admin(&self) -> Result<bool, Problem> {
        self.readers.read(|db| has_admin(db))
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
        let (user, password_hash) = (user.clone(), password_hash.to_owned());
        let (spaces, entry) = (spaces.to_vec(), entry.clone());
        self.writer
            .write(move |db| {
                let admission = Admission::Granted(role);
                let account = create(db, &user, &password_hash, &admission, now)?;
                for space in &spaces {
                    spaces::join(db, account.id.0, spaces::key(db, space)?, now)?;
                }
                audit::record(db, &entry)?;
                Ok(account)
            })
            .await
    }

    async fn accounts(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<AccountSummary>, Problem> {
        self.readers.read(|db| accounts(db, limit, cursor))
    }

    async fn account_summary(&self, user: &UserName) -> Result<Option<AccountSummary>, Problem> {
        self.readers.read(|db| account_summary(db, user))
    }

    async fn change_account(
        &self,
        user: &UserName,
        what: &AccountChange,
        entries: &[AuditEntry],
    ) -> Result<(), Problem> {
        let (user, what, entries) = (user.clone(), what.clone(), entries.to_vec());
        self.writer
            .write(move |db| {
                change(db, &user, &what)?;
                entries
                    .iter()
                    .try_for_each(|entry| audit::record(db, entry))
            })
            .await
    }
}
