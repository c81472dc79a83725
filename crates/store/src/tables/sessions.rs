//! Sessions. The end of a session ends the leases of its peers.

use super::announcements;
use crate::database::{Database, Lock};
use crate::error::DbResult;
use crate::{AccountId, PeerKey, SecretHash};

/// Ends a session. Its peers are marked as departed, so that a heartbeat in another session cannot
/// bring back a peer without a session. Transient peers are deleted.
pub(crate) async fn end(db: &mut impl Database, token: &SecretHash) -> DbResult<()> {
    // A concurrent registration in this session has either committed, and its peer is found here,
    // or it finds the session ended.
    let sql = "SELECT 1 FROM sessions WHERE token = $1";
    db.lock(sql, &[token], Lock::Update).await?;
    db.execute(
        "DELETE FROM peers WHERE session = $1 AND transient",
        &[token],
    )
    .await?;
    // Locks the peers before their announcements, like an announcement does, to avoid deadlocks.
    let peers = db
        .rows(
            "UPDATE peers SET departed = TRUE, session = NULL WHERE session = $1 RETURNING id",
            &[token],
        )
        .await?;
    for peer in &peers {
        announcements::delete(db, peer.get(0)?).await?;
    }
    db.execute("DELETE FROM sessions WHERE token = $1", &[token])
        .await?;
    Ok(())
}

/// Ends the sessions of an account, and the leases of their peers.
pub(crate) async fn end_all(
    db: &mut impl Database,
    account: AccountId,
    keep: Option<&SecretHash>,
) -> DbResult<()> {
    let sql = "SELECT token FROM sessions WHERE account = $1 ORDER BY token";
    for row in db.rows(sql, &[&account]).await? {
        let token: SecretHash = row.get(0)?;
        if Some(&token) != keep {
            end(db, &token).await?;
        }
    }
    Ok(())
}

/// Takes all peers of an account offline, in whatever session they were registered.
pub(crate) async fn set_peers_offline(db: &mut impl Database, account: AccountId) -> DbResult<()> {
    db.execute(
        "DELETE FROM peers WHERE account = $1 AND transient",
        &[&account],
    )
    .await?;
    let sql = "UPDATE peers SET departed = TRUE WHERE account = $1 RETURNING id";
    for row in db.rows(sql, &[&account]).await? {
        announcements::delete(db, row.get::<PeerKey>(0)?).await?;
    }
    Ok(())
}
