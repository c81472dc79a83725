//! Providers of contents, and their summaries for search results.
//!
//! Some contents are very common (the empty file is shared under thousands of names), so no query
//! reads all rows of one content. Peers are found by skipping from peer to peer in the index, and
//! names come from a bounded sample of each peer's paths. The index has the space before the peer,
//! so that rows that the viewer cannot see are never read.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use convite_core::model::{FolderEntry, LocatedFile, Page};
use convite_core::{ContentHash, EntryKind, PeerId, Problem, SpaceName, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use super::partials::sees_elsewhere;
use super::{SqliteStore, changes, listing, named, partials, spaces};
use crate::error::{DbError, DbResult};
use crate::folder::{self, LevelScan};
use crate::located::{
    Claim, Holder, Names, Sample, located, most_common_kind, name_of, only_in, ranked, shown,
};
use crate::stored::{self, peer_id, unsigned};
use crate::{
    Changes, ContentDocument, ContentKey, ContentSummary, Contents, FOLDER_PATH_MAX, Move, Named,
    Viewer,
};

/// Returns the online peers that share a content, by key.
///
/// Skips from peer to peer: one index lookup per peer, however many files each has of the content.
/// (A recursive query does the same at ten times the cost, because of its temporary table.)
fn holders(
    db: &Connection,
    viewer: &Viewer,
    content: i64,
    now: UnixMillis,
) -> DbResult<Vec<Holder>> {
    let mut step = db.prepare_cached(
        "SELECT p.id, p.departed = 0 AND p.lease > ?3, p.name, p.addresses, p.account
         FROM files f INDEXED BY files_by_content CROSS JOIN peers p ON p.id = f.peer
         WHERE f.content = ?1 AND f.space = ?4 AND f.peer > ?2 ORDER BY f.peer LIMIT 1",
    )?;
    let mut holders = BTreeMap::<i64, Holder>::new();
    for space in viewer.spaces() {
        let mut after = 0;
        loop {
            let mut rows = step.query(params![content, after, now.0, space.0])?;
            let Some(row) = rows.next()? else {
                break;
            };
            after = row.get(0)?;
            if !row.get::<_, bool>(1)? {
                continue;
            }
            if let Some(holder) = holders.get_mut(&after) {
                holder.spaces.push(space.0);
                continue;
            }
            let id: String = row.get(2)?;
            let holder = Holder {
                key: after,
                account: row.get(4)?,
                spaces: vec![space.0],
                id: peer_id(&id)?,
                addresses: row.get(3)?,
            };
            holders.insert(after, holder);
        }
    }
    Ok(holders.into_values().collect())
}

/// Counts the names under which these peers share a content.
fn look(names: &mut Names, db: &Connection, content: i64, holders: &[Holder]) -> DbResult<()> {
    let mut statement = db.prepare_cached(
        "SELECT path FROM files INDEXED BY files_by_content
         WHERE content = ? AND space = ? AND peer = ? ORDER BY path LIMIT ?",
    )?;
    let sample = Sample::of(content, holders);
    let paths = i64::try_from(sample.paths).unwrap_or(i64::MAX);
    for (account, peer, space) in sample.places {
        let mut rows = statement.query(params![content, space, peer, paths])?;
        while let Some(row) = rows.next()? {
            let path = row
                .get_ref(0)?
                .as_str()
                .map_err(|_| DbError::Damaged("a path"))?;
            names.count(account, path);
        }
    }
    Ok(())
}

/// Returns the sizes that online peers claim for a hash in the visible spaces, of one kind: the
/// given one, or the most common. An account claims only one size (see `sizes`), unless two of its
/// peers published different ones at the same moment.
fn claims(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    kind: Option<EntryKind>,
    now: UnixMillis,
) -> DbResult<Vec<Claim>> {
    let mut statement =
        db.prepare_cached("SELECT id, kind, size, files FROM contents WHERE hash = ?")?;
    let mut rows = statement.query([hash.as_bytes()])?;
    let mut claims = Vec::new();
    while let Some(row) = rows.next()? {
        let (content, of_kind) = (row.get(0)?, stored::kind(row.get(1)?)?);
        if kind.is_some_and(|kind| kind != of_kind) {
            continue;
        }
        claims.push(Claim {
            content,
            kind: of_kind,
            size: unsigned(row.get(2)?)?,
            files: unsigned(row.get(3)?)?,
            holders: holders(db, viewer, content, now)?,
        });
    }
    Ok(ranked(most_common_kind(claims), now))
}

fn locate(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    kind: Option<EntryKind>,
    now: UnixMillis,
) -> DbResult<Option<LocatedFile>> {
    let mut names = Names::default();
    let claims = claims(db, viewer, hash, kind, now)?;
    for claim in &claims {
        look(&mut names, db, claim.content, &claim.holders)?;
    }
    // Partial providers may outlast the last online peer that shares the content.
    let kind = match claims.first() {
        Some(claim) => Some(claim.kind),
        None => partials::kind_seen(db, viewer, hash, kind)?,
    };
    let Some(kind) = kind else {
        return Ok(None);
    };
    let partial = partials::providers(db, viewer, hash, now)?;
    located(hash, kind, names, claims, partial)
}

/// Lists one level of a folder: see [`Contents::folder`].
fn folder(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> DbResult<Option<Page<FolderEntry>>> {
    let after = folder::after(cursor, hash)?;
    let claims = claims(db, viewer, hash, Some(EntryKind::Folder), now)?;
    let mut find = db.prepare_cached(
        "SELECT path FROM files INDEXED BY files_by_content
         WHERE content = ? AND space = ? AND peer = ? ORDER BY path LIMIT 1",
    )?;
    for claim in &claims {
        for holder in &claim.holders {
            for space in &holder.spaces {
                let path: Option<String> = find
                    .query_row(params![claim.content, space, holder.key], |row| row.get(0))
                    .optional()?;
                if let Some(path) = path.filter(|path| path.len() <= FOLDER_PATH_MAX) {
                    let mut scan = LevelScan::new(hash, &path, *space, limit, after);
                    listing::level(db, holder.key, &mut scan)?;
                    return Ok(Some(scan.finish()));
                }
            }
        }
    }
    Ok(None)
}

fn lies_in(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    kind: EntryKind,
    now: UnixMillis,
) -> DbResult<Option<Vec<SpaceName>>> {
    let claims = claims(db, viewer, hash, Some(kind), now)?;
    if claims.is_empty() {
        return Ok(None);
    }
    let holders = claims.iter().flat_map(|claim| &claim.holders);
    let spaces = only_in(holders.map(|holder| &holder.spaces));
    spaces::names(db, &spaces).map(Some)
}

pub(super) fn summaries(
    db: &Connection,
    viewer: &Viewer,
    keys: &[ContentKey],
    now: UnixMillis,
) -> DbResult<Vec<ContentSummary>> {
    let mut find =
        db.prepare_cached("SELECT hash, kind, size, files FROM contents WHERE id = ?")?;
    let mut summaries = Vec::with_capacity(keys.len());
    for key in keys {
        let found = find.query_row([key.0], |row| row.try_into()).optional()?;
        let Some((hash, kind, size, files)) = found else {
            continue;
        };
        let holders = holders(db, viewer, key.0, now)?;
        if holders.is_empty() {
            continue;
        }
        let mut names = Names::default();
        look(&mut names, db, key.0, &holders)?;
        let peers = shown(key.0, &holders).into_iter();
        let (names, folders) = names.with_folders();
        summaries.push(ContentSummary {
            key: *key,
            hash: ContentHash::from_bytes(hash),
            kind: stored::kind(kind)?,
            size: unsigned(size)?,
            files: unsigned(files)?,
            names,
            folders,
            spaces: spaces::names(db, &only_in(holders.iter().map(|holder| &holder.spaces)))?,
            providers: holders.len() as u64,
            peers: peers
                .map(|holder| Ok((holder.id.clone(), holder.addresses()?)))
                .collect::<DbResult<_>>()?,
        });
    }
    Ok(summaries)
}

/// Returns those of `moves` that the viewer may know about, each with a name of the content.
fn moves_seen(db: &Connection, viewer: &Viewer, moves: &[Move]) -> DbResult<HashMap<Move, String>> {
    let mut find = db.prepare_cached(
        "SELECT f.path FROM contents c CROSS JOIN json_each(?2) s
             CROSS JOIN files f INDEXED BY files_by_content
                 ON f.content = c.id AND f.space = s.value
         WHERE c.hash = ?1 LIMIT 1",
    )?;
    let seen = spaces::seen(viewer);
    let mut hide = db.prepare_cached(concat!(
        "SELECT 1 FROM accounts a WHERE a.name = ?3 AND ",
        sees_elsewhere!("a.id")
    ))?;
    let mut names = HashMap::<ContentHash, Option<String>>::new();
    let mut shown = HashMap::with_capacity(moves.len());
    for (user, hash) in moves {
        let name = match names.entry(*hash) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let path: Option<String> = find
                    .query_row(params![hash.as_bytes(), seen], |row| row.get(0))
                    .optional()?;
                unknown.insert(path.as_deref().map(name_of))
            }
        };
        if let Some(name) = name
            && !hide.exists(params![hash.as_bytes(), seen, user.as_str()])?
        {
            shown.insert((user.clone(), *hash), name.clone());
        }
    }
    Ok(shown)
}

#[async_trait]
impl Contents for SqliteStore {
    async fn locate_many(
        &self,
        viewer: &Viewer,
        hashes: &[ContentHash],
        kind: Option<EntryKind>,
        now: UnixMillis,
    ) -> Result<Vec<Option<LocatedFile>>, Problem> {
        if let [hash] = hashes {
            let located = self.readers.read(|db| locate(db, viewer, hash, kind, now));
            return Ok(vec![located?]);
        }
        let (viewer, hashes) = (viewer.clone(), hashes.to_vec());
        self.readers
            .read_long(move |db| {
                let located = hashes
                    .iter()
                    .map(|hash| locate(db, &viewer, hash, kind, now));
                located.collect()
            })
            .await
    }

    async fn common_spaces(
        &self,
        viewer: &Viewer,
        peers: &[&PeerId],
    ) -> Result<HashMap<PeerId, Vec<SpaceName>>, Problem> {
        self.readers.read(|db| spaces::common(db, viewer, peers))
    }

    async fn folder(
        &self,
        viewer: &Viewer,
        hash: &ContentHash,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Option<Page<FolderEntry>>, Problem> {
        let (viewer, hash, cursor) = (viewer.clone(), *hash, cursor.map(str::to_owned));
        self.readers
            .read_long(move |db| folder(db, &viewer, &hash, limit, cursor.as_deref(), now))
            .await
    }

    async fn named(
        &self,
        viewer: &Viewer,
        path: &str,
        peer: Option<&PeerId>,
        now: UnixMillis,
    ) -> Result<Named, Problem> {
        let (viewer, path, peer) = (viewer.clone(), path.to_owned(), peer.cloned());
        self.readers
            .read_long(move |db| named::named(db, &viewer, &path, peer.as_ref(), now))
            .await
    }

    async fn sees(&self, viewer: &Viewer, hash: &ContentHash) -> Result<bool, Problem> {
        self.readers.read(|db| partials::sees(db, viewer, hash))
    }

    async fn moves_seen(
        &self,
        viewer: &Viewer,
        moves: &[Move],
    ) -> Result<HashMap<Move, String>, Problem> {
        self.readers.read(|db| moves_seen(db, viewer, moves))
    }

    async fn lies_in(
        &self,
        viewer: &Viewer,
        hash: &ContentHash,
        kind: EntryKind,
        now: UnixMillis,
    ) -> Result<Option<Vec<SpaceName>>, Problem> {
        self.readers.read(|db| lies_in(db, viewer, hash, kind, now))
    }

    async fn summaries(
        &self,
        viewer: &Viewer,
        keys: &[ContentKey],
        now: UnixMillis,
    ) -> Result<Vec<ContentSummary>, Problem> {
        self.readers.read(|db| summaries(db, viewer, keys, now))
    }

    async fn changes(&self, position: i64, limit: u32) -> Result<Changes, Problem> {
        self.readers
            .read_long(move |db| changes::changes(db, position, limit))
            .await
    }

    async fn last_change(&self) -> Result<i64, Problem> {
        self.readers.read(|db| changes::last(db))
    }

    async fn contents(
        &self,
        after: ContentKey,
        limit: u32,
    ) -> Result<Vec<ContentDocument>, Problem> {
        self.readers
            .read_long(move |db| changes::contents(db, after, limit))
            .await
    }
}
