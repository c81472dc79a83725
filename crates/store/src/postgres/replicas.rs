//! Running replicas. Each renews its own lease and deletes expired ones.

use convite_core::{PeerAddress, UnixMillis};

use super::connections::Connection;
use crate::ReplicaId;
use crate::error::DbResult;
use crate::stored;

pub(super) async fn renew(
    db: &Connection,
    id: ReplicaId,
    addresses: &[PeerAddress],
    lease: UnixMillis,
    now: UnixMillis,
) -> DbResult<Vec<Vec<PeerAddress>>> {
    let addresses = stored::addresses_text(addresses)?;
    let id = id.0.as_slice();
    db.execute(
        "INSERT INTO replicas (id, addresses, lease, since) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO UPDATE SET addresses = excluded.addresses, lease = excluded.lease",
        &[&id, &addresses, &lease.0, &now.0],
    )
    .await?;
    db.execute("DELETE FROM replicas WHERE lease <= $1", &[&now.0])
        .await?;
    let others = db
        .rows(
            "SELECT addresses FROM replicas WHERE id <> $1 ORDER BY since, id",
            &[&id],
        )
        .await?;
    others
        .iter()
        .map(|row| stored::addresses(row.try_get(0)?))
        .collect()
}

pub(super) async fn remove(db: &Connection, id: ReplicaId) -> DbResult<()> {
    db.execute("DELETE FROM replicas WHERE id = $1", &[&id.0.as_slice()])
        .await?;
    Ok(())
}
