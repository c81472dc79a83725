//! The replicas that are up: each renews its lease, and forgets those that did not.

use convite_core::{PeerAddress, UnixMillis};

use super::connections::Connection;
use super::failure::Outcome;
use super::peers::addresses_from;
use crate::ReplicaId;
use crate::stored::damaged;

pub(super) async fn renew(
    db: &Connection,
    id: ReplicaId,
    addresses: &[PeerAddress],
    lease: UnixMillis,
    now: UnixMillis,
) -> Outcome<Vec<Vec<PeerAddress>>> {
    let addresses = serde_json::to_string(addresses).map_err(|_| damaged("addresses"))?;
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
        .map(|row| addresses_from(row.try_get(0)?))
        .collect()
}

pub(super) async fn remove(db: &Connection, id: ReplicaId) -> Outcome<()> {
    db.execute("DELETE FROM replicas WHERE id = $1", &[&id.0.as_slice()])
        .await?;
    Ok(())
}
