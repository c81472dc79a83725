//! Spaces, and who belongs to them.

use std::collections::BTreeSet;

use async_trait::async_trait;
use convite_core::administration::SpaceSummary;
use convite_core::model::Page;
use convite_core::{Problem, SpaceName, UnixMillis, UserName};
use rusqlite::{Connection, OptionalExtension, params};

use super::accounts::existing;
use super::failure::Outcome;
use super::peers::unsigned;
use super::{SqliteStore, audit, partials, publish};
use crate::cursor;
use crate::stored::{damaged, user_name};
use crate::{AccountId, AuditEntry, SpaceKey, Spaces, Viewer};

/// The numbers of the spaces that a viewer sees, for `IN (SELECT value FROM json_each(?))`.
pub(super) fn seen(viewer: &Viewer) -> String {
    let spaces: Vec<_> = viewer.spaces().iter().map(|s| s.0.to_string()).collect();
    format!("[{}]", spaces.join(","))
}

/// What an account sees.
pub(super) fn viewer(db: &Connection, account: AccountId) -> Outcome<Viewer> {
    let mut statement = db.prepare_cached("SELECT space FROM memberships WHERE account = ?")?;
    let spaces = statement.query_map([account.0], |row| row.get(0).map(SpaceKey))?;
    Ok(Viewer::of(spaces.collect::<Result<Vec<_>, _>>()?))
}

/// The names of those of these spaces that have one, in order.
pub(super) fn names(db: &Connection, spaces: &BTreeSet<i64>) -> Outcome<Vec<SpaceName>> {
    let mut find = db.prepare_cached("SELECT name FROM spaces WHERE id = ?")?;
    let mut names = Vec::new();
    for space in spaces {
        let found: Option<String> = find.query_row([space], |row| row.get(0)).optional()?;
        if let Some(text) = found {
            names.push(text.parse().map_err(|_| damaged("the name of a space"))?);
        }
    }
    names.sort();
    Ok(names)
}

/// The number of a space, if there is one of that name.
fn find(db: &Connection, space: &SpaceName) -> Outcome<Option<SpaceKey>> {
    Ok(db
        .prepare_cached("SELECT id FROM spaces WHERE name = ?")?
        .query_row([space.as_str()], |row| row.get(0).map(SpaceKey))
        .optional()?)
}

/// The number of a space.
pub(super) fn key(db: &Connection, space: &SpaceName) -> Outcome<i64> {
    let key = find(db, space)?;
    Ok(key.ok_or_else(|| crate::spaces::unknown(space))?.0)
}

/// The number of a space that an account may publish to. Of a space that it does not belong to it
/// learns no more than of none.
pub(super) fn writable(db: &Connection, space: &SpaceName, account: i64) -> Outcome<i64> {
    let key = db
        .prepare_cached(
            "SELECT s.id FROM spaces s JOIN memberships m ON m.space = s.id
             WHERE s.name = ? AND m.account = ?",
        )?
        .query_row(params![space.as_str(), account], |row| row.get(0))
        .optional()?;
    Ok(key.ok_or_else(|| crate::spaces::not_yours(space))?)
}

/// Lets an account into a space; returns whether it is new to it.
pub(super) fn join(db: &Connection, account: i64, space: i64, now: UnixMillis) -> Outcome<bool> {
    let added = db
        .prepare_cached(
            "INSERT INTO memberships (account, space, since) VALUES (?, ?, ?)
             ON CONFLICT (account, space) DO NOTHING",
        )?
        .execute(params![account, space, now.0])?;
    Ok(added > 0)
}

fn create(db: &Connection, space: &SpaceName, now: UnixMillis) -> Outcome<()> {
    let added = db
        .prepare_cached(
            "INSERT INTO spaces (name, created) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
        )?
        .execute(params![space.as_str(), now.0])?;
    if added == 0 {
        return Err(crate::spaces::taken(space).into());
    }
    Ok(())
}

/// The peers that a query names.
fn peers(db: &Connection, sql: &str, of: i64) -> Outcome<Vec<i64>> {
    let mut statement = db.prepare_cached(sql)?;
    let keys = statement.query_map([of], |row| row.get(0))?;
    Ok(keys.collect::<Result<_, _>>()?)
}

fn remove(db: &Connection, space: &SpaceName) -> Outcome<()> {
    let key = key(db, space)?;
    for peer in peers(db, "SELECT peer FROM peer_files WHERE space = ?", key)? {
        publish::start_anew(db, peer)?;
    }
    for sql in [
        "DELETE FROM memberships WHERE space = ?",
        "DELETE FROM invites WHERE space = ?",
        "DELETE FROM spaces WHERE id = ?",
    ] {
        db.prepare_cached(sql)?.execute([key])?;
    }
    // Whoever announced a content that only this space had sees it no more.
    partials::forget_unseen(db, None)
}

fn add_member(
    db: &Connection,
    space: &SpaceName,
    user: &UserName,
    now: UnixMillis,
) -> Outcome<bool> {
    let (space, account) = (key(db, space)?, existing(db, user)?.id);
    if !join(db, account.0, space, now)? {
        return Ok(false);
    }
    for peer in peers(db, "SELECT id FROM peers WHERE account = ?", account.0)? {
        publish::start_anew(db, peer)?;
    }
    Ok(true)
}

fn remove_member(db: &Connection, space: &SpaceName, user: &UserName) -> Outcome<()> {
    let (key, account) = (key(db, space)?, existing(db, user)?.id);
    let removed = db
        .prepare_cached("DELETE FROM memberships WHERE account = ? AND space = ?")?
        .execute(params![account.0, key])?;
    if removed == 0 {
        return Err(crate::spaces::no_member(space, user).into());
    }
    for peer in peers(db, "SELECT id FROM peers WHERE account = ?", account.0)? {
        publish::start_anew(db, peer)?;
    }
    partials::forget_unseen(db, Some(account))
}

fn spaces(
    db: &Connection,
    of: Option<AccountId>,
    limit: u32,
    cursor: Option<&str>,
) -> Outcome<Page<SpaceSummary>> {
    let limit = limit.max(1);
    let after = cursor::after(cursor, cursor::SPACES, |name| {
        name.parse::<SpaceName>().is_ok()
    })?;
    let mut statement = db.prepare_cached(
        "SELECT s.name, (SELECT count(*) FROM memberships m WHERE m.space = s.id), s.created
         FROM spaces s
         WHERE s.name > ?1 AND (?2 IS NULL OR EXISTS (
             SELECT 1 FROM memberships m WHERE m.account = ?2 AND m.space = s.id))
         ORDER BY s.name LIMIT ?3",
    )?;
    let mut rows = statement.query(params![
        after,
        of.map(|account| account.0),
        i64::from(limit) + 1
    ])?;
    let mut spaces = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        spaces.push(SpaceSummary {
            space: name.parse().map_err(|_| damaged("the name of a space"))?,
            members: unsigned(row.get(1)?)?,
            created_at: UnixMillis(row.get(2)?).seconds(),
        });
    }
    Ok(cursor::page(spaces, limit as usize, |last| {
        cursor::encode(&[cursor::SPACES, last.space.as_str()])
    }))
}

fn members(
    db: &Connection,
    space: &SpaceName,
    limit: u32,
    cursor: Option<&str>,
) -> Outcome<Page<UserName>> {
    let limit = limit.max(1);
    let key = key(db, space)?;
    let after = cursor::after(cursor, cursor::MEMBERS, |name| {
        name.parse::<UserName>().is_ok()
    })?;
    let mut statement = db.prepare_cached(
        "SELECT a.name FROM memberships m JOIN accounts a ON a.id = m.account
         WHERE m.space = ? AND a.name > ? ORDER BY a.name LIMIT ?",
    )?;
    let rows = statement.query_map(params![key, after, i64::from(limit) + 1], |row| {
        row.get::<_, String>(0)
    })?;
    let mut members = Vec::new();
    for user in rows {
        members.push(user_name(&user?)?);
    }
    Ok(cursor::page(members, limit as usize, |last: &UserName| {
        cursor::encode(&[cursor::MEMBERS, last.as_str()])
    }))
}

#[async_trait]
impl Spaces for SqliteStore {
    async fn viewer(&self, account: AccountId) -> Result<Viewer, Problem> {
        self.readers.read(|db| viewer(db, account))
    }

    async fn narrowed(&self, viewer: &Viewer, space: &SpaceName) -> Result<Viewer, Problem> {
        let key = self.readers.read(|db| find(db, space))?;
        viewer.narrowed(space, key)
    }

    async fn create_space(
        &self,
        name: &SpaceName,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        let (name, entry) = (name.clone(), entry.clone());
        self.writer
            .write(move |db| {
                create(db, &name, now)?;
                audit::record(db, &entry)
            })
            .await
    }

    async fn remove_space(&self, name: &SpaceName, entry: &AuditEntry) -> Result<(), Problem> {
        let (name, entry) = (name.clone(), entry.clone());
        self.writer
            .write(move |db| {
                remove(db, &name)?;
                audit::record(db, &entry)
            })
            .await
    }

    async fn spaces(
        &self,
        of: Option<AccountId>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<SpaceSummary>, Problem> {
        self.readers.read(|db| spaces(db, of, limit, cursor))
    }

    async fn members(
        &self,
        space: &SpaceName,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<UserName>, Problem> {
        self.readers.read(|db| members(db, space, limit, cursor))
    }

    async fn add_member(
        &self,
        space: &SpaceName,
        user: &UserName,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<bool, Problem> {
        let (space, user, entry) = (space.clone(), user.clone(), entry.clone());
        self.writer
            .write(move |db| {
                let added = add_member(db, &space, &user, now)?;
                audit::record(db, &entry)?;
                Ok(added)
            })
            .await
    }

    async fn remove_member(
        &self,
        space: &SpaceName,
        user: &UserName,
        entry: &AuditEntry,
    ) -> Result<(), Problem> {
        let (space, user, entry) = (space.clone(), user.clone(), entry.clone());
        self.writer
            .write(move |db| {
                remove_member(db, &space, &user)?;
                audit::record(db, &entry)
            })
            .await
    }
}
