//! The invites that let accounts in.

use async_trait::async_trait;
use convite_core::administration::InviteSummary;
use convite_core::model::{Page, Role};
use convite_core::{Problem, UnixMillis};

use super::accounts::{has_admin, role};
use super::connections::Connection;
use super::failure::Outcome;
use super::{PostgresStore, audit, spaces, transaction};
use crate::cursor;
use crate::stored::{damaged, user_name};
use crate::{AuditEntry, InviteRecord, Invites, SecretHash, id_bytes, public_id};

/// Uses an invite once; returns the role that it gives, and the number of its space, if any. The row stays locked until the transaction
/// ends, so that the last use goes to one.
pub(super) async fn spend(
    db: &Connection,
    code: &SecretHash,
    now: UnixMillis,
) -> Outcome<(Role, Option<i64>)> {
    let spent = db
        .row(
            "UPDATE invites SET uses = uses - 1
             WHERE code = $1 AND expires > $2 AND (uses IS NULL OR uses > 0)
             RETURNING role, founds, space",
            &[&code.as_slice(), &now.0],
        )
        .await?;
    let spent = spent.ok_or_else(crate::invites::invalid)?;
    let space = Some(spent.try_get::<_, i64>(2)?).filter(|space| *space != 0);
    if spent.try_get(1)? {
        // One founder at a time, whatever invite each has: any row that everybody locks will do.
        db.one("SELECT position FROM change_log FOR UPDATE", &[])
            .await?;
        if !has_admin(db).await? {
            return Ok((Role::Admin, space));
        }
    }
    Ok((role(spent.try_get(0)?)?, space))
}

async fn create(
    db: &Connection,
    invite: &InviteRecord,
    entry: Option<&AuditEntry>,
    now: UnixMillis,
) -> Outcome<()> {
    let creator = entry.and_then(|entry| entry.actor.as_ref());
    let space = match &invite.space {
        Some(space) => spaces::key(db, space).await?,
        None => 0,
    };
    db.execute(
        "INSERT INTO invites (code, role, uses, expires, founds, created, space, creator)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (code) DO UPDATE SET role = excluded.role, uses = excluded.uses,
             expires = excluded.expires, founds = excluded.founds, space = excluded.space",
        &[
            &invite.code.as_slice(),
            &invite.role.name(),
            &invite.uses.map(i64::from),
            &invite.expires.0,
            &invite.founds,
            &now.0,
            &space,
            &creator.map_or("", |user| user.as_str()),
        ],
    )
    .await?;
    match entry {
        Some(entry) => audit::record(db, entry).await,
        None => Ok(()),
    }
}

fn uses(stored: Option<i64>) -> Outcome<Option<u32>> {
    let uses = stored.map(u32::try_from).transpose();
    Ok(uses.map_err(|_| damaged("a number of uses"))?)
}

async fn invite(
    db: &Connection,
    code: &SecretHash,
    now: UnixMillis,
) -> Outcome<Option<InviteRecord>> {
    let found = db
        .row(
            "SELECT i.role, i.uses, i.expires, i.founds, s.name
             FROM invites i LEFT JOIN spaces s ON s.id = i.space
             WHERE i.code = $1 AND i.expires > $2 AND (i.uses IS NULL OR i.uses > 0)",
            &[&code.as_slice(), &now.0],
        )
        .await?;
    let Some(row) = found else {
        return Ok(None);
    };
    let space: Option<&str> = row.try_get(4)?;
    Ok(Some(InviteRecord {
        code: *code,
        role: role(row.try_get(0)?)?,
        space: space.map(spaces::space_name).transpose()?,
        uses: uses(row.try_get(1)?)?,
        expires: UnixMillis(row.try_get(2)?),
        founds: row.try_get(3)?,
    }))
}

async fn invites(
    db: &Connection,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> Outcome<Page<InviteSummary>> {
    let limit = limit.max(1);
    let after = cursor::after(cursor, cursor::INVITES, |id| id_bytes(id).is_some())?;
    let rows = db
        .rows(
            "SELECT i.code, i.role, s.name, i.uses, i.created, i.expires, i.creator
             FROM invites i LEFT JOIN spaces s ON s.id = i.space
             WHERE substring(i.code FROM 1 FOR 8) > $1 AND i.expires > $2
                 AND (i.uses IS NULL OR i.uses > 0)
             ORDER BY i.code LIMIT $3",
            &[
                &id_bytes(&after).unwrap_or_default(),
                &now.0,
                &(i64::from(limit) + 1),
            ],
        )
        .await?;
    let items = rows.iter().map(|row| {
        let code: &[u8] = row.try_get(0)?;
        let space: Option<&str> = row.try_get(2)?;
        Ok(InviteSummary {
            id: public_id(&code.try_into().map_err(|_| damaged("a code"))?),
            role: role(row.try_get(1)?)?,
            space: space.map(spaces::space_name).transpose()?,
            uses_left: uses(row.try_get(3)?)?,
            created_at: UnixMillis(row.try_get(4)?).seconds(),
            expires_at: UnixMillis(row.try_get(5)?).seconds(),
            created_by: match row.try_get(6)? {
                "" => None,
                user => Some(user_name(user)?),
            },
        })
    });
    Ok(cursor::page(
        items.collect::<Outcome<_>>()?,
        limit as usize,
        |last: &InviteSummary| cursor::encode(&[cursor::INVITES, &last.id]),
    ))
}

async fn revoke(db: &Connection, id: &str, entry: &AuditEntry) -> Outcome<()> {
    let removed = db
        .execute(
            "DELETE FROM invites WHERE substring(code FROM 1 FOR 8) = $1",
            &[&id_bytes(id).unwrap_or_default()],
        )
        .await?;
    if removed == 0 {
        return Err(crate::invites::unknown().into());
    }
    audit::record(db, entry).await
}

#[async_trait]
impl Invites for PostgresStore {
    async fn create_invite(
        &self,
        invite: &InviteRecord,
        entry: Option<&AuditEntry>,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        transaction!(self, db => create(db, invite, entry, now))
    }

    async fn invites(
        &self,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<InviteSummary>, Problem> {
        Ok(invites(&self.connections.get().await?, limit, cursor, now).await?)
    }

    async fn revoke_invite(&self, id: &str, entry: &AuditEntry) -> Result<(), Problem> {
        transaction!(self, db => revoke(db, id, entry))
    }

    async fn invite(
        &self,
        code: &SecretHash,
        now: UnixMillis,
    ) -> Result<Option<InviteRecord>, Problem> {
        Ok(invite(&self.connections.get().await?, code, now).await?)
    }
}
