//! Peers.

use crate::AccountId;
use crate::database::{Database, Lock};
use crate::error::DbResult;

/// Locks the peers of an account until the transaction ends. In the order of their numbers, to
/// avoid deadlocks.
pub(crate) async fn lock_all(db: &mut impl Database, account: AccountId) -> DbResult<()> {
    let sql = "SELECT id FROM peers WHERE account = $1 ORDER BY id";
    db.lock(sql, &[&account], Lock::NoKeyUpdate).await?;
    Ok(())
}

/// Resets the generation of an account's peers, which the caller has locked, so that they publish
/// their full indexes, and cancels their running publications.
pub(crate) async fn reset_indexes(db: &mut impl Database, account: AccountId) -> DbResult<()> {
    db.execute(
        "UPDATE peers SET generation = 0, attempt = attempt + 1 WHERE account = $1",
        &[&account],
    )
    .await?;
    Ok(())
}
