//! Accounts.

use convite_core::UserName;

use crate::AccountRecord;
use crate::database::Database;
use crate::error::{DbError, DbResult};
use crate::rows::Row;

/// The columns for [`record`].
pub(crate) const COLUMNS: &str = "id, name, role, password_hash, disabled";

/// Reads an account from the first five columns of a row.
pub(crate) fn record(row: &Row) -> DbResult<AccountRecord> {
    Ok(AccountRecord {
        id: row.get(0)?,
        user: row.get(1)?,
        role: row.get(2)?,
        password_hash: row.get(3)?,
        disabled: row.get(4)?,
    })
}

/// Returns the account with this name.
pub(crate) async fn find(
    db: &mut impl Database,
    user: &UserName,
) -> DbResult<Option<AccountRecord>> {
    let sql = format!("SELECT {COLUMNS} FROM accounts WHERE name = $1");
    let row = db.row(&sql, &[user]).await?;
    row.as_ref().map(record).transpose()
}

/// Returns the account with this name, or `not_found`.
pub(crate) async fn existing(db: &mut impl Database, user: &UserName) -> DbResult<AccountRecord> {
    let found = find(db, user).await?;
    found.ok_or_else(|| DbError::UnknownUser(user.clone()))
}

pub(crate) async fn has_admin(db: &mut impl Database) -> DbResult<bool> {
    let sql = "SELECT 1 FROM accounts WHERE role = 'admin' AND NOT disabled LIMIT 1";
    Ok(db.row(sql, &[]).await?.is_some())
}
