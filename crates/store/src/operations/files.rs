//! Publication of files: changes, and full publications in batches.
//!
//! Two publications of one peer run one after the other, because each locks the peer's row.

use async_trait::async_trait;
use convite_core::model::{FileEntry, IndexEntry, Page};
use convite_core::{PeerId, Problem, UnixMillis};

use crate::database::{Access, Backend, Database, FileChange, Lock};
use crate::error::{DbError, DbResult};
use crate::incoming::{check_above, files_in_order, in_order, stored};
use crate::tables::removals::{self, PendingRemoval};
use crate::{AccountId, Files, FullSync, IndexChange, PeerKey, Quotas, Tally, Viewer};

/// Maximum number of files removed per transaction at the end of a full publication. Short enough
/// (about 50 ms) for heartbeats to run in between.
const REMOVE_MAX: i64 = 10_000;

/// The state of a peer that a publication needs.
struct PublishingPeer {
    key: PeerKey,
    generation: u64,
    attempt: i64,
    /// Answer to its last publication.
    last: Tally,
}

/// The generations before and after a change.
#[derive(Clone, Copy)]
struct GenerationStep {
    base: u64,
    generation: u64,
}

/// Returns the peer with this id if it belongs to `account` and can publish. The error is the same
/// for another account's peer and for an unknown one. Locks the row until the transaction ends.
async fn owned(
    db: &mut impl Database,
    peer: &PeerId,
    account: AccountId,
) -> DbResult<PublishingPeer> {
    let found = db
        .lock(
            "SELECT id, generation, attempt, transient, last_upserted, last_removed FROM peers
             WHERE name = $1 AND account = $2",
            &[peer, &account],
            Lock::NoKeyUpdate,
        )
        .await?;
    let row = found.first();
    let row = row.ok_or_else(|| DbError::UnknownPeer(peer.clone()))?;
    if row.get(3)? {
        return Err(DbError::TransientCannotShare(peer.clone()));
    }
    Ok(PublishingPeer {
        key: row.get(0)?,
        generation: row.get(1)?,
        attempt: row.get(2)?,
        last: Tally {
            upserted: row.get(4)?,
            removed: row.get(5)?,
        },
    })
}

async fn publish_change<D: Database>(
    db: &mut D,
    peer: &PeerId,
    account: AccountId,
    step: GenerationStep,
    change: &IndexChange,
    quotas: &Quotas,
) -> DbResult<Tally> {
    let peer = owned(db, peer, account).await?;
    let held = peer.generation;
    if held == step.generation {
        return Ok(peer.last);
    }
    if held != step.base {
        return Err(DbError::WrongBase {
            held,
            base: step.base,
        });
    }
    let remove = change.remove.iter();
    let remove: Vec<_> = remove.map(|path| D::path_key(path.as_str())).collect();
    let change = FileChange {
        peer: peer.key,
        attempt: peer.attempt,
        remove: &remove,
        upsert: &change.upsert,
        is_full: false,
        quotas,
    };
    let tally = db.change_files(&change).await?;
    set_generation(db, peer.key, step.generation, tally).await?;
    Ok(tally)
}

/// Sets the generation, and the answer to a repeated publication of it.
async fn set_generation(
    db: &mut impl Database,
    peer: PeerKey,
    generation: u64,
    answer: Tally,
) -> DbResult<()> {
    db.execute(
        "UPDATE peers SET generation = $1, last_upserted = $2, last_removed = $3 WHERE id = $4",
        &[
            &stored(generation, "generation")?,
            &(answer.upserted as i64),
            &(answer.removed as i64),
            &peer,
        ],
    )
    .await?;
    Ok(())
}

/// Returns the answer to the publication of this generation, if it is the peer's current one.
async fn previous_result(
    db: &mut impl Database,
    peer: PeerKey,
    generation: u64,
) -> DbResult<Option<Tally>> {
    let row = db
        .row(
            "SELECT last_upserted, last_removed FROM peers WHERE id = $1 AND generation = $2",
            &[&peer, &stored(generation, "generation")?],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    Ok(Some(Tally {
        upserted: row.get(0)?,
        removed: row.get(1)?,
    }))
}

async fn begin_full(
    db: &mut impl Database,
    peer: &PeerId,
    account: AccountId,
) -> DbResult<FullSync> {
    let peer = owned(db, peer, account).await?;
    let attempt = peer.attempt + 1;
    db.execute(
        "UPDATE peers SET attempt = $1 WHERE id = $2",
        &[&attempt, &peer.key],
    )
    .await?;
    Ok(FullSync {
        peer: peer.key,
        attempt,
        tally: Tally::default(),
    })
}

/// Checks that no newer attempt has started. Locks the peer until the transaction ends.
async fn check_newest(db: &mut impl Database, sync: FullSync) -> DbResult<()> {
    let sql = "SELECT 1 FROM peers WHERE id = $1 AND attempt = $2";
    let newest = db
        .lock(sql, &[&sync.peer, &sync.attempt], Lock::NoKeyUpdate)
        .await?;
    match newest.is_empty() {
        true => Err(DbError::Superseded),
        false => Ok(()),
    }
}

async fn add_full(
    db: &mut impl Database,
    sync: FullSync,
    files: &[FileEntry],
    quotas: &Quotas,
) -> DbResult<Tally> {
    check_newest(db, sync).await?;
    db.change_files(&FileChange {
        peer: sync.peer,
        attempt: sync.attempt,
        remove: &[],
        upsert: files,
        is_full: true,
        quotas,
    })
    .await
}

/// Removes the files with these path keys.
async fn remove(db: &mut impl Database, peer: PeerKey, keys: &[String]) -> DbResult<Tally> {
    db.change_files(&FileChange {
        peer,
        attempt: 0,
        remove: keys,
        upsert: &[],
        is_full: false,
        quotas: &Quotas::default(),
    })
    .await
}

/// Removes up to [`REMOVE_MAX`] files that the attempt did not contain, starting at the path key
/// `from`, and adds them to the tally. Returns the key to continue from, or `None` when all are
/// removed and the generation is set.
async fn finish_full(
    db: &mut impl Database,
    sync: FullSync,
    generation: u64,
    from: &str,
) -> DbResult<(Tally, Option<String>)> {
    check_newest(db, sync).await?;
    let rows = db
        .rows(
            "SELECT path FROM files WHERE peer = $1 AND path >= $2 AND attempt <> $3
             ORDER BY path LIMIT $4",
            &[&sync.peer, &from, &sync.attempt, &REMOVE_MAX],
        )
        .await?;
    let stale = rows.iter().map(|row| row.get(0));
    let stale: Vec<String> = stale.collect::<DbResult<_>>()?;
    let mut tally = sync.tally;
    tally.removed += remove(db, sync.peer, &stale).await?.removed;
    if stale.len() as i64 == REMOVE_MAX {
        return Ok((tally, stale.into_iter().next_back()));
    }
    if tally == Tally::default()
        && let Some(before) = previous_result(db, sync.peer, generation).await?
    {
        return Ok((before, None));
    }
    set_generation(db, sync.peer, generation, tally).await?;
    Ok((tally, None))
}

/// Removes those of the next files of a peer, starting at the path key `from`, that are in a space,
/// if the removal is still pending. Returns the key to continue from, or `None` at the end.
pub(super) async fn remove_batch(
    db: &mut impl Database,
    of: PendingRemoval,
    from: &str,
) -> DbResult<Option<String>> {
    // Locks the peer like a publication. Re-adding a member waits for this lock, and then makes the
    // peer publish everything again.
    let sql = "SELECT 1 FROM peers WHERE id = $1";
    db.lock(sql, &[&of.peer], Lock::NoKeyUpdate).await?;
    if !removals::is_pending(db, of).await? {
        return Ok(None);
    }
    let rows = db
        .rows(
            "SELECT path, space FROM files WHERE peer = $1 AND path >= $2 ORDER BY path LIMIT $3",
            &[&of.peer, &from, &REMOVE_MAX],
        )
        .await?;
    let mut keys = Vec::new();
    for row in &rows {
        if row.get::<i64>(1)? == of.space {
            keys.push(row.get(0)?);
        }
    }
    remove(db, PeerKey(of.peer), &keys).await?;
    match rows.last() {
        Some(last) if rows.len() as i64 == REMOVE_MAX => last.get(0).map(Some),
        _ => Ok(None),
    }
}

/// Returns the access for a publication of `files` files. One that only removes files must succeed
/// on a full disk.
fn access(files: usize) -> Access {
    match files {
        0 => Access::WriteAlways,
        _ => Access::WriteFiles,
    }
}

#[async_trait]
impl<B: Backend> Files for B {
    async fn publish_change(
        &self,
        peer: &PeerId,
        account: AccountId,
        base: u64,
        generation: u64,
        change: IndexChange,
        _now: UnixMillis,
    ) -> Result<Tally, Problem> {
        check_above(generation, base)?;
        let step = GenerationStep { base, generation };
        let access = access(change.upsert.len());
        let input = (peer.clone(), in_order(change), *self.quotas());
        self.run(access, input, move |db, (peer, change, quotas)| {
            Box::pin(publish_change(db, peer, account, step, change, quotas))
        })
        .await
    }

    async fn begin_full(
        &self,
        peer: &PeerId,
        account: AccountId,
        _now: UnixMillis,
    ) -> Result<FullSync, Problem> {
        self.run(Access::WriteFiles, peer.clone(), move |db, peer| {
            Box::pin(begin_full(db, peer, account))
        })
        .await
    }

    async fn add_full(
        &self,
        sync: FullSync,
        files: Vec<FileEntry>,
        _now: UnixMillis,
    ) -> Result<Tally, Problem> {
        let access = access(files.len());
        let input = (files_in_order(files), *self.quotas());
        self.run(access, input, move |db, (files, quotas)| {
            Box::pin(add_full(db, sync, files, quotas))
        })
        .await
    }

    async fn finish_full(
        &self,
        mut sync: FullSync,
        generation: u64,
        _now: UnixMillis,
    ) -> Result<Tally, Problem> {
        let mut from = String::new();
        loop {
            let (tally, next) = self
                .run(Access::WriteAlways, from, move |db, from| {
                    Box::pin(finish_full(db, sync, generation, from))
                })
                .await?;
            sync.tally = tally;
            match next {
                Some(key) => from = key,
                None => return Ok(tally),
            }
        }
    }

    async fn index(
        &self,
        viewer: &Viewer,
        peer: Option<&PeerId>,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Page<IndexEntry>, Problem> {
        let input = (viewer.clone(), peer.cloned(), cursor.map(str::to_owned));
        self.run(
            Access::LongRead,
            input,
            move |db, (viewer, peer, cursor)| {
                Box::pin(db.index(viewer, peer.as_ref(), limit, cursor.as_deref(), now))
            },
        )
        .await
    }
}
