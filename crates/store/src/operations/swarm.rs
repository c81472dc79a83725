//! Partial providers, announced by peers that download a content.
//!
//! An expired lease hides the peer and its announcements; a heartbeat that renews it restores both.
//! Announcements are deleted when the peer leaves, and when it registers after it was offline: a
//! new process announces its own downloads.

use async_trait::async_trait;
use convite_core::{ContentHash, PeerId, Problem, UnixMillis};

use crate::database::{Access, Backend, Database, Lock};
use crate::error::{DbError, DbResult};
use crate::incoming::stored;
use crate::{ANNOUNCEMENTS_MAX, AccountId, Announced, PeerKey, Swarm, Viewer};

/// Returns the key of a peer of `account` that can announce: it has not left and, if it is
/// transient, its lease has not expired. Locks the row, so that concurrent announcements are
/// counted.
async fn announcer(
    db: &mut impl Database,
    peer: &PeerId,
    account: AccountId,
    now: UnixMillis,
) -> DbResult<PeerKey> {
    let found = db
        .lock(
            "SELECT id FROM peers WHERE name = $1 AND account = $2 AND NOT departed
             AND (NOT transient OR lease > $3)",
            &[peer, &account, &now],
            Lock::NoKeyUpdate,
        )
        .await?;
    let row = found.first();
    row.ok_or_else(|| DbError::UnknownPeer(peer.clone()))?
        .get(0)
}

async fn announce(
    db: &mut impl Database,
    (peer, account): (&PeerId, AccountId),
    viewer: &Viewer,
    (hash, size): (&ContentHash, u64),
    now: UnixMillis,
) -> DbResult<Announced> {
    let key = announcer(db, peer, account, now).await?;
    if !db.can_see(viewer, hash).await? {
        return Err(DbError::ContentNotVisible);
    }
    let size = stored(size, "file size")?;
    let known: Option<i64> = db
        .value(
            "SELECT size FROM partials WHERE hash = $1 AND peer = $2",
            &[hash, &key],
        )
        .await?;
    if known.is_none() {
        let sql = "SELECT count(*) FROM partials WHERE peer = $1";
        if db.count::<u64>(sql, &[&key]).await? >= ANNOUNCEMENTS_MAX {
            return Err(DbError::TooManyAnnouncements(peer.clone()));
        }
    }
    let is_news = known != Some(size);
    if is_news {
        db.put_announcement(key, account, hash, size).await?;
    }
    let audience = db.audience(key, hash).await?;
    Ok(Announced { is_news, audience })
}

async fn withdraw(
    db: &mut impl Database,
    peer: &PeerId,
    account: AccountId,
    hash: &ContentHash,
    now: UnixMillis,
) -> DbResult<()> {
    let key = announcer(db, peer, account, now).await?;
    db.execute(
        "DELETE FROM partials WHERE hash = $1 AND peer = $2",
        &[hash, &key],
    )
    .await?;
    Ok(())
}

async fn announced(db: &mut impl Database, peer: &PeerId) -> DbResult<Vec<ContentHash>> {
    let sql = "SELECT hash FROM partials WHERE peer = (SELECT id FROM peers WHERE name = $1)";
    let rows = db.rows(sql, &[peer]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Deletes the announcements of peers whose leases expired by `expired`.
pub(super) async fn sweep(db: &mut impl Database, expired: i64) -> DbResult<()> {
    db.execute(
        "DELETE FROM partials WHERE (SELECT lease FROM peers WHERE id = partials.peer) <= $1",
        &[&expired],
    )
    .await?;
    Ok(())
}

#[async_trait]
impl<B: Backend> Swarm for B {
    async fn announce(
        &self,
        peer: &PeerId,
        account: AccountId,
        viewer: &Viewer,
        hash: &ContentHash,
        size: u64,
        now: UnixMillis,
    ) -> Result<Announced, Problem> {
        let input = (peer.clone(), viewer.clone(), *hash);
        self.run(Access::Write, input, move |db, (peer, viewer, hash)| {
            Box::pin(announce(db, (peer, account), viewer, (hash, size), now))
        })
        .await
    }

    async fn withdraw(
        &self,
        peer: &PeerId,
        account: AccountId,
        hash: &ContentHash,
        now: UnixMillis,
    ) -> Result<(), Problem> {
        let input = (peer.clone(), *hash);
        self.run(Access::WriteAlways, input, move |db, (peer, hash)| {
            Box::pin(withdraw(db, peer, account, hash, now))
        })
        .await
    }

    async fn announced(&self, peer: &PeerId) -> Result<Vec<ContentHash>, Problem> {
        self.run(Access::Read, peer.clone(), |db, peer| {
            Box::pin(announced(db, peer))
        })
        .await
    }
}
