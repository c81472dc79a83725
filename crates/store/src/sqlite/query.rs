//! Who holds a content, and what a search result shows of one.
//!
//! Some contents are everywhere (the empty file is shared under thousands of names), so nothing
//! here scans all rows of one: holders are found by skipping from peer to peer in the index, and
//! names are taken from a bounded sample of each holder's paths. The index has the space before the
//! peer, so that no row is looked at that the viewer may not see.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use convite_core::model::LocatedFile;
use convite_core::{ContentHash, PeerAddress, PeerId, Problem, SpaceName, UnixMillis};
use rusqlite::{Connection, OptionalExtension, params};

use super::failure::Outcome;
use super::partials::sees_elsewhere;
use super::peers::{addresses_from, unsigned};
use super::{SqliteStore, changes, partials, spaces};
use crate::located::{
    CLAIMS_MAX, Names, PATHS_OF_PEER_MAX, PEERS_MAX, Sharer, located, name_of, only_in,
};
use crate::stored::damaged;
use crate::{Changes, ContentDocument, ContentKey, ContentSummary, Contents, Move, Viewer};

/// A peer online that holds a content.
struct Holder {
    key: i64,
    /// Those of the spaces seen in which it does.
    spaces: Vec<i64>,
    id: PeerId,
    addresses: String,
}

impl Holder {
    fn addresses(&self) -> Outcome<Vec<PeerAddress>> {
        addresses_from(&self.addresses)
    }
}

/// The holders online, by key.
///
/// Steps from peer to peer: one look into the index each, however many files each has of the
/// content. (A recursive query does the same at ten times the cost, for its temporary table.)
fn holders(
    db: &Connection,
    viewer: &Viewer,
    content: i64,
    now: UnixMillis,
) -> Outcome<Vec<Holder>> {
    let mut step = db.prepare_cached(
        "SELECT p.id, p.departed = 0 AND p.lease > ?3, p.name, p.addresses
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
                spaces: vec![space.0],
                id: id.parse().map_err(|_| damaged("a peer id"))?,
                addresses: row.get(3)?,
            };
            holders.insert(after, holder);
        }
    }
    Ok(holders.into_values().collect())
}

/// Counts the names of what these holders share of a content.
fn look(names: &mut Names, db: &Connection, content: i64, holders: &[Holder]) -> Outcome<()> {
    let mut statement = db.prepare_cached(
        "SELECT path FROM files INDEXED BY files_by_content
         WHERE content = ? AND space = ? AND peer = ? ORDER BY path LIMIT ?",
    )?;
    let each = holders
        .iter()
        .flat_map(|holder| holder.spaces.iter().map(|space| (holder.key, *space)));
    for (peer, space) in each {
        if names.are_enough() {
            break;
        }
        let mut rows = statement.query(params![content, space, peer, PATHS_OF_PEER_MAX])?;
        while let Some(row) = rows.next()? {
            names.count(row.get_ref(0)?.as_str().map_err(|_| damaged("a path"))?);
        }
    }
    Ok(())
}

/// The first known contents of the hash `?1`, as many as `CLAIMS_LOOKED_AT_MAX` says.
macro_rules! first_claims {
    () => {
        "(SELECT id, size FROM contents WHERE hash = ?1 ORDER BY id LIMIT 1024)"
    };
}
pub(super) use first_claims;

/// The contents of a hash of which there is any file that a viewer may see, and their sizes.
fn claims(db: &Connection, viewer: &Viewer, hash: &ContentHash) -> Outcome<Vec<(i64, i64)>> {
    let mut statement = db.prepare_cached(concat!(
        "SELECT c.id, c.size FROM ",
        first_claims!(),
        " c WHERE EXISTS (
             SELECT 1 FROM json_each(?2) s CROSS JOIN files f INDEXED BY files_by_content
                 ON f.content = c.id AND f.space = s.value)
         ORDER BY c.id LIMIT ?3"
    ))?;
    let seen = spaces::seen(viewer);
    let claims = statement.query_map(params![hash.as_bytes(), seen, CLAIMS_MAX], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(claims.collect::<Result<_, _>>()?)
}

pub(super) fn locate(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    now: UnixMillis,
) -> Outcome<Option<LocatedFile>> {
    let mut names = Names::default();
    let mut claimed = Vec::new();
    for (content, size) in claims(db, viewer, hash)? {
        let holders = holders(db, viewer, content, now)?;
        look(&mut names, db, content, &holders)?;
        let sharers = holders.into_iter().map(|holder| {
            Ok(Sharer {
                addresses: holder.addresses()?,
                peer: holder.id,
            })
        });
        claimed.push((unsigned(size)?, sharers.collect::<Outcome<_>>()?));
    }
    let partial = match partials::sees(db, viewer, hash)? {
        true => partials::providers(db, viewer, hash, now)?,
        false => Vec::new(),
    };
    Ok(located(hash, names, claimed, partial))
}

fn lies_in(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    now: UnixMillis,
) -> Outcome<Option<Vec<SpaceName>>> {
    let mut all = Vec::new();
    for (content, _) in claims(db, viewer, hash)? {
        all.extend(holders(db, viewer, content, now)?);
    }
    if all.is_empty() {
        return Ok(None);
    }
    let spaces = only_in(all.iter().map(|holder| &holder.spaces));
    spaces::names(db, &spaces).map(Some)
}

pub(super) fn summaries(
    db: &Connection,
    viewer: &Viewer,
    keys: &[ContentKey],
    now: UnixMillis,
) -> Outcome<Vec<ContentSummary>> {
    let mut find = db.prepare_cached("SELECT hash, size FROM contents WHERE id = ?")?;
    let mut summaries = Vec::with_capacity(keys.len());
    for key in keys {
        let found = find
            .query_row([key.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((hash, size)) = found else {
            continue;
        };
        let holders = holders(db, viewer, key.0, now)?;
        if holders.is_empty() {
            continue;
        }
        let mut names = Names::default();
        look(&mut names, db, key.0, &holders)?;
        let peers = holders.iter().take(PEERS_MAX);
        let (names, folders) = names.with_folders();
        summaries.push(ContentSummary {
            key: *key,
            hash: ContentHash::from_bytes(hash),
            size: unsigned(size)?,
            names,
            folders,
            spaces: spaces::names(db, &only_in(holders.iter().map(|holder| &holder.spaces)))?,
            providers: holders.len() as u64,
            peers: peers
                .map(|holder| Ok((holder.id.clone(), holder.addresses()?)))
                .collect::<Outcome<_>>()?,
        });
    }
    Ok(summaries)
}

/// Of these movements those that a viewer may know of, each with a name of the content.
fn moves_seen(db: &Connection, viewer: &Viewer, moves: &[Move]) -> Outcome<HashMap<Move, String>> {
    let mut find = db.prepare_cached(concat!(
        "SELECT f.path FROM ",
        first_claims!(),
        " c CROSS JOIN json_each(?2) s
             CROSS JOIN files f INDEXED BY files_by_content
                 ON f.content = c.id AND f.space = s.value
         LIMIT 1"
    ))?;
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
    async fn locate(
        &self,
        viewer: &Viewer,
        hash: &ContentHash,
        now: UnixMillis,
    ) -> Result<Option<LocatedFile>, Problem> {
        self.readers.read(|db| locate(db, viewer, hash, now))
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
        now: UnixMillis,
    ) -> Result<Option<Vec<SpaceName>>, Problem> {
        self.readers.read(|db| lies_in(db, viewer, hash, now))
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
