//! Spaces and memberships.
//!
//! In PostgreSQL, a publication into a space holds a lock on the membership row until it commits,
//! and the end of a membership locks the same row. So when the files of an ended membership are
//! searched for (`removals`), no more files can be added.

use convite_core::{SpaceName, UnixMillis};

use crate::database::Database;
use crate::error::{DbError, DbResult};
use crate::{AccountId, SpaceKey, Viewer};

/// Returns the spaces visible to an account.
pub(crate) async fn visible(db: &mut impl Database, account: AccountId) -> DbResult<Viewer> {
    let sql = "SELECT space FROM memberships WHERE account = $1";
    let rows = db.rows(sql, &[&account]).await?;
    let spaces: DbResult<Vec<SpaceKey>> = rows.iter().map(|row| row.get(0)).collect();
    Ok(Viewer::of(spaces?))
}

/// Returns the number of a space, if it exists.
pub(crate) async fn find(db: &mut impl Database, space: &SpaceName) -> DbResult<Option<SpaceKey>> {
    db.value("SELECT id FROM spaces WHERE name = $1", &[space])
        .await
}

/// Returns the number of a space, or `not_found`.
pub(crate) async fn existing(db: &mut impl Database, space: &SpaceName) -> DbResult<SpaceKey> {
    let found = find(db, space).await?;
    found.ok_or_else(|| DbError::UnknownSpace(space.clone()))
}

/// Adds an account to a space. Returns whether it was not yet a member.
pub(crate) async fn add_membership(
    db: &mut impl Database,
    account: AccountId,
    space: SpaceKey,
    now: UnixMillis,
) -> DbResult<bool> {
    let added = db
        .execute(
            "INSERT INTO memberships (account, space, since) VALUES ($1, $2, $3)
             ON CONFLICT (account, space) DO NOTHING",
            &[&account, &space, &now],
        )
        .await?;
    Ok(added > 0)
}
