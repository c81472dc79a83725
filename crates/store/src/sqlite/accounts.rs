//! Accounts.

use async_trait::async_trait;
use convite_core::model::Role;
use convite_core::{Problem, UnixMillis, UserName};
use rusqlite::{Connection, Row, params};

use super::SqliteStore;
use super::failure::{Failure, Outcome, damaged};
use super::invites;
use crate::{AccountId, AccountRecord, Accounts, Admission};

/// The columns that [`record`] reads, of the table `accounts` named `a`.
pub(super) const COLUMNS: &str = "a.id, a.name, a.role, a.password_hash, a.disabled";

/// Reads an account from the first five columns of a row.
pub(super) fn record(row: &Row<'_>) -> Outcome<AccountRecord> {
    let user: String = row.get(1)?;
    Ok(AccountRecord {
        id: AccountId(row.get(0)?),
        user: user.parse().map_err(|_| damaged("a user name"))?,
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
    let role = match admission {
        Admission::Granted(role) => *role,
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
    Ok(AccountRecord {
        id: AccountId(db.last_insert_rowid()),
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
}
