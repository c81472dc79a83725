//! Accounts and the invites that let them in.

use convite_core::model::Role;
use convite_core::{ErrorCode, Problem, UnixMillis, UserName};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::failure::{Failure, Outcome, damaged};
use crate::{AccountId, AccountRecord, Admission, InviteRecord, SecretHash};

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

fn role(text: Result<&str, rusqlite::types::FromSqlError>) -> Outcome<Role> {
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
        Admission::Invite(code) => spend(db, code, now)?,
    };
    let added = db
        .prepare_cached(
            "INSERT INTO accounts (name, role, password_hash, created) VALUES (?, ?, ?, ?)
             ON CONFLICT (name) DO NOTHING",
        )?
        .execute(params![user.as_str(), role.name(), password_hash, now.0])?;
    if added == 0 {
        return Err(Problem::new(
            ErrorCode::UserTaken,
            format!("the user name '{user}' is taken"),
        )
        .hint("choose another name, or log in if it is yours")
        .into());
    }
    Ok(AccountRecord {
        id: AccountId(db.last_insert_rowid()),
        user: user.clone(),
        role,
        password_hash: password_hash.to_owned(),
        disabled: false,
    })
}

/// Uses an invite once; returns the role that it gives.
fn spend(db: &Connection, code: &SecretHash, now: UnixMillis) -> Outcome<Role> {
    let invite = invite(db, code, now)?.ok_or_else(|| {
        Problem::new(
            ErrorCode::InviteInvalid,
            "the invite is unknown, used up or over",
        )
        .hint("ask whoever invited you for a new one")
    })?;
    db.prepare_cached("UPDATE invites SET uses = uses - 1 WHERE code = ? AND uses IS NOT NULL")?
        .execute([code])?;
    if invite.founds && !has_admin(db)? {
        return Ok(Role::Admin);
    }
    Ok(invite.role)
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

pub(super) fn create_invite(
    db: &Connection,
    invite: &InviteRecord,
    now: UnixMillis,
) -> Outcome<()> {
    db.prepare_cached(
        "INSERT INTO invites (code, role, uses, expires, founds, created)
         VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (code) DO UPDATE SET role = excluded.role, uses = excluded.uses,
             expires = excluded.expires, founds = excluded.founds",
    )?
    .execute(params![
        invite.code,
        invite.role.name(),
        invite.uses,
        invite.expires.0,
        invite.founds,
        now.0
    ])?;
    Ok(())
}

pub(super) fn invite(
    db: &Connection,
    code: &SecretHash,
    now: UnixMillis,
) -> Outcome<Option<InviteRecord>> {
    let found = db
        .prepare_cached(
            "SELECT role, uses, expires, founds FROM invites
             WHERE code = ? AND expires > ? AND (uses IS NULL OR uses > 0)",
        )?
        .query_row(params![code, now.0], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get(1)?,
                UnixMillis(row.get(2)?),
                row.get(3)?,
            ))
        })
        .optional()?;
    let Some((name, uses, expires, founds)) = found else {
        return Ok(None);
    };
    Ok(Some(InviteRecord {
        code: *code,
        role: role(Ok(&name))?,
        uses,
        expires,
        founds,
    }))
}
