//! The invites that let accounts in.

use async_trait::async_trait;
use convite_core::administration::InviteSummary;
use convite_core::model::{Page, Role};
use convite_core::{Problem, SpaceName, UnixMillis, UserName};
use rusqlite::{Connection, OptionalExtension, params};

use super::accounts::{has_admin, role};
use super::failure::Outcome;
use super::{SqliteStore, audit, spaces};
use crate::cursor;
use crate::stored::{damaged, user_name};
use crate::{AuditEntry, InviteRecord, Invites, SecretHash, id_bytes, public_id};

/// Uses an invite once; returns the role that it gives, and the number of the space, if any.
pub(super) fn spend(
    db: &Connection,
    code: &SecretHash,
    now: UnixMillis,
) -> Outcome<(Role, Option<i64>)> {
    let invite = invite(db, code, now)?.ok_or_else(crate::invites::invalid)?;
    db.prepare_cached("UPDATE invites SET uses = uses - 1 WHERE code = ? AND uses IS NOT NULL")?
        .execute([code])?;
    let space = match &invite.space {
        Some(space) => Some(spaces::key(db, space)?),
        None => None,
    };
    if invite.founds && !has_admin(db)? {
        return Ok((Role::Admin, space));
    }
    Ok((invite.role, space))
}

pub(super) fn create_invite(
    db: &Connection,
    invite: &InviteRecord,
    entry: Option<&AuditEntry>,
    now: UnixMillis,
) -> Outcome<()> {
    let creator = entry.and_then(|entry| entry.actor.as_ref());
    let space = match &invite.space {
        Some(space) => spaces::key(db, space)?,
        None => 0,
    };
    db.prepare_cached(
        "INSERT INTO invites (code, role, uses, expires, founds, created, space, creator)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (code) DO UPDATE SET role = excluded.role, uses = excluded.uses,
             expires = excluded.expires, founds = excluded.founds, space = excluded.space",
    )?
    .execute(params![
        invite.code,
        invite.role.name(),
        invite.uses,
        invite.expires.0,
        invite.founds,
        now.0,
        space,
        creator.map_or("", |user| user.as_str())
    ])?;
    entry.map_or(Ok(()), |entry| audit::record(db, entry))
}

pub(super) fn invite(
    db: &Connection,
    code: &SecretHash,
    now: UnixMillis,
) -> Outcome<Option<InviteRecord>> {
    let found = db
        .prepare_cached(
            "SELECT i.role, i.uses, i.expires, i.founds, s.name
             FROM invites i LEFT JOIN spaces s ON s.id = i.space
             WHERE i.code = ? AND i.expires > ? AND (i.uses IS NULL OR i.uses > 0)",
        )?
        .query_row(params![code, now.0], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get(1)?,
                UnixMillis(row.get(2)?),
                row.get(3)?,
                row.get::<_, Option<String>>(4)?,
            ))
        })
        .optional()?;
    let Some((name, uses, expires, founds, space)) = found else {
        return Ok(None);
    };
    Ok(Some(InviteRecord {
        code: *code,
        role: role(Ok(&name))?,
        space: space_name(space)?,
        uses,
        expires,
        founds,
    }))
}

fn space_name(text: Option<String>) -> Outcome<Option<SpaceName>> {
    let parsed = text.map(|text| text.parse()).transpose();
    Ok(parsed.map_err(|_| damaged("the name of a space"))?)
}

fn creator(text: Result<&str, rusqlite::types::FromSqlError>) -> Outcome<Option<UserName>> {
    match text {
        Ok("") => Ok(None),
        Ok(text) => Ok(Some(user_name(text)?)),
        Err(_) => Err(damaged("a user name").into()),
    }
}

fn invites(
    db: &Connection,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> Outcome<Page<InviteSummary>> {
    let limit = limit.max(1);
    let after = cursor::after(cursor, cursor::INVITES, |id| id_bytes(id).is_some())?;
    let mut statement = db.prepare_cached(
        "SELECT i.code, i.role, s.name, i.uses, i.created, i.expires, i.creator
         FROM invites i LEFT JOIN spaces s ON s.id = i.space
         WHERE substr(i.code, 1, 8) > ? AND i.expires > ? AND (i.uses IS NULL OR i.uses > 0)
         ORDER BY i.code LIMIT ?",
    )?;
    let after = id_bytes(&after).unwrap_or_default();
    let mut rows = statement.query(params![after, now.0, i64::from(limit) + 1])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(InviteSummary {
            id: public_id(&row.get(0)?),
            role: role(row.get_ref(1)?.as_str())?,
            space: space_name(row.get(2)?)?,
            uses_left: row.get(3)?,
            created_at: UnixMillis(row.get(4)?).seconds(),
            expires_at: UnixMillis(row.get(5)?).seconds(),
            created_by: creator(row.get_ref(6)?.as_str())?,
        });
    }
    Ok(cursor::page(items, limit as usize, |last| {
        cursor::encode(&[cursor::INVITES, &last.id])
    }))
}

fn revoke(db: &Connection, id: &str) -> Outcome<()> {
    let bytes = id_bytes(id).unwrap_or_default();
    let removed = db
        .prepare_cached("DELETE FROM invites WHERE substr(code, 1, 8) = ?")?
        .execute([bytes])?;
    if removed == 0 {
        return Err(crate::invites::unknown().into());
    }
    Ok(())
}

#[async_trait]
impl Invites for SqliteStore {
    async fn create_invite(
        &self,
        invite: &InviteRecord,
        entry: Option<&AuditEntry>,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        let (invite, entry) = (invite.clone(), entry.cloned());
        self.writer
            .write(move |db| create_invite(db, &invite, entry.as_ref(), now))
            .await
    }

    async fn invites(
        &self,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<InviteSummary>, Problem> {
        self.readers.read(|db| invites(db, limit, cursor, now))
    }

    async fn revoke_invite(&self, id: &str, entry: &AuditEntry) -> Result<(), Problem> {
        let (id, entry) = (id.to_owned(), entry.clone());
        self.writer
            .write(move |db| {
                revoke(db, &id)?;
                audit::record(db, &entry)
            })
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
