//! Peers: registration, heartbeats and leaving.

use async_trait::async_trait;
use convite_core::model::Page;
use convite_core::{PeerId, Problem, UnixMillis};

use crate::database::{Access, Backend, Database, Lock};
use crate::error::{DbError, DbResult};
use crate::peers::Held;
use crate::rows::Row;
use crate::stored;
use crate::tables::{announcements, audit, removals};
use crate::upkeep::REMEMBERED;
use crate::{
    AccountId, AuditEntry, ListedPeer, PeerKey, Peers, Quotas, Registration, RunId, Viewer,
};

/// Makes room for another peer of an account: removes the peer that has been offline longest, if
/// that is at least a day. In PostgreSQL, two concurrent registrations may exceed the limit by one.
async fn evict_offline_peer(
    db: &mut impl Database,
    registration: &Registration,
    quotas: &Quotas,
    now: UnixMillis,
) -> DbResult<()> {
    let (account, transient) = (registration.account, registration.transient);
    let held = db
        .count(
            "SELECT count(*) FROM peers
             WHERE account = $1 AND transient = $2 AND substr(name, 1, 1) <> '/'",
            &[&account, &transient],
        )
        .await?;
    let Err(exceeded) = quotas.check_peers(held, transient) else {
        return Ok(());
    };
    let gone = db
        .lock(
            "SELECT id FROM peers WHERE account = $1 AND transient = $2 AND lease <= $3
                 AND substr(name, 1, 1) <> '/' ORDER BY lease LIMIT 1",
            &[&account, &transient, &now.0.saturating_sub(REMEMBERED)],
            Lock::Update,
        )
        .await?;
    let gone = gone.first().ok_or(exceeded)?.get(0)?;
    removals::mark_peer_removed(db, gone).await
}

async fn register(
    db: &mut impl Database,
    registration: &Registration,
    quotas: &Quotas,
    now: UnixMillis,
) -> DbResult<u64> {
    let id = &registration.id;
    // A concurrent end of the session has either committed, or waits and finds the peer.
    let sql = "SELECT 1 FROM sessions WHERE token = $1";
    db.lock(sql, &[&registration.session], Lock::Share).await?;
    // The id of an expired transient peer is free, even if the peer has not been swept yet.
    db.execute(
        "DELETE FROM peers WHERE name = $1 AND transient AND lease <= $2",
        &[id, &now],
    )
    .await?;
    let found = db
        .lock(
            "SELECT id, account, generation, transient, NOT departed AND lease > $1, key, run,
                 session, addresses
             FROM peers WHERE name = $2",
            &[&now, id],
            Lock::NoKeyUpdate,
        )
        .await?;
    let Some(row) = found.first() else {
        evict_offline_peer(db, registration, quotas, now).await?;
        insert(db, registration, now).await?;
        return Ok(0);
    };
    let (key, is_online): (PeerKey, bool) = (row.get(0)?, row.get(4)?);
    if row.get::<AccountId>(1)? != registration.account {
        return Err(DbError::OwnedByOtherAccount(id.clone()));
    }
    if registration.transient && !row.get::<bool>(3)? {
        return Err(DbError::BelongsToPermanentPeer(id.clone()));
    }
    if is_online && !held(row)?.passes_to(registration) {
        return Err(DbError::IdInUse(id.clone()));
    }
    if !is_online {
        announcements::delete(db, key).await?;
    }
    update(db, key, registration, now).await?;
    row.get(2)
}

/// Reads the lease holder from a row found by a registration.
fn held(row: &Row) -> DbResult<Held> {
    Ok(Held {
        key: row.get(5)?,
        run: row.get(6)?,
        session: row.get(7)?,
        addresses: stored::addresses(&row.get::<String>(8)?)?,
    })
}

async fn insert(
    db: &mut impl Database,
    registration: &Registration,
    now: UnixMillis,
) -> DbResult<()> {
    let added = db
        .execute(
            "INSERT INTO peers (name, account, session, addresses, generation, lease, since,
                 departed, attempt, transient, uploads, loads, key, run)
             VALUES ($1, $2, $3, $4, 0, $5, $6, FALSE, 0, $7, $8, $9, $10, $11)
             ON CONFLICT (name) DO NOTHING",
            &[
                &registration.id,
                &registration.account,
                &registration.session,
                &stored::addresses_text(&registration.addresses)?,
                &registration.lease,
                &now,
                &registration.transient,
                &registration.terms.uploads.to_string(),
                &registration.terms.loads.to_string(),
                &registration.holder.key,
                &registration.holder.run,
            ],
        )
        .await?;
    match added {
        0 => Err(DbError::Conflict),
        _ => Ok(()),
    }
}

async fn update(
    db: &mut impl Database,
    key: PeerKey,
    registration: &Registration,
    now: UnixMillis,
) -> DbResult<()> {
    db.execute(
        "UPDATE peers SET session = $2, addresses = $3, lease = $4, departed = FALSE,
             transient = $6, uploads = $7, loads = $8, key = $9, run = $10,
             since = CASE WHEN NOT departed AND lease > $5 THEN since ELSE $5 END
         WHERE id = $1",
        &[
            &key,
            &registration.session,
            &stored::addresses_text(&registration.addresses)?,
            &registration.lease,
            &now,
            &registration.transient,
            &registration.terms.uploads.to_string(),
            &registration.terms.loads.to_string(),
            &registration.holder.key,
            &registration.holder.run,
        ],
    )
    .await?;
    Ok(())
}

async fn renew(
    db: &mut impl Database,
    peer: &PeerId,
    account: AccountId,
    run: Option<RunId>,
    lease: UnixMillis,
    now: UnixMillis,
) -> DbResult<u64> {
    let generation = db
        .value(
            "UPDATE peers SET lease = $3, since = CASE WHEN lease > $4 THEN since ELSE $4 END
             WHERE name = $1 AND account = $2 AND NOT departed AND (NOT transient OR lease > $4)
                 AND (run IS NOT DISTINCT FROM $5 OR $5 IS NULL)
             RETURNING generation",
            &[peer, &account, &lease, &now, &run],
        )
        .await?;
    if let Some(generation) = generation {
        return Ok(generation);
    }
    let replaced_by = db
        .row(
            "SELECT 1 FROM peers WHERE name = $1 AND account = $2 AND NOT departed
                 AND lease > $3 AND run IS DISTINCT FROM $4",
            &[peer, &account, &now, &run],
        )
        .await?;
    Err(match replaced_by {
        Some(_) => DbError::Replaced(peer.clone()),
        None => DbError::UnknownPeer(peer.clone()),
    })
}

async fn leave(db: &mut impl Database, peer: &PeerId, account: AccountId) -> DbResult<()> {
    let found = db
        .lock(
            "SELECT id, transient FROM peers WHERE name = $1 AND account = $2",
            &[peer, &account],
            Lock::Update,
        )
        .await?;
    let row = found.first();
    let row = row.ok_or_else(|| DbError::UnknownPeer(peer.clone()))?;
    let key: PeerKey = row.get(0)?;
    if row.get(1)? {
        db.execute("DELETE FROM peers WHERE id = $1", &[&key])
            .await?;
        return Ok(());
    }
    announcements::delete(db, key).await?;
    db.execute("UPDATE peers SET departed = TRUE WHERE id = $1", &[&key])
        .await?;
    Ok(())
}

async fn remove(db: &mut impl Database, peer: &PeerId, entry: &AuditEntry) -> DbResult<()> {
    let sql = "SELECT id FROM peers WHERE name = $1";
    let found = db.lock(sql, &[peer], Lock::Update).await?;
    let row = found.first();
    let row = row.ok_or_else(|| DbError::NoSuchPeer(peer.clone()))?;
    removals::mark_peer_removed(db, row.get(0)?).await?;
    audit::record(db, entry).await
}

async fn online(db: &mut impl Database, now: UnixMillis) -> DbResult<Vec<PeerKey>> {
    let sql = "SELECT id FROM peers WHERE NOT departed AND lease > $1";
    let rows = db.rows(sql, &[&now]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

#[async_trait]
impl<B: Backend> Peers for B {
    async fn register_peer(
        &self,
        registration: &Registration,
        now: UnixMillis,
    ) -> Result<u64, Problem> {
        let input = (registration.clone(), *self.quotas());
        self.run(
            Access::WriteAlways,
            input,
            move |db, (registration, quotas)| Box::pin(register(db, registration, quotas, now)),
        )
        .await
    }

    async fn renew_lease(
        &self,
        peer: &PeerId,
        account: AccountId,
        run: Option<RunId>,
        lease: UnixMillis,
        now: UnixMillis,
    ) -> Result<u64, Problem> {
        // After a power failure, the directory is down for longer than the renewed lease lasts.
        self.run(Access::WriteUnsynced, peer.clone(), move |db, peer| {
            Box::pin(renew(db, peer, account, run, lease, now))
        })
        .await
    }

    async fn leave(
        &self,
        peer: &PeerId,
        account: AccountId,
        _now: UnixMillis,
    ) -> Result<(), Problem> {
        self.run(Access::WriteAlways, peer.clone(), move |db, peer| {
            Box::pin(leave(db, peer, account))
        })
        .await
    }

    async fn remove_peer(&self, peer: &PeerId, entry: &AuditEntry) -> Result<(), Problem> {
        let input = (peer.clone(), entry.clone());
        self.run(Access::WriteAlways, input, |db, (peer, entry)| {
            Box::pin(remove(db, peer, entry))
        })
        .await
    }

    async fn peers(
        &self,
        viewer: &Viewer,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<ListedPeer>, Problem> {
        let input = (viewer.clone(), cursor.map(str::to_owned));
        self.run(Access::LongRead, input, move |db, (viewer, cursor)| {
            Box::pin(db.peers(viewer, limit, cursor.as_deref(), now))
        })
        .await
    }

    async fn listed_peer(
        &self,
        viewer: &Viewer,
        peer: &PeerId,
        now: UnixMillis,
    ) -> Result<Option<ListedPeer>, Problem> {
        let input = (viewer.clone(), peer.clone());
        self.run(Access::Read, input, move |db, (viewer, peer)| {
            Box::pin(db.listed_peer(viewer, peer, now))
        })
        .await
    }

    async fn online_peers(&self, now: UnixMillis) -> Result<Vec<PeerKey>, Problem> {
        self.run(Access::Read, (), move |db, ()| Box::pin(online(db, now)))
            .await
    }

    async fn peer_key(&self, peer: &PeerId) -> Result<Option<PeerKey>, Problem> {
        self.run(Access::Read, peer.clone(), |db, peer| {
            Box::pin(async move {
                db.value("SELECT id FROM peers WHERE name = $1", &[peer])
                    .await
            })
        })
        .await
    }
}
