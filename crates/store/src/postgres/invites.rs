//! The invites that let accounts in.

use async_trait::async_trait;
use convite_core::model::Role;
use convite_core::{Problem, UnixMillis};

use super::PostgresStore;
use super::accounts::{has_admin, role};
use super::connections::Connection;
use super::failure::{Outcome, damaged};
use crate::{InviteRecord, Invites, SecretHash};

/// Uses an invite once; returns the role that it gives. The row stays locked until the transaction
/// ends, so that the last use goes to one.
pub(super) async fn spend(db: &Connection, code: &SecretHash, now: UnixMillis) -> Outcome<Role> {
    let spent = db
        .row(
            "UPDATE invites SET uses = uses - 1
             WHERE code = $1 AND expires > $2 AND (uses IS NULL OR uses > 0)
             RETURNING role, founds",
            &[&code.as_slice(), &now.0],
        )
        .await?;
    let spent = spent.ok_or_else(crate::invites::invalid)?;
    if spent.try_get(1)? {
        // One founder at a time, whatever invite each has: any row that everybody locks will do.
        db.one("SELECT position FROM change_log FOR UPDATE", &[])
            .await?;
        if !has_admin(db).await? {
            return Ok(Role::Admin);
        }
    }
    role(spent.try_get(0)?)
}

#[async_trait]
impl Invites for PostgresStore {
    async fn create_invite(&self, invite: &InviteRecord, now: UnixMillis) -> Result<(), Problem> {
        let db = self.connections.get().await?;
        db.execute(
            "INSERT INTO invites (code, role, uses, expires, founds, created)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (code) DO UPDATE SET role = excluded.role, uses = excluded.uses,
                 expires = excluded.expires, founds = excluded.founds",
            &[
                &invite.code.as_slice(),
                &invite.role.name(),
                &invite.uses.map(i64::from),
                &invite.expires.0,
                &invite.founds,
                &now.0,
            ],
        )
        .await?;
        Ok(())
    }

    async fn invite(
        &self,
        code: &SecretHash,
        now: UnixMillis,
    ) -> Result<Option<InviteRecord>, Problem> {
        let db = self.connections.get().await?;
        let found = db
            .row(
                "SELECT role, uses, expires, founds FROM invites
                 WHERE code = $1 AND expires > $2 AND (uses IS NULL OR uses > 0)",
                &[&code.as_slice(), &now.0],
            )
            .await?;
        let Some(row) = found else {
            return Ok(None);
        };
        let read = || -> Outcome<InviteRecord> {
            let uses: Option<i64> = row.try_get(1)?;
            let uses = uses.map(u32::try_from).transpose();
            Ok(InviteRecord {
                code: *code,
                role: role(row.try_get(0)?)?,
                uses: uses.map_err(|_| damaged("a number of uses"))?,
                expires: UnixMillis(row.try_get(2)?),
                founds: row.try_get(3)?,
            })
        };
        Ok(Some(read()?))
    }
}
