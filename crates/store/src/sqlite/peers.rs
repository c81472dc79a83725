//! Who is on the list: registering, staying by heartbeats, leaving.

use async_trait::async_trait;
use convite_core::model::Page;
use convite_core::{PeerAddress, PeerId, Problem, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use super::failure::Outcome;
use super::{SqliteStore, audit, listing, partials, removals};
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
/// than of none.
pub(super) fn owned(db: &Connection, peer: &PeerId, account: AccountId) -> Outcome<Peer> {
    let found = db
        .prepare_cached(
            "SELECT id, generation, attempt, transient, last_upserted, last_removed
             FROM peers WHERE name = ? AND account = ?",
        )?
        .query_row(params![peer.as_str(), account.0], |row| {
            Ok((
                row.get(0)?,
                row.get::<_, i64>(1)?,
                row.get(2)?,
                row.get::<_, bool>(3)?,
                (row.get(4)?, row.get(5)?),
            ))
        })
        .optional()?;
    let (key, generation, attempt, transient, last) = found.ok_or_else(|| unknown(peer))?;
    if transient {
        return Err(sharing_nothing(peer).into());
    }
    Ok(Peer {
        key,
        generation: unsigned(generation)?,
        attempt,
        last: tally(last)?,
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

pub(super) fn register(
    db: &Connection,
    registration: &Registration,
    now: UnixMillis,
) -> Outcome<u64> {
    let addresses =
        serde_json::to_string(&registration.addresses).map_err(|_| damaged("addresses"))?;
    let name = registration.id.as_str();
    let (uploads, loads) = (
        registration.terms.uploads.to_string(),
        registration.terms.loads.to_string(),
    );
    // Its id is free, though it may not have been swept yet.
    db.prepare_cached("DELETE FROM peers WHERE name = ? AND transient = 1 AND lease <= ?")?
        .execute(params![name, now.0])?;
    let found = db
        .prepare_cached(
            "SELECT id, account, generation, transient, departed = 0 AND lease > ?
             FROM peers WHERE name = ?",
        )?
        .query_row(params![now.0, name], |row| {
            Ok((
                row.get::<_, i64>(0)?,
                row.get::<_, i64>(1)?,
                row.get(2)?,
                row.get::<_, bool>(3)?,
                row.get::<_, bool>(4)?,
            ))
        })
        .optional()?;
    let Some((key, account, generation, transient, online)) = found else {
        db.prepare_cached(
            "INSERT INTO peers (name, account, session, addresses, generation, lease, since,
                 departed, attempt, transient, uploads, loads)
             VALUES (?, ?, ?, ?, 0, ?, ?, 0, 0, ?, ?, ?)",
        )?
        .execute(params![
            name,
            registration.account.0,
            registration.session,
            addresses,
            registration.lease.0,
            now.0,
            registration.transient,
            uploads,
            loads
        ])?;
        return Ok(0);
    };
    if account != registration.account.0 {
        return Err(anothers(&registration.id).into());
    }
    if registration.transient && !transient {
        return Err(one_that_stays(&registration.id).into());
    }
    if !online {
        partials::forget(db, key)?;
    }
    db.prepare_cached(
        "UPDATE peers SET session = ?2, addresses = ?3, lease = ?4, departed = 0, transient = ?6,
             uploads = ?7, loads = ?8, since = CASE WHEN departed = 0 AND lease > ?5 THEN since ELSE ?5 END
         WHERE id = ?1",
    )?
    .execute(params![
        key,
        registration.session,
        addresses,
        registration.lease.0,
        now.0,
        registration.transient,
        uploads,
        loads
    ])?;
    unsigned(generation)
}

pub(super) fn renew(
    db: &Connection,
    peer: &PeerId,
    account: AccountId,
    lease: UnixMillis,
    now: UnixMillis,
) -> Outcome<u64> {
    let generation = db
        .prepare_cached(
            "UPDATE peers SET lease = ?3, since = CASE WHEN lease > ?4 THEN since ELSE ?4 END
             WHERE name = ?1 AND account = ?2 AND departed = 0 AND (transient = 0 OR lease > ?4)
             RETURNING generation",
        )?
        .query_row(params![peer.as_str(), account.0, lease.0, now.0], |row| {
            row.get(0)
        })
        .optional()?;
    unsigned(generation.ok_or_else(|| unknown(peer))?)
}

pub(super) fn leave(db: &Connection, peer: &PeerId, account: AccountId) -> Outcome<()> {
    let found: Option<(i64, bool)> = db
        .prepare_cached("SELECT id, transient FROM peers WHERE name = ? AND account = ?")?
        .query_row(params![peer.as_str(), account.0], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let (key, transient) = found.ok_or_else(|| unknown(peer))?;
    if transient {
        db.prepare_cached("DELETE FROM peers WHERE id = ?")?
            .execute([key])?;
        return Ok(());
    }
    partials::forget(db, key)?;
    db.prepare_cached("UPDATE peers SET departed = 1 WHERE id = ?")?
        .execute([key])?;
    Ok(())
}

fn remove(db: &Connection, peer: &PeerId) -> Outcome<()> {
    let key = key(db, peer)?.ok_or_else(|| nobody(peer))?;
    removals::mark_peer(db, key.0)
}

/// Forgets the transient peers whose lease ran out; their announcements go with them.
pub(super) fn forget_lapsed(db: &Connection, now: UnixMillis) -> Outcome<()> {
    db.prepare_cached("DELETE FROM peers WHERE transient = 1 AND lease <= ?")?
        .execute([now.0])?;
    Ok(())
}

pub(super) fn online(db: &Connection, now: UnixMillis) -> Outcome<Vec<PeerKey>> {
    let mut statement =
        db.prepare_cached("SELECT id FROM peers WHERE departed = 0 AND lease > ?")?;
    let keys = statement.query_map([now.0], |row| row.get(0).map(PeerKey))?;
    Ok(keys.collect::<Result<_, _>>()?)
}

pub(super) fn key(db: &Connection, peer: &PeerId) -> Outcome<Option<PeerKey>> {
    Ok(db
        .prepare_cached("SELECT id FROM peers WHERE name = ?")?
        .query_row([peer.as_str()], |row| row.get(0).map(PeerKey))
        .optional()?)
}

#[async_trait]
impl Peers for SqliteStore {
    async fn register_peer(
        &self,
        registration: &Registration,
        now: UnixMillis,
    ) -> Result<u64, Problem> {
        let registration = registration.clone();
        self.writer
            .write(move |db| register(db, &registration, now))
            .await
    }

    async fn renew_lease(
        &self,
        peer: &PeerId,
        account: AccountId,
        lease: UnixMillis,
        now: UnixMillis,
    ) -> Result<u64, Problem> {
        let peer = peer.clone();
        // A power cut stops the directory for longer than the renewal was worth.
        self.writer
            .write_unsynced(move |db| renew(db, &peer, account, lease, now))
            .await
    }

    async fn leave(
        &self,
        peer: &PeerId,
        account: AccountId,
        _now: UnixMillis,
    ) -> Result<(), Problem> {
        let peer = peer.clone();
        self.writer.write(move |db| leave(db, &peer, account)).await
    }

    async fn remove_peer(&self, peer: &PeerId, entry: &AuditEntry) -> Result<(), Problem> {
        let (peer, entry) = (peer.clone(), entry.clone());
        self.writer
            .write(move |db| {
                remove(db, &peer)?;
                audit::record(db, &entry)
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
        let (viewer, cursor) = (viewer.clone(), cursor.map(str::to_owned));
        self.readers
            .read_long(move |db| listing::peers(db, &viewer, limit, cursor.as_deref(), now))
            .await
    }

    async fn listed_peer(
        &self,
        viewer: &Viewer,
        peer: &PeerId,
        now: UnixMillis,
    ) -> Result<Option<ListedPeer>, Problem> {
        self.readers.read(|db| listing::peer(db, viewer, peer, now))
    }

    async fn online_peers(&self, now: UnixMillis) -> Result<Vec<PeerKey>, Problem> {
        self.readers.read(|db| online(db, now))
    }

    async fn peer_key(&self, peer: &PeerId) -> Result<Option<PeerKey>, Problem> {
        self.readers.read(|db| key(db, peer))
    }
}
