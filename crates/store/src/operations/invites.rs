//! Invites.

use async_trait::async_trait;
use convite_core::administration::InviteSummary;
use convite_core::model::{Page, Role};
use convite_core::{Problem, UnixMillis};

use crate::cursor;
use crate::database::{Access, Backend, Database};
use crate::error::{DbError, DbResult};
use crate::rows::Row;
use crate::tables::accounts::has_admin;
use crate::tables::{audit, spaces};
use crate::{
    AuditEntry, InviteRecord, Invites, Quotas, SecretHash, SpaceKey, id_bytes, last_of_id,
    public_id,
};

/// Spends one use of an invite. Returns its role and its space, if any. The row stays locked until
/// the transaction ends, so that only one account gets the last use.
pub(super) async fn spend(
    db: &mut impl Database,
    code: &SecretHash,
    now: UnixMillis,
) -> DbResult<(Role, Option<SpaceKey>)> {
    let spent = db
        .row(
            "UPDATE invites SET uses = uses - 1
             WHERE code = $1 AND expires > $2 AND (uses IS NULL OR uses > 0)
             RETURNING role, founds, space",
            &[code, &now],
        )
        .await?;
    let spent = spent.ok_or(DbError::InvalidInvite)?;
    let space = Some(spent.get(2)?).filter(|space| *space != SpaceKey::EVERYONE);
    if spent.get(1)? {
        // Only one founder at a time, for any invite.
        db.lock_founding().await?;
        if !has_admin(db).await? {
            return Ok((Role::Admin, space));
        }
    }
    Ok((spent.get(0)?, space))
}

async fn create(
    db: &mut impl Database,
    invite: &InviteRecord,
    entry: Option<&AuditEntry>,
    quotas: &Quotas,
    now: UnixMillis,
) -> DbResult<()> {
    let creator = entry.and_then(|entry| entry.actor.as_ref());
    if let Some(creator) = creator {
        let held = db
            .count(
                "SELECT count(*) FROM invites
                 WHERE creator = $1 AND expires > $2 AND (uses IS NULL OR uses > 0)",
                &[creator, &now],
            )
            .await?;
        quotas.check_invites(held)?;
    }
    let space = match &invite.space {
        Some(space) => spaces::existing(db, space).await?,
        None => SpaceKey::EVERYONE,
    };
    db.execute(
        "INSERT INTO invites (code, role, uses, expires, founds, created, space, creator)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (code) DO UPDATE SET role = excluded.role, uses = excluded.uses,
             expires = excluded.expires, founds = excluded.founds, space = excluded.space",
        &[
            &invite.code,
            &invite.role,
            &invite.uses,
            &invite.expires,
            &invite.founds,
            &now,
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

async fn find(
    db: &mut impl Database,
    code: &SecretHash,
    now: UnixMillis,
) -> DbResult<Option<InviteRecord>> {
    let found = db
        .row(
            "SELECT i.role, i.uses, i.expires, i.founds,
                 (SELECT name FROM spaces WHERE id = i.space)
             FROM invites i
             WHERE i.code = $1 AND i.expires > $2 AND (i.uses IS NULL OR i.uses > 0)",
            &[code, &now],
        )
        .await?;
    let Some(row) = found else {
        return Ok(None);
    };
    Ok(Some(InviteRecord {
        code: *code,
        role: row.get(0)?,
        space: row.get(4)?,
        uses: row.get(1)?,
        expires: row.get(2)?,
        founds: row.get(3)?,
    }))
}

fn summary(row: &Row) -> DbResult<InviteSummary> {
    Ok(InviteSummary {
        id: public_id(&row.get(0)?),
        role: row.get(1)?,
        space: row.get(2)?,
        uses_left: row.get(3)?,
        created_at: row.get::<UnixMillis>(4)?.seconds(),
        expires_at: row.get::<UnixMillis>(5)?.seconds(),
        created_by: if row.get::<String>(6)?.is_empty() {
            None
        } else {
            Some(row.get(6)?)
        },
    })
}

async fn list(
    db: &mut impl Database,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> DbResult<Page<InviteSummary>> {
    let after = cursor::after(cursor, cursor::INVITES, |id| id_bytes(id).is_some())?;
    let rows = db
        .rows(
            "SELECT i.code, i.role, (SELECT name FROM spaces WHERE id = i.space), i.uses,
                 i.created, i.expires, i.creator
             FROM invites i
             WHERE i.code > $1 AND i.expires > $2 AND (i.uses IS NULL OR i.uses > 0)
             ORDER BY i.code LIMIT $3",
            &[&last_of_id(&after), &now, &cursor::rows_of(limit)],
        )
        .await?;
    cursor::page_of(&rows, limit, summary, |last| {
        cursor::encode(&[cursor::INVITES, &last.id])
    })
}

async fn revoke(db: &mut impl Database, id: &str, entry: &AuditEntry) -> DbResult<()> {
    let removed = db
        .execute(
            "DELETE FROM invites WHERE code >= $1 AND code <= $2",
            &[&id_bytes(id).unwrap_or_default(), &last_of_id(id)],
        )
        .await?;
    if removed == 0 {
        return Err(DbError::UnknownInvite);
    }
    audit::record(db, entry).await
}

#[async_trait]
impl<B: Backend> Invites for B {
    async fn create_invite(
        &self,
        invite: &InviteRecord,
        entry: Option<&AuditEntry>,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        let input = (invite.clone(), entry.cloned(), *self.quotas());
        self.run(Access::Write, input, move |db, (invite, entry, quotas)| {
            Box::pin(create(db, invite, entry.as_ref(), quotas, now))
        })
        .await
    }

    async fn invites(
        &self,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<InviteSummary>, Problem> {
        let cursor = cursor.map(str::to_owned);
        self.run(Access::Read, cursor, move |db, cursor| {
            Box::pin(list(db, limit, cursor.as_deref(), now))
        })
        .await
    }

    async fn revoke_invite(&self, id: &str, entry: &AuditEntry) -> Result<(), Problem> {
        let input = (id.to_owned(), entry.clone());
        self.run(Access::Write, input, |db, (id, entry)| {
            Box::pin(revoke(db, id, entry))
        })
        .await
    }

    async fn invite(
        &self,
        code: &SecretHash,
        now: UnixMillis,
    ) -> Result<Option<InviteRecord>, Problem> {
        self.run(Access::Read, *code, move |db, code| {
            Box::pin(find(db, code, now))
        })
        .await
    }
}
