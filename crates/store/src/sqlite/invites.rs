//! The invites that let accounts in.

use async_trait::async_trait;
use convite_core::model::Role;
use convite_core::{Problem, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use super::SqliteStore;
use super::accounts::{has_admin, role};
use super::failure::Outcome;
use crate::{InviteRecord, Invites, SecretHash};

/// Uses an invite once; returns the role that it gives.
pub(super) fn spend(db: &Connection, code: &SecretHash, now: UnixMillis) -> Outcome<Role> {
    let invite = invite(db, code, now)?.ok_or_else(crate::invites::invalid)?;
    db.prepare_cached("UPDATE invites SET uses = uses - 1 WHERE code = ? AND uses IS NOT NULL")?
        .execute([code])?;
    if invite.founds && !has_admin(db)? {
        return Ok(Role::Admin);
    }
    Ok(invite.role)
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

#[async_trait]
impl Invites for SqliteStore {
    async fn create_invite(&self, invite: &InviteRecord, now: UnixMillis) -> Result<(), Problem> {
        let invite = invite.clone();
        self.writer
            .write(move |db| create_invite(db, &invite, now))
            .await
    }

    async fn invite(
        &self,
        code: &SecretHash,
        now: UnixMillis,
    ) -> Result<Option<InviteRecord>, Problem> {
        self.readers.read(|db| invite(db, code, now))
    }
}
