//! Accounts.

use async_trait::async_trait;
use convite_core::administration::AccountSummary;
use convite_core::model::{Page, Role};
use convite_core::{Problem, SpaceName, UnixMillis, UserName};

use super::invites;
use crate::cursor;
use crate::database::{Access, Backend, Database, Lock};
use crate::error::{DbError, DbResult};
use crate::rows::Row;
use crate::tables::{accounts, audit, sessions, spaces};
use crate::{AccountChange, AccountId, AccountRecord, Accounts, Admission, AuditEntry};

async fn create(
    db: &mut impl Database,
    user: &UserName,
    password_hash: &str,
    admission: &Admission,
    now: UnixMillis,
) -> DbResult<AccountRecord> {
    // The invite first, so that a caller without one cannot find out which accounts exist.
    let (role, space) = match admission {
        Admission::Granted(role) => (*role, None),
        Admission::Invite(code) => invites::spend(db, code, now).await?,
    };
    let added = db
        .value(
            "INSERT INTO accounts (name, role, password_hash, created) VALUES ($1, $2, $3, $4)
             ON CONFLICT (name) DO NOTHING RETURNING id",
            &[user, &role, &password_hash, &now],
        )
        .await?;
    let id = added.ok_or_else(|| DbError::UserTaken(user.clone()))?;
    if let Some(space) = space {
        spaces::add_membership(db, id, space, now).await?;
    }
    Ok(AccountRecord {
        id,
        user: user.clone(),
        role,
        password_hash: password_hash.to_owned(),
        disabled: false,
    })
}

async fn add(
    db: &mut impl Database,
    user: &UserName,
    password_hash: &str,
    role: Role,
    members_of: &[SpaceName],
    entry: &AuditEntry,
    now: UnixMillis,
) -> DbResult<AccountRecord> {
    let account = create(db, user, password_hash, &Admission::Granted(role), now).await?;
    for space in members_of {
        let key = spaces::existing(db, space).await?;
        spaces::add_membership(db, account.id, key, now).await?;
    }
    audit::record(db, entry).await?;
    Ok(account)
}

/// Returns the account with this name, and locks all administrators, so that the last one cannot
/// change concurrently.
async fn existing_among_admins(db: &mut impl Database, user: &UserName) -> DbResult<AccountRecord> {
    let sql = "SELECT id FROM accounts WHERE role = 'admin' ORDER BY id";
    db.lock(sql, &[], Lock::NoKeyUpdate).await?;
    accounts::existing(db, user).await
}

/// Checks that another administrator remains without this account.
async fn check_admin_remains(db: &mut impl Database, account: AccountId) -> DbResult<()> {
    let another = db
        .row(
            "SELECT 1 FROM accounts WHERE role = 'admin' AND NOT disabled AND id <> $1 LIMIT 1",
            &[&account],
        )
        .await?;
    another.map(drop).ok_or(DbError::LastAdmin)
}

async fn set_role(db: &mut impl Database, user: &UserName, role: Role) -> DbResult<()> {
    let account = existing_among_admins(db, user).await?;
    if account.role == Role::Admin && role != Role::Admin && !account.disabled {
        check_admin_remains(db, account.id).await?;
    }
    db.execute(
        "UPDATE accounts SET role = $1 WHERE id = $2",
        &[&role, &account.id],
    )
    .await?;
    if role == Role::Guest {
        sessions::set_peers_offline(db, account.id).await?;
    }
    Ok(())
}

async fn set_disabled(db: &mut impl Database, user: &UserName, disabled: bool) -> DbResult<()> {
    let account = existing_among_admins(db, user).await?;
    if disabled && account.role == Role::Admin && !account.disabled {
        check_admin_remains(db, account.id).await?;
    }
    // First, so that no session can start that is not ended below.
    db.execute(
        "UPDATE accounts SET disabled = $1 WHERE id = $2",
        &[&disabled, &account.id],
    )
    .await?;
    if disabled {
        sessions::end_all(db, account.id, None).await?;
        sessions::set_peers_offline(db, account.id).await?;
    }
    Ok(())
}

async fn change(
    db: &mut impl Database,
    user: &UserName,
    change: &AccountChange,
    entries: &[AuditEntry],
) -> DbResult<()> {
    if let Some(role) = change.role {
        set_role(db, user, role).await?;
    }
    if let Some(disabled) = change.disabled {
        set_disabled(db, user, disabled).await?;
    }
    if let Some(hash) = &change.password_hash {
        let account = accounts::existing(db, user).await?;
        db.execute(
            "UPDATE accounts SET password_hash = $1 WHERE id = $2",
            &[hash, &account.id],
        )
        .await?;
        sessions::end_all(db, account.id, change.keep.as_ref()).await?;
    }
    for entry in entries {
        audit::record(db, entry).await?;
    }
    Ok(())
}

/// Query for [`summary`].
const SUMMARY: &str = "SELECT a.name, a.role, a.disabled, a.created,
    (SELECT string_agg(n.name, ' ') FROM (
         SELECT (SELECT name FROM spaces WHERE id = m.space) AS name
         FROM memberships m WHERE m.account = a.id) n)
    FROM accounts a";

fn summary(row: &Row) -> DbResult<AccountSummary> {
    let spaces: Option<String> = row.get(4)?;
    let spaces = spaces.as_deref().unwrap_or_default().split_whitespace();
    let mut spaces = spaces
        .map(|name| name.parse().map_err(|_| DbError::Damaged("a space name")))
        .collect::<DbResult<Vec<SpaceName>>>()?;
    spaces.sort();
    Ok(AccountSummary {
        user: row.get(0)?,
        role: row.get(1)?,
        disabled: row.get(2)?,
        created_at: row.get::<UnixMillis>(3)?.seconds(),
        spaces,
    })
}

async fn account_summary(
    db: &mut impl Database,
    user: &UserName,
) -> DbResult<Option<AccountSummary>> {
    let sql = format!("{SUMMARY} WHERE a.name = $1");
    let row = db.row(&sql, &[user]).await?;
    row.as_ref().map(summary).transpose()
}

async fn list(
    db: &mut impl Database,
    limit: u32,
    cursor: Option<&str>,
) -> DbResult<Page<AccountSummary>> {
    let after = cursor::after(cursor, cursor::ACCOUNTS, |name| {
        name.parse::<UserName>().is_ok()
    })?;
    let sql = format!("{SUMMARY} WHERE a.name > $1 ORDER BY a.name LIMIT $2");
    let rows = db.rows(&sql, &[&after, &cursor::rows_of(limit)]).await?;
    cursor::page_of(&rows, limit, summary, |last| {
        cursor::encode(&[cursor::ACCOUNTS, last.user.as_str()])
    })
}

#[async_trait]
impl<B: Backend> Accounts for B {
    async fn create_account(
        &self,
        user: &UserName,
        password_hash: &str,
        admission: Admission,
        now: UnixMillis,
    ) -> Result<AccountRecord, Problem> {
        let input = (user.clone(), password_hash.to_owned(), admission);
        self.run(Access::Write, input, move |db, (user, hash, admission)| {
            Box::pin(create(db, user, hash, admission, now))
        })
        .await
    }

    async fn account(&self, user: &UserName) -> Result<Option<AccountRecord>, Problem> {
        self.run(Access::Read, user.clone(), |db, user| {
            Box::pin(accounts::find(db, user))
        })
        .await
    }

    async fn has_admin(&self) -> Result<bool, Problem> {
        self.run(Access::Read, (), |db, ()| Box::pin(accounts::has_admin(db)))
            .await
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
        let input = (
            user.clone(),
            password_hash.to_owned(),
            spaces.to_vec(),
            entry.clone(),
        );
        self.run(
            Access::Write,
            input,
            move |db, (user, hash, spaces, entry)| {
                Box::pin(add(db, user, hash, role, spaces, entry, now))
            },
        )
        .await
    }

    async fn accounts(
        &self,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<AccountSummary>, Problem> {
        let cursor = cursor.map(str::to_owned);
        self.run(Access::Read, cursor, move |db, cursor| {
            Box::pin(list(db, limit, cursor.as_deref()))
        })
        .await
    }

    async fn account_summary(&self, user: &UserName) -> Result<Option<AccountSummary>, Problem> {
        self.run(Access::Read, user.clone(), |db, user| {
            Box::pin(account_summary(db, user))
        })
        .await
    }

    async fn change_account(
        &self,
        user: &UserName,
        what: &AccountChange,
        entries: &[AuditEntry],
    ) -> Result<(), Problem> {
        let input = (user.clone(), what.clone(), entries.to_vec());
        self.run(Access::Write, input, |db, (user, what, entries)| {
            Box::pin(change(db, user, what, entries))
        })
        .await
    }
}
