//! A change to the files of one peer, and its consequences for contents and counts.
//!
//! Batches are written in primary key order (655,000 rows/s, compared with 30,000–58,000 in random
//! order). Contents with changed names or providers are collected and logged once per transaction;
//! contents that lost their last file are deleted in the same transaction.

use std::collections::{BTreeMap, BTreeSet};

use convite_core::model::FileEntry;
use convite_core::{ContentHash, EntryKind, SpaceName};
use rusqlite::{Connection, OptionalExtension, params};

use super::{sizes, spaces};
use crate::database::FileChange;
use crate::error::DbResult;
use crate::growth::{Counts, Growth};
use crate::incoming::stored;
use crate::named::name_key;
use crate::stored::{kind, kind_number, unsigned};
use crate::{Quotas, Tally};

/// Changes the files of a peer: see [`Database::change_files`](crate::database::Database).
pub(super) fn change_files(db: &Connection, change: &FileChange<'_>) -> DbResult<Tally> {
    let peer = change.peer.0;
    let mut publication = Publication::new(db, peer, change.attempt);
    publication.remove(change.remove)?;
    publication.upsert(change.upsert)?;
    sizes::one_each(db, peer, &publication.contested, change.counted_attempt())?;
    publication.finish(change.quotas)
}

/// A change to the files of one peer, within one transaction.
struct Publication<'a> {
    db: &'a Connection,
    peer: i64,
    attempt: i64,
    /// Contents that gained or lost a file, or with a file that moved to another space.
    touched: BTreeSet<i64>,
    growth: Growth,
    /// Spaces of the files that the peer's account can publish to.
    spaces: BTreeMap<SpaceName, i64>,
    /// Hashes for which other kinds or sizes are stored.
    contested: BTreeSet<ContentHash>,
    tally: Tally,
}

impl<'a> Publication<'a> {
    fn new(db: &'a Connection, peer: i64, attempt: i64) -> Self {
        Self {
            db,
            peer,
            attempt,
            touched: BTreeSet::new(),
            growth: Growth::default(),
            spaces: BTreeMap::new(),
            contested: BTreeSet::new(),
            tally: Tally::default(),
        }
    }

    /// Returns the number of a file's space. Fails if the peer's account cannot publish to it.
    fn space(&mut self, file: &FileEntry) -> DbResult<i64> {
        let Some(name) = &file.space else {
            return Ok(0);
        };
        if let Some(key) = self.spaces.get(name) {
            return Ok(*key);
        }
        let account = self
            .db
            .prepare_cached("SELECT account FROM peers WHERE id = ?")?
            .query_row([self.peer], |row| row.get(0))?;
        let key = spaces::writable(self.db, name, account)?;
        self.spaces.insert(name.clone(), key);
        Ok(key)
    }

    /// Returns the kind of a content.
    fn kind(&self, content: i64) -> DbResult<EntryKind> {
        let mut find = self
            .db
            .prepare_cached("SELECT kind FROM contents WHERE id = ?")?;
        kind(find.query_row([content], |row| row.get(0))?)
    }

    /// Stores `files`, which must be sorted by path without duplicates.
    fn upsert(&mut self, files: &[FileEntry]) -> DbResult<()> {
        let db = self.db;
        let mut find = db.prepare_cached(
            "SELECT content, modified, attempt, space, executable FROM files
             WHERE peer = ? AND path = ?",
        )?;
        let mut put = db.prepare_cached(
            "INSERT INTO files (peer, path, name, content, modified, attempt, space, executable)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (peer, path) DO UPDATE SET content = excluded.content,
                 modified = excluded.modified, attempt = excluded.attempt, space = excluded.space,
                 executable = excluded.executable",
        )?;
        let mut mark =
            db.prepare_cached("UPDATE files SET attempt = ? WHERE peer = ? AND path = ?")?;
        let contents = contents(db, files, &mut self.contested)?;
        for (file, content) in files.iter().zip(contents) {
            let path = file.path.as_str();
            let space = self.space(file)?;
            let bytes = path.len() as i64;
            let before: Option<(i64, i64, i64, i64, bool)> = find
                .query_row(params![self.peer, path], |row| row.try_into())
                .optional()?;
            match before {
                Some((held, modified, attempt, lay, executable))
                    if (held, modified, lay, executable)
                        == (content, file.modified, space, file.executable) =>
                {
                    if attempt != self.attempt {
                        mark.execute(params![self.attempt, self.peer, path])?;
                    }
                    continue;
                }
                Some((held, _, _, lay, _)) => {
                    if (held, lay) != (content, space) {
                        self.touched.extend([held, content]);
                        self.growth.count(lay, self.kind(held)?, -1, bytes);
                        self.growth.count(space, file.kind, 1, bytes);
                    }
                }
                None => {
                    self.touched.insert(content);
                    self.growth.count(space, file.kind, 1, bytes);
                }
            }
            put.execute(params![
                self.peer,
                path,
                name_key(path),
                content,
                file.modified,
                self.attempt,
                space,
                file.executable,
            ])?;
            self.tally.upserted += 1;
        }
        Ok(())
    }

    fn remove(&mut self, paths: &[String]) -> DbResult<()> {
        let mut remove = self.db.prepare_cached(
            "DELETE FROM files WHERE peer = ? AND path = ? RETURNING content, space",
        )?;
        for path in paths {
            let removed: Option<(i64, i64)> = remove
                .query_row(params![self.peer, path], |row| row.try_into())
                .optional()?;
            if let Some((content, space)) = removed {
                self.touched.insert(content);
                let kind = self.kind(content)?;
                self.growth.count(space, kind, -1, path.len() as i64);
                self.tally.removed += 1;
            }
        }
        Ok(())
    }

    /// Deletes contents without files, logs the changed contents, and checks the quota of the
    /// peer's account.
    fn finish(self, quotas: &Quotas) -> DbResult<Tally> {
        let mut sweep = self.db.prepare_cached(
            "DELETE FROM contents WHERE id = ?1
             AND NOT EXISTS (SELECT 1 FROM files WHERE content = ?1)",
        )?;
        let mut log = self
            .db
            .prepare_cached("INSERT INTO changes (content) VALUES (?)")?;
        for content in &self.touched {
            sweep.execute([content])?;
            log.execute([content])?;
        }
        let mut count = self.db.prepare_cached(
            "INSERT INTO peer_files (peer, space, files, folders, bytes) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (peer, space) DO UPDATE SET files = files + excluded.files,
                 folders = folders + excluded.folders, bytes = bytes + excluded.bytes",
        )?;
        for (space, counts) in self.growth.changed() {
            let Counts {
                files,
                folders,
                bytes,
            } = counts;
            count.execute(params![self.peer, space, files, folders, bytes])?;
        }
        if self.growth.uses_quota() {
            check_quota(self.db, self.peer, quotas)?;
        }
        Ok(self.tally)
    }
}

/// Rejects a change after which the account of a peer exceeds its quota.
fn check_quota(db: &Connection, peer: i64, quotas: &Quotas) -> DbResult<()> {
    let (files, bytes) = db
        .prepare_cached(
            "SELECT coalesce(sum(n.files + n.folders), 0), coalesce(sum(n.bytes), 0)
             FROM peers p CROSS JOIN peer_files n ON n.peer = p.id
             WHERE p.account = (SELECT account FROM peers WHERE id = ?)",
        )?
        .query_row([peer], |row| Ok((row.get(0)?, row.get(1)?)))?;
    quotas.check_files(unsigned(files)?, unsigned(bytes)?)
}

/// Returns the keys of the files' contents. Looks them up in hash order, so that each index page is
/// read and changed only once.
fn contents(
    db: &Connection,
    files: &[FileEntry],
    contested: &mut BTreeSet<ContentHash>,
) -> DbResult<Vec<i64>> {
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_unstable_by_key(|at| files[*at].hash.as_bytes());
    let mut keys = vec![0; files.len()];
    for at in order {
        let (key, has_other_claims) = content(db, &files[at])?;
        keys[at] = key;
        if has_other_claims {
            contested.insert(files[at].hash);
        }
    }
    Ok(keys)
}

/// Returns the key of a content, which it creates if necessary, and whether its hash has other kinds
/// or sizes.
fn content(db: &Connection, file: &FileEntry) -> DbResult<(i64, bool)> {
    let size = stored(file.size, "file size")?;
    let files = stored(file.files, "number of files")?;
    let (hash, kind) = (file.hash.as_bytes(), kind_number(file.kind));
    // Usually there is one content with this hash, or none.
    let claims: Vec<(i64, i64, i64, i64)> = db
        .prepare_cached("SELECT id, kind, size, files FROM contents WHERE hash = ? LIMIT 2")?
        .query_map([hash], |row| row.try_into())?
        .collect::<Result<_, _>>()?;
    let mut known = match claims.as_slice() {
        [(key, a_kind, a_size, number)] if (*a_kind, *a_size, *number) == (kind, size, files) => {
            return Ok((*key, false));
        }
        [] | [_] => None,
        _ => db
            .prepare_cached(
                "SELECT id FROM contents WHERE hash = ? AND kind = ? AND size = ? AND files = ?",
            )?
            .query_row(params![hash, kind, size, files], |row| row.get(0))
            .optional()?,
    };
    if known.is_none() {
        let mut put = db
            .prepare_cached("INSERT INTO contents (hash, kind, size, files) VALUES (?, ?, ?, ?)")?;
        known = Some(put.insert(params![hash, kind, size, files])?);
    }
    Ok((known.unwrap_or_default(), !claims.is_empty()))
}
