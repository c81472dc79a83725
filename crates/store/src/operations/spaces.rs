//! Spaces and memberships.

use async_trait::async_trait;
use convite_core::administration::SpaceSummary;
use convite_core::model::Page;
use convite_core::{Problem, SpaceName, UnixMillis, UserName};

use crate::cursor;
use crate::database::{Access, Backend, Database};
use crate::error::{DbError, DbResult};
use crate::rows::Row;
use crate::tables::{accounts, audit, peers, spaces};
use crate::{AccountId, AuditEntry, Spaces, Viewer};

async fn create(
    db: &mut impl Database,
    space: &SpaceName,
    entry: &AuditEntry,
    now: UnixMillis,
) -> DbResult<()> {
    let added = db
        .execute(
            "INSERT INTO spaces (name, created) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            &[space, &now],
        )
        .await?;
    if added == 0 {
        return Err(DbError::SpaceTaken(space.clone()));
    }
    audit::record(db, entry).await
}

async fn remove(db: &mut impl Database, space: &SpaceName, entry: &AuditEntry) -> DbResult<()> {
    let key = spaces::existing(db, space).await?;
    // First, so that running publications into the space end, and none can start.
    db.execute("DELETE FROM memberships WHERE space = $1", &[&key])
        .await?;
    // In the order of the peers' numbers, to avoid deadlocks.
    let sql = "SELECT peer FROM peer_files WHERE space = $1 AND space <> 0 ORDER BY peer";
    for row in db.rows(sql, &[&key]).await? {
        db.execute(
            "UPDATE peers SET generation = 0, attempt = attempt + 1 WHERE id = $1",
            &[&row.get::<i64>(0)?],
        )
        .await?;
    }
    for sql in [
        "DELETE FROM invites WHERE space = $1 AND space <> 0",
        "DELETE FROM spaces WHERE id = $1",
    ] {
        db.execute(sql, &[&key]).await?;
    }
    // Accounts that announced a content of only this space can no longer see it.
    db.delete_unseen_announcements(None).await?;
    audit::record(db, entry).await
}

async fn add_member(
    db: &mut impl Database,
    space: &SpaceName,
    user: &UserName,
    entry: &AuditEntry,
    now: UnixMillis,
) -> DbResult<bool> {
    let space = spaces::existing(db, space).await?;
    let account = accounts::existing(db, user).await?.id;
    let added = spaces::add_membership(db, account, space, now).await?;
    if added {
        peers::lock_all(db, account).await?;
        peers::reset_indexes(db, account).await?;
    }
    audit::record(db, entry).await?;
    Ok(added)
}

async fn remove_member(
    db: &mut impl Database,
    space: &SpaceName,
    user: &UserName,
    entry: &AuditEntry,
) -> DbResult<()> {
    let key = spaces::existing(db, space).await?;
    let account = accounts::existing(db, user).await?.id;
    // Locks the peers first, like a publication, to avoid deadlocks.
    peers::lock_all(db, account).await?;
    let removed = db
        .execute(
            "DELETE FROM memberships WHERE account = $1 AND space = $2",
            &[&account, &key],
        )
        .await?;
    if removed == 0 {
        return Err(DbError::UserNotMember {
            user: user.clone(),
            space: space.clone(),
        });
    }
    // Again, for peers that have registered meanwhile.
    peers::lock_all(db, account).await?;
    peers::reset_indexes(db, account).await?;
    db.delete_unseen_announcements(Some(account)).await?;
    audit::record(db, entry).await
}

/// Query for the spaces after the name `$1` that match a condition.
macro_rules! spaces {
    ($which:literal) => {
        concat!(
            "SELECT s.name, (SELECT count(*) FROM memberships m WHERE m.space = s.id), s.created
             FROM spaces s WHERE ",
            $which,
            " s.name > $1 ORDER BY s.name LIMIT $2"
        )
    };
}

fn summary(row: &Row) -> DbResult<SpaceSummary> {
    Ok(SpaceSummary {
        space: row.get(0)?,
        members: row.get(1)?,
        created_at: row.get::<UnixMillis>(2)?.seconds(),
    })
}

async fn list(
    db: &mut impl Database,
    of: Option<AccountId>,
    limit: u32,
    cursor: Option<&str>,
) -> DbResult<Page<SpaceSummary>> {
    let after = cursor::after(cursor, cursor::SPACES, |name| {
        name.parse::<SpaceName>().is_ok()
    })?;
    let most = cursor::rows_of(limit);
    let rows = match of {
        None => db.rows(spaces!(""), &[&after, &most]).await?,
        Some(account) => {
            let sql = spaces!("s.id IN (SELECT space FROM memberships WHERE account = $3) AND");
            db.rows(sql, &[&after, &most, &account]).await?
        }
    };
    cursor::page_of(&rows, limit, summary, |last| {
        cursor::encode(&[cursor::SPACES, last.space.as_str()])
    })
}

async fn list_members(
    db: &mut impl Database,
    space: &SpaceName,
    limit: u32,
    cursor: Option<&str>,
) -> DbResult<Page<UserName>> {
    let key = spaces::existing(db, space).await?;
    let after = cursor::after(cursor, cursor::MEMBERS, |name| {
        name.parse::<UserName>().is_ok()
    })?;
    let rows = db
        .rows(
            "SELECT n.name FROM (
                 SELECT (SELECT name FROM accounts WHERE id = m.account) AS name
                 FROM memberships m WHERE m.space = $1) n
             WHERE n.name > $2 ORDER BY n.name LIMIT $3",
            &[&key, &after, &cursor::rows_of(limit)],
        )
        .await?;
    cursor::page_of(
        &rows,
        limit,
        |row| row.get(0),
        |last: &UserName| cursor::encode(&[cursor::MEMBERS, last.as_str()]),
    )
}

#[async_trait]
impl<B: Backend> Spaces for B {
    async fn viewer(&self, account: AccountId) -> Result<Viewer, Problem> {
        self.run(Access::Read, (), move |db, ()| {
            Box::pin(spaces::visible(db, account))
        })
        .await
    }

    async fn narrowed(&self, viewer: &Viewer, space: &SpaceName) -> Result<Viewer, Problem> {
        let key = self
            .run(Access::Read, space.clone(), |db, space| {
                Box::pin(spaces::find(db, space))
            })
            .await?;
        Ok(viewer.narrowed(space, key)?)
    }

    async fn create_space(
        &self,
        name: &SpaceName,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        let input = (name.clone(), entry.clone());
        self.run(Access::Write, input, move |db, (name, entry)| {
            Box::pin(create(db, name, entry, now))
        })
        .await
    }

    async fn remove_space(&self, name: &SpaceName, entry: &AuditEntry) -> Result<(), Problem> {
        let input = (name.clone(), entry.clone());
        self.run(Access::Write, input, |db, (name, entry)| {
            Box::pin(remove(db, name, entry))
        })
        .await
    }

    async fn spaces(
        &self,
        of: Option<AccountId>,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<SpaceSummary>, Problem> {
        let cursor = cursor.map(str::to_owned);
        self.run(Access::Read, cursor, move |db, cursor| {
            Box::pin(list(db, of, limit, cursor.as_deref()))
        })
        .await
    }

    async fn members(
        &self,
        space: &SpaceName,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<Page<UserName>, Problem> {
        let input = (space.clone(), cursor.map(str::to_owned));
        self.run(Access::Read, input, move |db, (space, cursor)| {
            Box::pin(list_members(db, space, limit, cursor.as_deref()))
        })
        .await
    }

    async fn add_member(
        &self,
        space: &SpaceName,
        user: &UserName,
        entry: &AuditEntry,
        now: UnixMillis,
    ) -> Result<bool, Problem> {
        let input = (space.clone(), user.clone(), entry.clone());
        self.run(Access::Write, input, move |db, (space, user, entry)| {
            Box::pin(add_member(db, space, user, entry, now))
        })
        .await
    }

    async fn remove_member(
        &self,
        space: &SpaceName,
        user: &UserName,
        entry: &AuditEntry,
    ) -> Result<(), Problem> {
        let input = (space.clone(), user.clone(), entry.clone());
        self.run(Access::Write, input, |db, (space, user, entry)| {
            Box::pin(remove_member(db, space, user, entry))
        })
        .await
    }
}
