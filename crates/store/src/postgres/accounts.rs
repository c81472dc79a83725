//! Accounts: who is in the group.

use async_trait::async_trait;
use convite_core::model::Role;
use convite_core::{Problem, UnixMillis, UserName};
use tokio_postgres::Row;

use super::connections::Connection;
use super::failure::{Failure, Outcome, damaged};
use super::{PostgresStore, invites, transaction};
use crate::{AccountId, AccountRecord, Accounts, Admission};

/// The columns that [`record`] reads, of the table `accounts` named `a`.
pub(super) const COLUMNS: &str = "a.id, a.name, a.role, a.password_hash, a.disabled";

/// Reads an account from the first five columns of a row.
pub(super) fn record(row: &Row) -> Outcome<AccountRecord> {
    let user: &str = row.try_get(1)?;
    Ok(AccountRecord {
        id: AccountId(row.try_get(0)?),
        user: user.parse().map_err(|_| damaged("a user name"))?,
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
    let role = match admission {
        Admission::Granted(role) => *role,
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
    Ok(AccountRecord {
        id: AccountId(added.try_get(0)?),
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
        let sql = format!("SELECT {COLUMNS} FROM accounts a WHERE a.name = $1");
        let db = self.connections.get().await?;
        let row = db.row(&sql, &[&user.as_str()]).await?;
        Ok(row.as_ref().map(record).transpose()?)
    }

    async fn has_admin(&self) -> Result<bool, Problem> {
        Ok(has_admin(&self.connections.get().await?).await?)
    }
}
