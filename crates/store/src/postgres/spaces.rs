//! Spaces, and who belongs to them.
//!
//! Whoever publishes into a space locks its membership until it is done, and whoever ends a
//! membership has it locked: when the files are looked for that have to go (`removals`), afterwards,
//! none is put there any more.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use convite_core::administration::SpaceSummary;
use convite_core::model::Page;
use convite_core::{Problem, SpaceName, UnixMillis, UserName};

use super::accounts::existing;
use super::connections::Connection;
use super::failure::Outcome;
use super::peers::unsigned;
use super::{PostgresStore, audit, partials, publish, transaction};
use crate::cursor;
use crate::stored::{damaged, user_name};
use crate::{AccountId, AuditEntry, SpaceKey, Spaces, Viewer};

/// The numbers of the spaces that a viewer sees, for `= ANY ($n)`.
pub(super) fn seen(viewer: &Viewer) -> Vec<i64> {
    viewer.spaces().iter().map(|space| space.0).collect()
}

/// What an account sees.
pub(super) async fn viewer(db: &Connection, account: AccountId) -> Outcome<Viewer> {
    let rows = db
        .rows(
            "SELECT space FROM memberships WHERE account = $1",
            &[&account.0],
        )
        .await?;
    let spaces = rows.iter().map(|row| row.try_get(0).map(SpaceKey));
    Ok(Viewer::of(spaces.collect::<Result<Vec<_>, _>>()?))
}

pub(super) fn space_name(text: &str) -> Outcome<SpaceName> {
    Ok(text.parse().map_err(|_| damaged("the name of a space"))?)
}

/// The names of those of these spaces that have one, by number.
pub(super) async fn names(
    db: &Connection,
    spaces: &BTreeSet<i64>,
) -> Outcome<HashMap<i64, SpaceName>> {
    if spaces.is_empty() {
        return Ok(HashMap::new());
    }
    let spaces: Vec<i64> = spaces.iter().copied().collect();
    let rows = db
        .rows(
            "SELECT id, name FROM spaces WHERE id = ANY ($1)",
            &[&spaces],
        )
        .await?;
    let named = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, space_name(row.try_get(1)?)?)));
    named.collect()
}

/// The number of a space, if there is one of that name.
async fn find(db: &Connection, space: &SpaceName) -> Outcome<Option<SpaceKey>> {
    let row = db
        .row("SELECT id FROM spaces WHERE name = $1", &[&space.as_str()])
        .await?;
    Ok(row.map(|row| row.try_get(0).map(SpaceKey)).transpose()?)
}

/// The number of a space.
pub(super) async fn key(db: &Connection, space: &SpaceName) -> Outcome<i64> {
    let key = find(db, space).await?;
    Ok(key.ok_or_else(|| crate::spaces::unknown(space))?.0)
}

/// The number of a space that the account of a peer may publish to. Of a space that it does not
/// belong to it learns no more than of none.
pub(super) async fn writable(db: &Connection, space: &SpaceName, peer: i64) -> Outcome<i64> {
    let row = db
        .row(
            "SELECT s.id FROM spaces s JOIN memberships m ON m.space = s.id
             WHERE s.name = $1 AND m.account = (SELECT account FROM peers WHERE id = $2)
             FOR SHARE OF m",
            &[&space.as_str(), &peer],
        )
        .await?;
    let row = row.ok_or_else(|| crate::spaces::not_yours(space))?;
    Ok(row.try_get(0)?)
}

/// Lets an account into a space; returns whether it is new to it.
pub(super) async fn join(
    db: &Connection,
    account: AccountId,
    space: i64,
    now: UnixMillis,
) -> Outcome<bool> {
    let added = db
        .execute(
            "INSERT INTO memberships (account, space, since) VALUES ($1, $2, $3)
             ON CONFLICT (account, space) DO NOTHING",
            &[&account.0, &space, &now.0],
        )
        .await?;
    Ok(added > 0)
}

async fn create(
    db: &Connection,
    space: &SpaceName,
    entry: &AuditEntry,
    now: UnixMillis,
) -> Outcome<()> {
    let added = db
        .execute(
            "INSERT INTO spaces (name, created) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            &[&space.as_str(), &now.0],
        )
        .await?;
    if added == 0 {
        return Err(crate::spaces::taken(space).into());
    }
    audit::record(db, entry).await
}

/// The peers that a query names, each locked until the transaction ends.
async fn peers(db: &Connection, which: &str, of: i64) -> Outcome<Vec<i64>> {
    let sql = format!("SELECT id FROM peers WHERE {which} ORDER BY id FOR NO KEY UPDATE");
    let rows = db.rows(&sql, &[&of]).await?;
    let keys = rows.iter().map(|row| row.try_get(0));
    Ok(keys.collect::<Result<_, _>>()?)
}

async fn remove(db: &Connection, space: &SpaceName, entry: &AuditEntry) -> Outcome<()> {
    let key = key(db, space).await?;
    db.execute("DELETE FROM memberships WHERE space = $1", &[&key])
        .await?;
    let sharing = "id IN (SELECT peer FROM peer_files WHERE space = $1)";
    for peer in peers(db, sharing, key).await? {
        publish::start_anew(db, peer).await?;
    }
    for sql in [
        "DELETE FROM invites WHERE space = $1",
        "DELETE FROM spaces WHERE id = $1",
    ] {
        db.execute(sql, &[&key]).await?;
    }
    // Whoever announced a content that only this space had sees it no more.
    partials::forget_unseen(db, None).await?;
    audit::record(db, entry).await
}

async fn add_member(
    db: &Connection,
    space: &SpaceName,
    user: &UserName,
    entry: &AuditEntry,
    now: UnixMillis,
) -> Outcome<bool> {
    let space = key(db, space).await?;
    let account = existing(db, user).await?.id;
    let added = join(db, account, space, now).await?;
    if added {
        for peer in peers(db, "account = $1", account.0).await? {
            publish::start_anew(db, peer).await?;
        }
    }
    audit::record(db, entry).await?;
    Ok(added)
}

async fn remove_member(
    db: &Connection,
    space: &SpaceName,
    user: &UserName,
    entry: &AuditEntry,
) -> Outcome<()> {
    let key = key(db, space).await?;
    let account = existing(db, user).await?.id;
    // As a publication does, the peers first.
    peers(db, "account = $1", account.0).await?;
    let removed = db
        .execute(
            "DELETE FROM memberships WHERE account = $1 AND space = $2",
            &[&account.0, &key],
        )
        .await?;
    if removed == 0 {
        return Err(crate::spaces::no_member(space, user).into());
    }
    for peer in peers(db, "account = $1", account.0).await? {
        publish::start_anew(db, peer).await?;
    }
    partials::forget_unseen(db, Some(account)).await?;
    audit::record(db, entry).await
}

async fn spaces(
    db: &Connection,
    of: Option<AccountId>,
    limit: u32,
    cursor: Option<&str>,
) -> Outcome<Page<SpaceSummary>> {
    let limit = limit.max(1);
    let after = cursor::after(cursor, cursor::SPACES, |name| {
        name.parse::<SpaceName>().is_ok()
    })?;
    let rows = db
        .rows(
            "SELECT s.name, (SELECT count(*) FROM memberships m WHERE m.space = s.id), s.created
             FROM spaces s
             WHERE s.name > $1 AND ($2::BIGINT IS NULL OR EXISTS (
                 SELECT 1 FROM memberships m WHERE m.account = $2 AND m.space = s.id))
             ORDER BY s.name LIMIT $3",
            &[
                &after,
                &of.map(|account| account.0),
                &(i64::from(limit) + 1),
            ],
        )
        .await?;
    let spaces = rows.iter().map(|row| {
        Ok(SpaceSummary {
            space: space_name(row.try_get(0)?)?,
            members: unsigned(row.try_get(1)?)?,
            created_at: UnixMillis(row.try_get(2)?).seconds(),
        })
    });
    Ok(cursor::page(
        spaces.collect::<Outcome<_>>()?,
        limit as usize,
        |last: &SpaceSummary| cursor::encode(&[cursor::SPACES, last.space.as_str()]),
    ))
}

async fn members(
    db: &Connection,
    space: &SpaceName,
    limit: u32,
    cursor: Option<&str>,
) -> Outcome<Page<UserName>> {
    let limit = limit.max(1);
    let key = key(db, space).await?;
    let after = cursor::after(cursor, cursor::MEMBERS, |name| {
        name.parse::<UserName>().is_ok()
    })?;
    let rows = db
        .rows(
            "SELECT a.name FROM memberships m JOIN accounts a ON a.id = m.account
             WHERE m.space = $1 AND a.name > $2 ORDER BY a.name LIMIT $3",
            &[&key, &after, &(i64::from(limit) + 1)],
        )
        .await?;
    let members = rows.iter().map(|row| Ok(user_name(row.try_get(0)?)?));
    Ok(cursor::page(
        members.collect::<Outcome<_>>()?,
        limit as usize,
        |last: &UserName| cursor::encode(&[cursor::MEMBERS, last.as_str()]),
    ))
}

#[async_trait]
impl Spaces for PostgresStore {
    async fn viewer(&self, account: AccountId) -> Result<Viewer, Problem> {
        Ok(viewer(&self.connections.get().await?, account).await?)
    }

    async fn narrowed(&self, viewer: &Viewer, space: &SpaceName) -> Result<Viewer, Problem> {
        let key = find(&self.connections.get().await?, space).await?;
        viewer.narrowed(space, key)
    }

    async fn create_space(
        &self,
        name: &SpaceName,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        transaction!(self, db => create(db, name, entry, now))
    }

    async fn remove_space(&self, name: &SpaceName, entry: &AuditEntry) -> Result<(), Problem> {
        transaction!(self, db => remove(db, name, entry))
    }

    async fn spaces(
        &self,
        of: Option<AccountId>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<SpaceSummary>, Problem> {
        Ok(spaces(&self.connections.get().await?, of, limit, cursor).await?)
    }

    async fn members(
        &self,
        space: &SpaceName,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<UserName>, Problem> {
        Ok(members(&self.connections.get().await?, space, limit, cursor).await?)
    }

    async fn add_member(
        &self,
        space: &SpaceName,
        user: &UserName,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<bool, Problem> {
        transaction!(self, db => add_member(db, space, user, entry, now))
    }

    async fn remove_member(
        &self,
        space: &SpaceName,
        user: &UserName,
        entry: &AuditEntry,
    ) -> Result<(), Problem> {
        transaction!(self, db => remove_member(db, space, user, entry))
    }
}
