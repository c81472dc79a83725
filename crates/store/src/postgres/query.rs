//! Who holds a content, and what a search result shows of one.
//!
//! Some contents are everywhere (the empty file is shared under thousands of names), so nothing
//! here scans all rows of one: holders are found by skipping from peer to peer in the index, and
//! names are taken from a bounded sample of each holder's paths. The index has the space before the
//! peer, so that no row is looked at that the viewer may not see.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use convite_core::model::LocatedFile;
use convite_core::{ContentHash, PeerAddress, PeerId, Problem, SpaceName, UnixMillis};

use super::connections::Connection;
use super::failure::Outcome;
use super::partials::{self, hash_from, sees_elsewhere};
use super::paths::PATH;
use super::peers::{addresses_from, id_from, unsigned};
use super::{PostgresStore, changes, spaces};
use crate::located::{
    CLAIMS_LOOKED_AT_MAX, CLAIMS_MAX, Names, PATHS_MAX, PATHS_OF_PEER_MAX, PEERS_MAX, Sharer,
    located, name_of, only_in,
};
use crate::stored::user_name;
use crate::{Changes, ContentDocument, ContentKey, ContentSummary, Contents, Move, Viewer};

/// A peer online that holds a content.
struct Holder {
    key: i64,
    /// Those of the spaces seen in which it does.
    spaces: Vec<i64>,
    id: PeerId,
    addresses: Vec<PeerAddress>,
}

/// The holders online of each of these contents, by key.
async fn holders(
    db: &Connection,
    viewer: &Viewer,
    contents: &[i64],
    now: UnixMillis,
) -> Outcome<HashMap<i64, Vec<Holder>>> {
    let rows = db
        .rows(
            "SELECT k.content, p.id, p.name, p.addresses, v.space
             FROM unnest($1::BIGINT[]) AS k (content)
             CROSS JOIN unnest($3::BIGINT[]) AS v (space) CROSS JOIN LATERAL (
                 WITH RECURSIVE steps (peer) AS (
                     (SELECT f.peer FROM files f WHERE f.content = k.content AND f.space = v.space
                      ORDER BY f.peer LIMIT 1)
                     UNION ALL
                     SELECT (SELECT f.peer FROM files f
                             WHERE f.content = k.content AND f.space = v.space
                                 AND f.peer > s.peer
                             ORDER BY f.peer LIMIT 1)
                     FROM steps s WHERE s.peer IS NOT NULL
                 )
                 SELECT peer FROM steps
             ) h JOIN peers p ON p.id = h.peer
             WHERE NOT p.departed AND p.lease > $2
             ORDER BY k.content, p.id, v.space",
            &[&contents, &now.0, &spaces::seen(viewer)],
        )
        .await?;
    let mut holders = HashMap::<i64, Vec<Holder>>::new();
    for row in &rows {
        let of_content = holders.entry(row.try_get(0)?).or_default();
        let (key, space): (i64, i64) = (row.try_get(1)?, row.try_get(4)?);
        if let Some(last) = of_content.last_mut().filter(|holder| holder.key == key) {
            last.spaces.push(space);
            continue;
        }
        of_content.push(Holder {
            key,
            spaces: vec![space],
            id: id_from(row.try_get(2)?)?,
            addresses: addresses_from(row.try_get(3)?)?,
        });
    }
    Ok(holders)
}

/// The names of what these holders share of each of these contents.
async fn names(
    db: &Connection,
    holders: &HashMap<i64, Vec<Holder>>,
) -> Outcome<HashMap<i64, Names>> {
    let (mut contents, mut peers, mut spaces) = (Vec::new(), Vec::new(), Vec::new());
    for (content, holders) in holders {
        // Each has a path at the least.
        for holder in holders.iter().take(PATHS_MAX) {
            for space in &holder.spaces {
                contents.push(*content);
                peers.push(holder.key);
                spaces.push(*space);
            }
        }
    }
    let sql = format!(
        "SELECT k.content, {PATH}
         FROM unnest($1::BIGINT[], $2::BIGINT[], $4::BIGINT[])
             WITH ORDINALITY AS k (content, peer, space, nth)
         CROSS JOIN LATERAL (
             SELECT path, whole FROM files
             WHERE content = k.content AND space = k.space AND peer = k.peer ORDER BY path LIMIT $3
         ) f
         ORDER BY k.nth"
    );
    let rows = db
        .rows(
            &sql,
            &[&contents, &peers, &i64::from(PATHS_OF_PEER_MAX), &spaces],
        )
        .await?;
    let mut names = HashMap::<i64, Names>::new();
    for row in &rows {
        let names = names.entry(row.try_get(0)?).or_default();
        if !names.are_enough() {
            names.count(row.try_get(1)?);
        }
    }
    Ok(names)
}

/// The contents of a hash of which there is any file that a viewer may see, and their sizes.
///
/// `id + 0` here and wherever contents of a hash are bounded: in the order of `id` alone, a server
/// that knows no statistics yet walks the index of ids for it, which is the whole table.
async fn claims(db: &Connection, viewer: &Viewer, hash: &ContentHash) -> Outcome<Vec<(i64, u64)>> {
    let rows = db
        .rows(
            "SELECT c.id, c.size
             FROM (SELECT id, size FROM contents WHERE hash = $1 ORDER BY id + 0 LIMIT $3) c
             WHERE EXISTS (SELECT 1 FROM unnest($2::BIGINT[]) AS v (space) CROSS JOIN LATERAL (
                 SELECT 1 FROM files f WHERE f.content = c.id AND f.space = v.space LIMIT 1) f)
             ORDER BY c.id LIMIT $4",
            &[
                &hash.as_bytes().as_slice(),
                &spaces::seen(viewer),
                &i64::from(CLAIMS_LOOKED_AT_MAX),
                &i64::from(CLAIMS_MAX),
            ],
        )
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, unsigned(row.try_get(1)?)?)))
        .collect()
}

async fn locate(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    now: UnixMillis,
) -> Outcome<Option<LocatedFile>> {
    let claims = claims(db, viewer, hash).await?;
    let contents: Vec<i64> = claims.iter().map(|(content, _)| *content).collect();
    let mut holders = match contents.is_empty() {
        true => HashMap::new(),
        false => holders(db, viewer, &contents, now).await?,
    };
    let mut all = Names::default();
    if !holders.is_empty() {
        for names in names(db, &holders).await?.into_values() {
            all.add(names);
        }
    }
    let claimed = claims.into_iter().map(|(content, size)| {
        let sharers = holders.remove(&content).unwrap_or_default();
        let sharers = sharers.into_iter().map(|holder| Sharer {
            peer: holder.id,
            addresses: holder.addresses,
        });
        (size, sharers.collect())
    });
    let claimed = claimed.collect();
    let partial = match partials::sees(db, viewer, hash).await? {
        true => partials::providers(db, viewer, hash, now).await?,
        false => Vec::new(),
    };
    Ok(located(hash, all, claimed, partial))
}

async fn lies_in(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    now: UnixMillis,
) -> Outcome<Option<Vec<SpaceName>>> {
    let claims = claims(db, viewer, hash).await?;
    let contents: Vec<i64> = claims.into_iter().map(|(content, _)| content).collect();
    let holders = holders(db, viewer, &contents, now).await?;
    if holders.is_empty() {
        return Ok(None);
    }
    let spaces = only_in(holders.values().flatten().map(|holder| &holder.spaces));
    let named = spaces::names(db, &spaces).await?;
    let mut names: Vec<_> = named.into_values().collect();
    names.sort();
    Ok(Some(names))
}

async fn summaries(
    db: &Connection,
    viewer: &Viewer,
    keys: &[ContentKey],
    now: UnixMillis,
) -> Outcome<Vec<ContentSummary>> {
    let contents: Vec<i64> = keys.iter().map(|key| key.0).collect();
    let rows = db
        .rows(
            "SELECT c.id, c.hash, c.size FROM contents c WHERE c.id = ANY ($1)",
            &[&contents],
        )
        .await?;
    let mut found = HashMap::new();
    for row in &rows {
        let (hash, size) = (hash_from(row.try_get(1)?)?, unsigned(row.try_get(2)?)?);
        found.insert(row.try_get::<_, i64>(0)?, (hash, size));
    }
    let holders = holders(db, viewer, &contents, now).await?;
    let mut names = names(db, &holders).await?;
    let spaces_of = |key: &i64| {
        let holders = holders.get(key).into_iter().flatten();
        only_in(holders.map(|holder| &holder.spaces))
    };
    let spaces = contents.iter().flat_map(spaces_of).collect();
    let spaces = spaces::names(db, &spaces).await?;
    let mut summaries = Vec::with_capacity(keys.len());
    for key in keys {
        let (Some((hash, size)), Some(holders)) = (found.get(&key.0), holders.get(&key.0)) else {
            continue;
        };
        let peers = holders.iter().take(PEERS_MAX);
        let named = names.remove(&key.0).unwrap_or_default();
        let (names, folders) = named.with_folders();
        summaries.push(ContentSummary {
            key: *key,
            hash: *hash,
            size: *size,
            names,
            folders,
            spaces: {
                let of_content = spaces_of(&key.0);
                let mut named: Vec<_> = of_content
                    .iter()
                    .filter_map(|space| spaces.get(space).cloned())
                    .collect();
                named.sort();
                named
            },
            providers: holders.len() as u64,
            peers: peers
                .map(|holder| (holder.id.clone(), holder.addresses.clone()))
                .collect(),
        });
    }
    Ok(summaries)
}

/// Of these movements those that a viewer may know of, each with a name of the content.
async fn moves_seen(
    db: &Connection,
    viewer: &Viewer,
    moves: &[Move],
) -> Outcome<HashMap<Move, String>> {
    let distinct: BTreeSet<&ContentHash> = moves.iter().map(|(_, hash)| hash).collect();
    let hashes: Vec<&[u8]> = distinct.iter().map(|h| h.as_bytes().as_slice()).collect();
    let seen = spaces::seen(viewer);
    let sql = format!(
        "SELECT c.hash, {PATH}
         FROM unnest($1::BYTEA[]) AS g (hash) CROSS JOIN LATERAL (
             SELECT id, hash FROM contents WHERE hash = g.hash ORDER BY id + 0 LIMIT $3
         ) c
         CROSS JOIN unnest($2::BIGINT[]) AS v (space)
         CROSS JOIN LATERAL (
             SELECT path, whole FROM files
             WHERE content = c.id AND space = v.space ORDER BY peer, path LIMIT 1
         ) f
         ORDER BY c.id DESC, v.space DESC"
    );
    let rows = db
        .rows(&sql, &[&hashes, &seen, &i64::from(CLAIMS_LOOKED_AT_MAX)])
        .await?;
    let mut names = HashMap::with_capacity(rows.len());
    for row in &rows {
        names.insert(hash_from(row.try_get(0)?)?, name_of(row.try_get(1)?));
    }
    let named = moves.iter().filter(|(_, hash)| names.contains_key(hash));
    let (users, hashes): (Vec<&str>, Vec<&[u8]>) = named
        .map(|(user, hash)| (user.as_str(), hash.as_bytes().as_slice()))
        .unzip();
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = db
        .rows(
            concat!(
                "SELECT g.name, g.hash
                 FROM unnest($1::TEXT[], $2::BYTEA[]) AS g (name, hash)
                 LEFT JOIN accounts a ON a.name = g.name
                 WHERE NOT ",
                sees_elsewhere!("a.id", "g.hash", "$3")
            ),
            &[&users, &hashes, &seen],
        )
        .await?;
    let shown = rows.iter().map(|row| {
        let (user, hash) = (user_name(row.try_get(0)?)?, hash_from(row.try_get(1)?)?);
        let name = names.get(&hash).cloned().unwrap_or_default();
        Ok(((user, hash), name))
    });
    shown.collect()
}

#[async_trait]
impl Contents for PostgresStore {
    async fn locate(
        &self,
        viewer: &Viewer,
        hash: &ContentHash,
        now: UnixMillis,
    ) -> Result<Option<LocatedFile>, Problem> {
        Ok(locate(&self.connections.get().await?, viewer, hash, now).await?)
    }

    async fn sees(&self, viewer: &Viewer, hash: &ContentHash) -> Result<bool, Problem> {
        Ok(partials::sees(&self.connections.get().await?, viewer, hash).await?)
    }

    async fn moves_seen(
        &self,
        viewer: &Viewer,
        moves: &[Move],
    ) -> Result<HashMap<Move, String>, Problem> {
        let db = self.connections.get().await?;
        Ok(moves_seen(&db, viewer, moves).await?)
    }

    async fn lies_in(
        &self,
        viewer: &Viewer,
        hash: &ContentHash,
        now: UnixMillis,
    ) -> Result<Option<Vec<SpaceName>>, Problem> {
        Ok(lies_in(&self.connections.get().await?, viewer, hash, now).await?)
    }

    async fn summaries(
        &self,
        viewer: &Viewer,
        keys: &[ContentKey],
        now: UnixMillis,
    ) -> Result<Vec<ContentSummary>, Problem> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        Ok(summaries(&self.connections.get().await?, viewer, keys, now).await?)
    }

    async fn changes(&self, position: i64, limit: u32) -> Result<Changes, Problem> {
        let db = self.connections.get().await?;
        Ok(changes::changes(&db, position, limit).await?)
    }

    async fn last_change(&self) -> Result<i64, Problem> {
        Ok(changes::last(&self.connections.get().await?).await?)
    }

    async fn contents(
        &self,
        after: ContentKey,
        limit: u32,
    ) -> Result<Vec<ContentDocument>, Problem> {
        let db = self.connections.get().await?;
        Ok(changes::contents(&db, after, limit).await?)
    }
}
