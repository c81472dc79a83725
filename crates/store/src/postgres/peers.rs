//! Who is on the list: registering, staying by heartbeats, leaving.

use async_trait::async_trait;
use convite_core::model::Page;
use convite_core::{PeerAddress, PeerId, Problem, UnixMillis};

use super::connections::Connection;
use super::failure::{Failure, Outcome};
use super::{PostgresStore, audit, listing, partials, removals, transaction};
use crate::peers::{anothers, nobody, one_that_stays, sharing_nothing, unknown};
use crate::stored::damaged;
use crate::{AccountId, AuditEntry, ListedPeer, PeerKey, Peers, Registration, Tally, Viewer};

/// What a change of a peer has to know of it.
pub(super) struct Peer {
    pub(super) key: i64,
    pub(super) generation: u64,
    pub(super) attempt: i64,
    /// What its last publication was answered with.
    pub(super) last: Tally,
}

/// The peer of that name that may publish, if it belongs to `account`; of another's it says no more
/// than of none. Its row is locked until the transaction ends.
pub(super) async fn owned(db: &Connection, peer: &PeerId, account: AccountId) -> Outcome<Peer> {
    let found = db
        .row(
            "SELECT id, generation, attempt, transient, last_upserted, last_removed FROM peers
             WHERE name = $1 AND account = $2 FOR NO KEY UPDATE",
            &[&peer.as_str(), &account.0],
        )
        .await?;
    let row = found.ok_or_else(|| unknown(peer))?;
    if row.try_get(3)? {
        return Err(sharing_nothing(peer).into());
    }
    Ok(Peer {
        key: row.try_get(0)?,
        generation: unsigned(row.try_get(1)?)?,
        attempt: row.try_get(2)?,
        last: tally((row.try_get(4)?, row.try_get(5)?))?,
    })
}

/// What a publication touched, as it was stored.
pub(super) fn tally((upserted, removed): (i64, i64)) -> Outcome<Tally> {
    Ok(Tally {
        upserted: unsigned(upserted)?,
        removed: unsigned(removed)?,
    })
}

/// A count or size as it was stored.
pub(super) fn unsigned(stored: i64) -> Outcome<u64> {
    Ok(u64::try_from(stored).map_err(|_| damaged("a negative number"))?)
}

pub(super) fn addresses_from(text: &str) -> Outcome<Vec<PeerAddress>> {
    Ok(serde_json::from_str(text).map_err(|_| damaged("addresses"))?)
}

pub(super) fn id_from(text: &str) -> Outcome<PeerId> {
    Ok(text.parse().map_err(|_| damaged("a peer id"))?)
}

async fn register(db: &Connection, registration: &Registration, now: UnixMillis) -> Outcome<u64> {
    let addresses =
        serde_json::to_string(&registration.addresses).map_err(|_| damaged("addresses"))?;
    let name = registration.id.as_str();
    let (uploads, loads) = (
        registration.terms.uploads.to_string(),
        registration.terms.loads.to_string(),
    );
    // Whoever ends the session is waited for, or waits and finds the peer.
    db.row(
        "SELECT 1 FROM sessions WHERE token = $1 FOR SHARE",
        &[&registration.session.as_slice()],
    )
    .await?;
    // Its id is free, though it may not have been swept yet.
    db.execute(
        "DELETE FROM peers WHERE name = $1 AND transient AND lease <= $2",
        &[&name, &now.0],
    )
    .await?;
    let found = db
        .row(
            "SELECT id, account, generation, transient, NOT departed AND lease > $1
             FROM peers WHERE name = $2 FOR NO KEY UPDATE",
            &[&now.0, &name],
        )
        .await?;
    let Some(row) = found else {
        let added = db
            .execute(
                "INSERT INTO peers (name, account, session, addresses, generation, lease, since,
                     departed, attempt, transient, uploads, loads)
                 VALUES ($1, $2, $3, $4, 0, $5, $6, FALSE, 0, $7, $8, $9)
                 ON CONFLICT (name) DO NOTHING",
                &[
                    &name,
                    &registration.account.0,
                    &registration.session.as_slice(),
                    &addresses,
                    &registration.lease.0,
                    &now.0,
                    &registration.transient,
                    &uploads,
                    &loads,
                ],
            )
            .await?;
        return match added {
            0 => Err(Failure::Overtaken),
            _ => Ok(0),
        };
    };
    let key: i64 = row.try_get(0)?;
    if row.try_get::<_, i64>(1)? != registration.account.0 {
        return Err(anothers(&registration.id).into());
    }
    if registration.transient && !row.try_get::<_, bool>(3)? {
        return Err(one_that_stays(&registration.id).into());
    }
    if !row.try_get::<_, bool>(4)? {
        partials::forget(db, key).await?;
    }
    db.execute(
        "UPDATE peers SET session = $2, addresses = $3, lease = $4, departed = FALSE,
             transient = $6, uploads = $7, loads = $8,
             since = CASE WHEN NOT departed AND lease > $5 THEN since ELSE $5 END
         WHERE id = $1",
        &[
            &key,
            &registration.session.as_slice(),
            &addresses,
            &registration.lease.0,
            &now.0,
            &registration.transient,
            &uploads,
            &loads,
        ],
    )
    .await?;
    unsigned(row.try_get(2)?)
}

async fn leave(db: &Connection, peer: &PeerId, account: AccountId) -> Outcome<()> {
    let found = db
        .row(
            "SELECT id, transient FROM peers WHERE name = $1 AND account = $2 FOR UPDATE",
            &[&peer.as_str(), &account.0],
        )
        .await?;
    let row = found.ok_or_else(|| unknown(peer))?;
    let key: i64 = row.try_get(0)?;
    if row.try_get(1)? {
        db.execute("DELETE FROM peers WHERE id = $1", &[&key])
            .await?;
        return Ok(());
    }
    partials::forget(db, key).await?;
    db.execute("UPDATE peers SET departed = TRUE WHERE id = $1", &[&key])
        .await?;
    Ok(())
}

async fn remove(db: &Connection, peer: &PeerId, entry: &AuditEntry) -> Outcome<()> {
    let row = db
        .row(
            "SELECT id FROM peers WHERE name = $1 FOR UPDATE",
            &[&peer.as_str()],
        )
        .await?;
    let key: i64 = row.ok_or_else(|| nobody(peer))?.try_get(0)?;
    removals::mark_peer(db, key).await?;
    audit::record(db, entry).await
}

#[async_trait]
impl Peers for PostgresStore {
    async fn register_peer(
        &self,
        registration: &Registration,
        now: UnixMillis,
    ) -> Result<u64, Problem> {
        transaction!(self, db => register(db, registration, now))
    }

    async fn renew_lease(
        &self,
        peer: &PeerId,
        account: AccountId,
        lease: UnixMillis,
        now: UnixMillis,
    ) -> Result<u64, Problem> {
        let db = self.connections.get().await?;
        let renewed = db
            .row(
                "UPDATE peers SET lease = $3, since = CASE WHEN lease > $4 THEN since ELSE $4 END
                 WHERE name = $1 AND account = $2 AND NOT departed AND (NOT transient OR lease > $4)
                 RETURNING generation",
                &[&peer.as_str(), &account.0, &lease.0, &now.0],
            )
            .await?;
        let row = renewed.ok_or_else(|| unknown(peer))?;
        Ok(unsigned(row.try_get(0).map_err(Failure::from)?)?)
    }

    async fn leave(
        &self,
        peer: &PeerId,
        account: AccountId,
        _now: UnixMillis,
    ) -> Result<(), Problem> {
        transaction!(self, db => leave(db, peer, account))
    }

    async fn remove_peer(&self, peer: &PeerId, entry: &AuditEntry) -> Result<(), Problem> {
        transaction!(self, db => remove(db, peer, entry))
    }

    async fn peers(
        &self,
        viewer: &Viewer,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<ListedPeer>, Problem> {
        let db = self.connections.get().await?;
        Ok(listing::peers(&db, viewer, limit, cursor, now).await?)
    }

    async fn listed_peer(
        &self,
        viewer: &Viewer,
        peer: &PeerId,
        now: UnixMillis,
    ) -> Result<Option<ListedPeer>, Problem> {
        let db = self.connections.get().await?;
        Ok(listing::peer(&db, viewer, peer, now).await?)
    }

    async fn online_peers(&self, now: UnixMillis) -> Result<Vec<PeerKey>, Problem> {
        let db = self.connections.get().await?;
        let rows = db
            .rows(
                "SELECT id FROM peers WHERE NOT departed AND lease > $1",
                &[&now.0],
            )
            .await?;
        let keys = rows.iter().map(|row| row.try_get(0).map(PeerKey));
        Ok(keys.collect::<Result<_, _>>().map_err(Failure::from)?)
    }

    async fn peer_key(&self, peer: &PeerId) -> Result<Option<PeerKey>, Problem> {
        let db = self.connections.get().await?;
        let row = db
            .row("SELECT id FROM peers WHERE name = $1", &[&peer.as_str()])
            .await?;
        let key = row.map(|row| row.try_get(0).map(PeerKey)).transpose();
        Ok(key.map_err(Failure::from)?)
    }
}
