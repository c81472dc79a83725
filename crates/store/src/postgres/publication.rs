//! A change to the files of one peer, and its consequences for contents and counts.
//!
//! A batch needs a constant number of statements: its columns are sent as arrays, which `unnest`
//! turns into rows. Each row is looked up by its full key with `LATERAL` and `LIMIT`, because the
//! planner could join a plain join with all files of the peer.
//!
//! Publications of different peers conflict only in contents that both share. There, foreign keys
//! keep them consistent: a content whose last file is removed while another peer starts to share it
//! either stays, or is created again by a retry of the later transaction. Publications cannot
//! deadlock.

use std::collections::{BTreeMap, BTreeSet};

use convite_core::SpaceName;
use convite_core::model::FileEntry;
use tokio_postgres::Row;

use super::connections::Connection;
use super::{orphans, paths, sizes, spaces};
use crate::database::FileChange;
use crate::error::{DbError, DbResult};
use crate::growth::Growth;
use crate::incoming::stored;
use crate::named::name_key;
use crate::stored::{kind, kind_number, unsigned};
use crate::{Quotas, Tally};

/// Changes the files of a peer: see [`Database::change_files`](crate::database::Database). Returns
/// the changed contents too.
pub(super) async fn change_files(
    db: &Connection,
    change: &FileChange<'_>,
) -> DbResult<(Tally, Vec<i64>)> {
    let peer = change.peer.0;
    let keys: Vec<&str> = change.remove.iter().map(String::as_str).collect();
    let mut publication = Publication::new(db, peer, change.attempt);
    publication.remove(&keys).await?;
    publication.upsert(change.upsert).await?;
    if !change.upsert.is_empty() {
        sizes::one_each(db, peer, change.upsert, change.counted_attempt()).await?;
    }
    publication.finish(change.quotas).await
}

/// A change to the files of one peer, within one transaction.
struct Publication<'a> {
    db: &'a Connection,
    peer: i64,
    attempt: i64,
    /// Contents that gained a file, or with a file that moved to another space.
    gained: BTreeSet<i64>,
    /// Contents that lost a file.
    lost: BTreeSet<i64>,
    growth: Growth,
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
            growth: Growth::default(),
            tally: Tally::default(),
        }
    }

    /// Returns the numbers of the files' spaces. Fails if the peer's account cannot publish to one
    /// of them.
    async fn spaces(&self, files: &[FileEntry]) -> DbResult<Vec<i64>> {
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

    /// Counts several files and folders more (1) or less (-1): the spaces, the kinds and the bytes
    /// of their paths.
    fn grow(&mut self, by: i64, of: (Vec<i64>, Vec<i64>, Vec<i64>)) -> DbResult<()> {
        let (spaces, kinds, bytes) = of;
        for ((space, number), bytes) in spaces.into_iter().zip(kinds).zip(bytes) {
            self.growth.count(space, kind(number)?, by, bytes);
        }
        Ok(())
    }

    /// Stores `files`, which must be sorted by path without duplicates.
    async fn upsert(&mut self, files: &[FileEntry]) -> DbResult<()> {
        if files.is_empty() {
            return Ok(());
        }
        let sizes = files.iter().map(|f| stored(f.size, "file size"));
        let sizes: Vec<i64> = sizes.collect::<Result<_, _>>()?;
        let numbers = files.iter().map(|f| stored(f.files, "number of files"));
        let numbers: Vec<i64> = numbers.collect::<Result<_, _>>()?;
        let kinds: Vec<i64> = files.iter().map(|f| kind_number(f.kind)).collect();
        let hashes: Vec<&[u8]> = files.iter().map(|f| f.hash.as_bytes().as_slice()).collect();
        let keys: Vec<_> = files.iter().map(|f| paths::key(f.path.as_str())).collect();
        let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        let wholes: Vec<Option<&str>> = files.iter().map(|f| paths::whole(&f.path)).collect();
        let names: Vec<i64> = files.iter().map(|f| name_key(f.path.as_str())).collect();
        let modified: Vec<i64> = files.iter().map(|f| f.modified).collect();
        let executable: Vec<bool> = files.iter().map(|f| f.executable).collect();
        let spaces = self.spaces(files).await?;
        // In key order, as in all transactions, to avoid deadlocks.
        self.db
            .execute(
                "INSERT INTO contents (hash, kind, size, files)
                 SELECT g.hash, g.kind, g.size, g.files
                 FROM unnest($1::BYTEA[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[])
                     AS g (hash, kind, size, files)
                 WHERE (SELECT 1 FROM contents c WHERE c.hash = g.hash AND c.kind = g.kind
                            AND c.size = g.size AND c.files = g.files LIMIT 1) IS NULL
                 GROUP BY g.hash, g.kind, g.size, g.files
                 ORDER BY g.hash, g.kind, g.size, g.files
                 ON CONFLICT (hash, kind, size, files) DO NOTHING",
                &[&hashes, &kinds, &sizes, &numbers],
            )
            .await?;
        // `before` sees the previous files: parts of one statement do not see each other's changes.
        let row = self
            .db
            .one(
                "WITH wanted AS MATERIALIZED (
                     SELECT g.path, g.whole, g.name, g.modified, g.space, g.kind, g.executable,
                         c.id AS content, octet_length(coalesce(g.whole, g.path))::BIGINT AS bytes
                     FROM unnest($3::TEXT[], $4::TEXT[], $5::BYTEA[], $6::BIGINT[], $7::BIGINT[],
                                 $8::BIGINT[], $9::BIGINT[], $10::BIGINT[], $11::BIGINT[],
                                 $12::BOOLEAN[])
                         AS g (path, whole, hash, size, modified, space, name, kind, files,
                               executable)
                     CROSS JOIN LATERAL (
                         SELECT id FROM contents WHERE hash = g.hash AND kind = g.kind
                             AND size = g.size AND files = g.files LIMIT 1
                     ) c
                 ), before AS MATERIALIZED (
                     SELECT w.content, w.modified, w.space, w.executable, w.kind, w.bytes,
                         f.content AS held, f.modified AS held_modified, f.space AS held_space,
                         f.executable AS held_executable, CASE WHEN f.content = w.content
                             THEN w.kind
                             ELSE (SELECT kind FROM contents WHERE id = f.content) END AS held_kind
                     FROM wanted w LEFT JOIN LATERAL (
                         SELECT content, modified, space, executable FROM files
                         WHERE peer = $1 AND path = w.path LIMIT 1
                     ) f ON true
                 ), put AS (
                     INSERT INTO files AS f (peer, path, whole, name, content, modified, attempt,
                         space, executable)
                     SELECT $1, w.path, w.whole, w.name, w.content, w.modified, $2, w.space,
                         w.executable
                     FROM wanted w
                     ORDER BY w.path
                     ON CONFLICT (peer, path) DO UPDATE SET content = excluded.content,
                         modified = excluded.modified, attempt = excluded.attempt,
                         space = excluded.space, executable = excluded.executable
                     WHERE (f.content, f.modified, f.attempt, f.space, f.executable)
                         <> (excluded.content, excluded.modified, excluded.attempt, excluded.space,
                             excluded.executable)
                 )
                 SELECT (SELECT count(*) FROM wanted), count(*),
                     coalesce(array_agg(content) FILTER (
                         WHERE (held, held_space) IS DISTINCT FROM (content, space)), '{}'),
                     coalesce(array_agg(held) FILTER (WHERE held <> content), '{}'),
                     coalesce(array_agg(space) FILTER (
                         WHERE (held_space, held_kind) IS DISTINCT FROM (space, kind)), '{}'),
                     coalesce(array_agg(kind) FILTER (
                         WHERE (held_space, held_kind) IS DISTINCT FROM (space, kind)), '{}'),
                     coalesce(array_agg(bytes) FILTER (
                         WHERE (held_space, held_kind) IS DISTINCT FROM (space, kind)), '{}'),
                     coalesce(array_agg(held_space) FILTER (
                         WHERE (held_space, held_kind) <> (space, kind)), '{}'),
                     coalesce(array_agg(held_kind) FILTER (
                         WHERE (held_space, held_kind) <> (space, kind)), '{}'),
                     coalesce(array_agg(bytes) FILTER (
                         WHERE (held_space, held_kind) <> (space, kind)), '{}')
                 FROM before
                 WHERE (held, held_modified, held_space, held_executable)
                     IS DISTINCT FROM (content, modified, space, executable)",
                &[
                    &self.peer,
                    &self.attempt,
                    &keys,
                    &wholes,
                    &hashes,
                    &sizes,
                    &modified,
                    &spaces,
                    &names,
                    &kinds,
                    &numbers,
                    &executable,
                ],
            )
            .await?;
        if row.try_get::<_, i64>(0)? != files.len() as i64 {
            // A content was deleted concurrently.
            return Err(DbError::Conflict);
        }
        self.tally.upserted += unsigned(row.try_get(1)?)?;
        self.gained.extend(row.try_get::<_, Vec<i64>>(2)?);
        self.lost.extend(row.try_get::<_, Vec<i64>>(3)?);
        self.grow(1, (row.try_get(4)?, row.try_get(5)?, row.try_get(6)?))?;
        self.grow(-1, (row.try_get(7)?, row.try_get(8)?, row.try_get(9)?))
    }

    /// Removes the files with these keys (see [`paths::key`]).
    ///
    /// Row addresses are stable, because nobody else changes the rows of a locked peer.
    async fn remove(&mut self, keys: &[&str]) -> DbResult<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let rows = self
            .db
            .rows(
                "DELETE FROM files WHERE ctid = ANY (ARRAY(
                     SELECT f.ctid FROM unnest($2::TEXT[]) AS g (path) CROSS JOIN LATERAL (
                         SELECT ctid FROM files WHERE peer = $1 AND path = g.path LIMIT 1) f))
                 RETURNING content, space, octet_length(coalesce(whole, path))::BIGINT,
                     (SELECT kind FROM contents WHERE id = content)",
                &[&self.peer, &keys],
            )
            .await?;
        self.removed(&rows)
    }

    /// Records removed files: their contents and spaces.
    fn removed(&mut self, rows: &[Row]) -> DbResult<()> {
        for row in rows {
            self.lost.insert(row.try_get(0)?);
            let kind = kind(row.try_get(3)?)?;
            self.growth
                .count(row.try_get(1)?, kind, -1, row.try_get(2)?);
        }
        self.tally.removed += rows.len() as u64;
        Ok(())
    }

    /// Deletes contents without files, and checks the quota of the peer's account. Returns the
    /// changed contents for the log.
    async fn finish(self, quotas: &Quotas) -> DbResult<(Tally, Vec<i64>)> {
        let lost: Vec<i64> = self.lost.difference(&self.gained).copied().collect();
        if !lost.is_empty() {
            orphans::drop_orphans(self.db, &lost).await?;
        }
        let (spaces, grown): (Vec<i64>, Vec<_>) = self.growth.changed().unzip();
        let files: Vec<i64> = grown.iter().map(|counts| counts.files).collect();
        let folders: Vec<i64> = grown.iter().map(|counts| counts.folders).collect();
        let bytes: Vec<i64> = grown.iter().map(|counts| counts.bytes).collect();
        if !spaces.is_empty() {
            self.db
                .execute(
                    "INSERT INTO peer_files AS n (peer, space, files, folders, bytes)
                     SELECT $1, g.space, g.files, g.folders, g.bytes
                     FROM unnest($2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[])
                         AS g (space, files, folders, bytes)
                     ON CONFLICT (peer, space) DO UPDATE SET files = n.files + excluded.files,
                         folders = n.folders + excluded.folders, bytes = n.bytes + excluded.bytes",
                    &[&self.peer, &spaces, &files, &folders, &bytes],
                )
                .await?;
        }
        if self.growth.uses_quota() {
            check_quota(self.db, self.peer, quotas).await?;
        }
        let touched = self.gained.union(&self.lost).copied().collect();
        Ok((self.tally, touched))
    }
}

/// Rejects a change after which the account of a peer exceeds its quota. Two concurrent
/// publications may exceed it by the size of one of them.
async fn check_quota(db: &Connection, peer: i64, quotas: &Quotas) -> DbResult<()> {
    let row = db
        .one(
            "SELECT coalesce(sum(n.files + n.folders), 0)::BIGINT,
                 coalesce(sum(n.bytes), 0)::BIGINT
             FROM (SELECT id FROM peers
                   WHERE account = (SELECT account FROM peers WHERE id = $1) OFFSET 0) p
             CROSS JOIN LATERAL (
                 SELECT files, folders, bytes FROM peer_files WHERE peer = p.id OFFSET 0) n",
            &[&peer],
        )
        .await?;
    let (files, bytes) = (row.try_get(0)?, row.try_get(1)?);
    quotas.check_files(unsigned(files)?, unsigned(bytes)?)
}
