//! What peers share: taking in changes, or a whole index in batches.
//!
//! A batch is a handful of statements whatever its size: its columns travel as arrays, and `unnest`
//! makes rows of them. Two publications of one peer take turns (its row is locked); those of others
//! meet only in contents that they share, and there the database's own checks of references hold
//! them apart: a content whose last file goes while another peer begins to share it stays, or is
//! made anew by the second try of the one that was late. None waits for another that waits for it.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use convite_core::model::{FileEntry, IndexEntry, Page};
use convite_core::{PeerId, Problem, SpaceName, UnixMillis};

use tokio_postgres::Row;

use super::connections::{Connection, Transaction};
use super::failure::{Failure, Outcome};
use super::peers::{self, Peer};
use super::{PostgresStore, changes, listing, orphans, paths, sizes, spaces, transaction};
use crate::incoming::{self, files_in_order, in_order, stored};
use crate::{AccountId, Files, FullSync, IndexChange, PeerKey, Tally, Viewer};

/// Files removed in one transaction when a whole index has come in: short enough that heartbeats
/// get their turn.
const REMOVE_MAX: i64 = 10_000;

/// A change to one peer's files, in one transaction.
struct Publication<'a> {
    db: &'a Connection,
    peer: i64,
    attempt: i64,
    /// Contents that gained a file, or of which one lies in another space now,
    gained: BTreeSet<i64>,
    /// or lost one.
    lost: BTreeSet<i64>,
    /// Files that are there now and were not before, less those that went, by space.
    growth: BTreeMap<i64, i64>,
    tally: Tally,
}

impl<'a> Publication<'a> {
    fn new(db: &'a Connection, peer: i64, attempt: i64) -> Self {
        Self {
            db,
            peer,
            attempt,
            gained: BTreeSet::new(),
            lost: BTreeSet::new(),
            growth: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    /// The numbers of the spaces that files are to lie in, if their peer's account may put them
    /// there.
    async fn spaces(&self, files: &[FileEntry]) -> Outcome<Vec<i64>> {
        let mut known = BTreeMap::<&SpaceName, i64>::new();
        let mut spaces = Vec::with_capacity(files.len());
        for file in files {
            let key = match &file.space {
                None => 0,
                Some(name) => match known.get(name) {
                    Some(key) => *key,
                    None => {
                        let key = spaces::writable(self.db, name, self.peer).await?;
                        known.insert(name, key);
                        key
                    }
                },
            };
            spaces.push(key);
        }
        Ok(spaces)
    }

    fn grow(&mut self, spaces: impl IntoIterator<Item = i64>, by: i64) {
        for space in spaces {
            *self.growth.entry(space).or_default() += by;
        }
    }

    /// `files` in the order of their paths, each path once.
    async fn upsert(&mut self, files: &[FileEntry]) -> Outcome<()> {
        if files.is_empty() {
            return Ok(());
        }
        let sizes = files.iter().map(|f| stored(f.size, "size of a file"));
        let sizes: Vec<i64> = sizes.collect::<Result<_, _>>()?;
        let hashes: Vec<&[u8]> = files.iter().map(|f| f.hash.as_bytes().as_slice()).collect();
        let keys: Vec<_> = files.iter().map(|f| paths::key(f.path.as_str())).collect();
        let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        let wholes: Vec<Option<&str>> = files.iter().map(|f| paths::whole(&f.path)).collect();
        let modified: Vec<i64> = files.iter().map(|f| f.modified).collect();
        let spaces = self.spaces(files).await?;
        // In the order of their key, as everybody does, so that no two wait for each other.
        self.db
            .execute(
                "INSERT INTO contents (hash, size)
                 SELECT g.hash, g.size FROM unnest($1::BYTEA[], $2::BIGINT[]) AS g (hash, size)
                 WHERE NOT EXISTS (SELECT 1 FROM contents c
                                   WHERE c.hash = g.hash AND c.size = g.size)
                 GROUP BY g.hash, g.size ORDER BY g.hash, g.size
                 ON CONFLICT (hash, size) DO NOTHING",
                &[&hashes, &sizes],
            )
            .await?;
        // `before` sees the files as they were: the parts of a statement see nothing of each other.
        // With LIMIT each file is looked up by its key: a join may be planned as one with all files
        // of the peer, where the server knows no statistics yet.
        let row = self
            .db
            .one(
                "WITH wanted AS MATERIALIZED (
                     SELECT g.path, g.whole, g.modified, g.space, c.id AS content
                     FROM unnest($3::TEXT[], $4::TEXT[], $5::BYTEA[], $6::BIGINT[], $7::BIGINT[],
                                 $8::BIGINT[])
                         AS g (path, whole, hash, size, modified, space)
                     CROSS JOIN LATERAL (
                         SELECT id FROM contents WHERE hash = g.hash AND size = g.size LIMIT 1
                     ) c
                 ), before AS MATERIALIZED (
                     SELECT w.content, w.modified, w.space, f.content AS held,
                         f.modified AS held_modified, f.space AS held_space
                     FROM wanted w LEFT JOIN LATERAL (
                         SELECT content, modified, space FROM files
                         WHERE peer = $1 AND path = w.path LIMIT 1
                     ) f ON true
                 ), put AS (
                     INSERT INTO files AS f (peer, path, whole, content, modified, attempt, space)
                     SELECT $1, w.path, w.whole, w.content, w.modified, $2, w.space FROM wanted w
                     ORDER BY w.path
                     ON CONFLICT (peer, path) DO UPDATE SET content = excluded.content,
                         modified = excluded.modified, attempt = excluded.attempt,
                         space = excluded.space
                     WHERE (f.content, f.modified, f.attempt, f.space) <> (excluded.content,
                         excluded.modified, excluded.attempt, excluded.space)
                 )
                 SELECT (SELECT count(*) FROM wanted), count(*),
                     coalesce(array_agg(content) FILTER (
                         WHERE (held, held_space) IS DISTINCT FROM (content, space)), '{}'),
                     coalesce(array_agg(held) FILTER (WHERE held <> content), '{}'),
                     coalesce(array_agg(space) FILTER (
                         WHERE held_space IS DISTINCT FROM space), '{}'),
                     coalesce(array_agg(held_space) FILTER (WHERE held_space <> space), '{}')
                 FROM before
                 WHERE (held, held_modified, held_space)
                     IS DISTINCT FROM (content, modified, space)",
                &[
                    &self.peer,
                    &self.attempt,
                    &keys,
                    &wholes,
                    &hashes,
                    &sizes,
                    &modified,
                    &spaces,
                ],
            )
            .await?;
        if row.try_get::<_, i64>(0)? != files.len() as i64 {
            // A content was swept away in between.
            return Err(Failure::Overtaken);
        }
        self.tally.upserted += peers::unsigned(row.try_get(1)?)?;
        self.gained.extend(row.try_get::<_, Vec<i64>>(2)?);
        self.lost.extend(row.try_get::<_, Vec<i64>>(3)?);
        self.grow(row.try_get::<_, Vec<i64>>(4)?, 1);
        self.grow(row.try_get::<_, Vec<i64>>(5)?, -1);
        Ok(())
    }

    /// Removes the files under these keys (see [`paths::key`]).
    async fn remove(&mut self, keys: &[&str]) -> Outcome<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let rows = self
            .db
            .rows(
                "DELETE FROM files f USING unnest($2::TEXT[]) AS g (path)
                 WHERE f.peer = $1 AND f.path = g.path RETURNING f.content, f.space",
                &[&self.peer, &keys],
            )
            .await?;
        self.removed(&rows)
    }

    /// Notes files that went: their contents and spaces.
    fn removed(&mut self, rows: &[Row]) -> Outcome<()> {
        for row in rows {
            self.lost.insert(row.try_get(0)?);
            self.grow([row.try_get::<_, i64>(1)?], -1);
        }
        self.tally.removed += rows.len() as u64;
        Ok(())
    }

    /// Drops contents that nobody shares any more; returns all that changed, to be logged.
    async fn finish(self) -> Outcome<(Tally, Vec<i64>)> {
        let lost: Vec<i64> = self.lost.difference(&self.gained).copied().collect();
        if !lost.is_empty() {
            orphans::drop_orphans(self.db, &lost).await?;
        }
        let growth = self.growth.into_iter().filter(|(_, by)| *by != 0);
        let (spaces, by): (Vec<i64>, Vec<i64>) = growth.unzip();
        if !spaces.is_empty() {
            self.db
                .execute(
                    "INSERT INTO peer_files AS n (peer, space, files)
                     SELECT $1, g.space, g.files
                     FROM unnest($2::BIGINT[], $3::BIGINT[]) AS g (space, files)
                     ON CONFLICT (peer, space) DO UPDATE SET files = n.files + excluded.files",
                    &[&self.peer, &spaces, &by],
                )
                .await?;
        }
        let touched = self.gained.union(&self.lost).copied().collect();
        Ok((self.tally, touched))
    }
}

async fn apply(
    db: &Connection,
    peer: &PeerId,
    account: AccountId,
    base: u64,
    generation: u64,
    change: &IndexChange,
) -> Outcome<(Tally, Vec<i64>)> {
    let Peer {
        key,
        generation: held,
        attempt,
        last,
    } = peers::owned(db, peer, account).await?;
    if held == generation {
        return Ok((last, Vec::new()));
    }
    if held != base {
        return Err(incoming::on_another_base(held, base).into());
    }
    let remove: Vec<_> = change
        .remove
        .iter()
        .map(|p| paths::key(p.as_str()))
        .collect();
    let remove: Vec<&str> = remove.iter().map(AsRef::as_ref).collect();
    let mut publication = Publication::new(db, key, attempt);
    publication.remove(&remove).await?;
    publication.upsert(&change.upsert).await?;
    sizes::one_each(db, key, &change.upsert, None).await?;
    let done = publication.finish().await?;
    set_generation(db, key, generation, done.0).await?;
    Ok(done)
}

/// Sets the generation, and what its publication is answered with.
async fn set_generation(db: &Connection, peer: i64, generation: u64, answer: Tally) -> Outcome<()> {
    let generation = stored(generation, "generation")?;
    let (upserted, removed) = (answer.upserted as i64, answer.removed as i64);
    db.execute(
        "UPDATE peers SET generation = $1, last_upserted = $3, last_removed = $4 WHERE id = $2",
        &[&generation, &peer, &upserted, &removed],
    )
    .await?;
    Ok(())
}

/// What the publication of this generation was answered with, if the peer holds it.
async fn answered(db: &Connection, peer: i64, generation: u64) -> Outcome<Option<Tally>> {
    let generation = stored(generation, "generation")?;
    let row = db
        .row(
            "SELECT last_upserted, last_removed FROM peers WHERE id = $1 AND generation = $2",
            &[&peer, &generation],
        )
        .await?;
    let tally = |row: Row| peers::tally((row.try_get(0)?, row.try_get(1)?));
    row.map(tally).transpose()
}

async fn begin_full(db: &Connection, peer: &PeerId, account: AccountId) -> Outcome<FullSync> {
    let peer = peers::owned(db, peer, account).await?;
    let attempt = peer.attempt + 1;
    db.execute(
        "UPDATE peers SET attempt = $1 WHERE id = $2",
        &[&attempt, &peer.key],
    )
    .await?;
    Ok(FullSync {
        peer: PeerKey(peer.key),
        attempt,
        tally: Tally::default(),
    })
}

/// Locks the peer until the transaction ends.
async fn still_newest(db: &Connection, sync: FullSync) -> Outcome<()> {
    let newest = db
        .row(
            "SELECT 1 FROM peers WHERE id = $1 AND attempt = $2 FOR NO KEY UPDATE",
            &[&sync.peer.0, &sync.attempt],
        )
        .await?;
    match newest {
        Some(_) => Ok(()),
        None => Err(incoming::begun_anew().into()),
    }
}

async fn add_full(
    db: &Connection,
    sync: FullSync,
    files: &[FileEntry],
) -> Outcome<(Tally, Vec<i64>)> {
    still_newest(db, sync).await?;
    let mut publication = Publication::new(db, sync.peer.0, sync.attempt);
    publication.upsert(files).await?;
    sizes::one_each(db, sync.peer.0, files, Some(sync.attempt)).await?;
    publication.finish().await
}

/// Removes some of the files that the attempt did not name, from the key `from` on, and counts them
/// in. Returns where to go on, or none when all are gone and the generation is set.
async fn finish_full(
    db: &Connection,
    sync: FullSync,
    generation: u64,
    from: &str,
) -> Outcome<((Tally, Option<String>), Vec<i64>)> {
    still_newest(db, sync).await?;
    let rows = db
        .rows(
            "SELECT path FROM files WHERE peer = $1 AND path >= $2 AND attempt <> $3
             ORDER BY path LIMIT $4",
            &[&sync.peer.0, &from, &sync.attempt, &REMOVE_MAX],
        )
        .await?;
    let stale = rows.iter().map(|row| row.try_get(0));
    let stale: Vec<&str> = stale.collect::<Result<_, _>>()?;
    let mut publication = Publication::new(db, sync.peer.0, sync.attempt);
    publication.remove(&stale).await?;
    let (removed, touched) = publication.finish().await?;
    let mut tally = sync.tally;
    tally.removed += removed.removed;
    if (stale.len() as i64) == REMOVE_MAX {
        let last = stale.last().map(|path| (*path).to_owned());
        return Ok(((tally, last), touched));
    }
    if tally == Tally::default()
        && let Some(before) = answered(db, sync.peer.0, generation).await?
    {
        return Ok(((before, None), touched));
    }
    set_generation(db, sync.peer.0, generation, tally).await?;
    Ok(((tally, None), touched))
}

/// Ends a transaction: logs what its publication touched, and commits.
pub(super) async fn end<T>(transaction: Transaction, done: Outcome<(T, Vec<i64>)>) -> Outcome<T> {
    match done {
        Ok((value, touched)) => {
            changes::commit_logged(transaction, &touched).await?;
            Ok(value)
        }
        Err(failure) => {
            transaction.roll_back().await;
            Err(failure)
        }
    }
}

/// Takes the files of a peer that are among the next few from the key `from` on out of a space.
/// Returns where to go on, or none at the end, and the contents that this touched.
pub(super) async fn take_out(
    db: &Connection,
    peer: i64,
    space: i64,
    from: &str,
) -> Outcome<(Option<String>, Vec<i64>)> {
    let rows = db
        .rows(
            "SELECT path, space FROM files WHERE peer = $1 AND path >= $2 ORDER BY path LIMIT $3",
            &[&peer, &from, &REMOVE_MAX],
        )
        .await?;
    let files = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    let mut files: Vec<(&str, i64)> = files.collect::<Outcome<_>>()?;
    let goes_on = (files.len() as i64) == REMOVE_MAX;
    let next = files.last().map(|(path, _)| (*path).to_owned());
    files.retain(|(_, lies)| *lies == space);
    let keys: Vec<&str> = files.into_iter().map(|(path, _)| path).collect();
    let mut publication = Publication::new(db, peer, 0);
    publication.remove(&keys).await?;
    let (_, touched) = publication.finish().await?;
    Ok((next.filter(|_| goes_on), touched))
}

/// Has a peer send its whole index anew, and voids the one that it is sending.
pub(super) async fn start_anew(db: &Connection, peer: i64) -> Outcome<()> {
    db.execute(
        "UPDATE peers SET generation = 0, attempt = attempt + 1 WHERE id = $1",
        &[&peer],
    )
    .await?;
    Ok(())
}

/// As [`transaction!`], for what gives its value and the contents that it touched.
macro_rules! publication {
    ($store:expr, $db:ident => $body:expr) => {{
        let mut tries = 0;
        loop {
            let outcome = async {
                let transaction = $store.connections.begin().await?;
                let $db = transaction.db()?;
                let done = $body.await;
                $crate::postgres::publish::end(transaction, done).await
            };
            match outcome.await {
                Err(failure) if $crate::postgres::pause(&failure, &mut tries).await => {}
                outcome => break outcome.map_err(convite_core::Problem::from),
            }
        }
    }};
}
pub(super) use publication;

#[async_trait]
impl Files for PostgresStore {
    async fn publish_change(
        &self,
        peer: &PeerId,
        account: AccountId,
        base: u64,
        generation: u64,
        change: IndexChange,
        _now: UnixMillis,
    ) -> Result<Tally, Problem> {
        incoming::check_above(generation, base)?;
        let change = in_order(change);
        publication!(self, db => apply(db, peer, account, base, generation, &change))
    }

    async fn begin_full(
        &self,
        peer: &PeerId,
        account: AccountId,
        _now: UnixMillis,
    ) -> Result<FullSync, Problem> {
        transaction!(self, db => begin_full(db, peer, account))
    }

    async fn add_full(
        &self,
        sync: FullSync,
        files: Vec<FileEntry>,
        _now: UnixMillis,
    ) -> Result<Tally, Problem> {
        let files = files_in_order(files);
        publication!(self, db => add_full(db, sync, &files))
    }

    async fn finish_full(
        &self,
        mut sync: FullSync,
        generation: u64,
        _now: UnixMillis,
    ) -> Result<Tally, Problem> {
        let mut from = String::new();
        loop {
            let (tally, next): (Tally, Option<String>) =
                publication!(self, db => finish_full(db, sync, generation, &from))?;
            sync.tally = tally;
            match next {
                Some(path) => from = path,
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
        let db = self.connections.get().await?;
        Ok(listing::index(&db, viewer, peer, limit, cursor, now).await?)
    }
}
