//! Providers of contents, and their summaries for search results.
//!
//! Some contents are very common (the empty file is shared under thousands of names), so no query
//! reads all rows of one content. Peers are found by skipping from peer to peer in the index, and
//! names come from a bounded sample of each peer's paths. The index has the space before the peer,
//! so that rows that the viewer cannot see are never read.

use std::collections::{BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use convite_core::model::{FolderEntry, LocatedFile, Page};
use convite_core::{ContentHash, EntryKind, PeerId, Problem, SpaceName, UnixMillis};

use super::connections::Connection;
use super::partials::{self, sees_elsewhere};
use super::paths::PATH;
use super::{PostgresStore, changes, listing, named, spaces};
use crate::error::DbResult;
use crate::folder::{self, LevelScan};
use crate::located::{
    Claim, Holder, Names, Sample, located, most_common_kind, name_of, only_in, ranked, shown,
};
use crate::stored::{self, content_hash, kind_number, peer_id, unsigned, user_name};
use crate::{
    Changes, ContentDocument, ContentKey, ContentSummary, Contents, FOLDER_PATH_MAX, Move, Named,
    Viewer,
};

/// Returns the online peers that share each of these contents, by key.
async fn holders(
    db: &Connection,
    viewer: &Viewer,
    contents: &[i64],
    now: UnixMillis,
) -> DbResult<HashMap<i64, Vec<Holder>>> {
    let rows = db
        .rows(
            "SELECT k.content, p.id, p.name, p.addresses, v.space, p.account
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
             ) h CROSS JOIN LATERAL (
                 SELECT id, name, addresses, account FROM peers
                 WHERE id = h.peer AND NOT departed AND lease > $2 LIMIT 1
             ) p
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
            account: row.try_get(5)?,
            spaces: vec![space],
            id: peer_id(row.try_get(2)?)?,
            addresses: row.try_get(3)?,
        });
    }
    Ok(holders)
}

/// Returns the names under which these peers share each content.
async fn names<'a>(
    db: &Connection,
    holders: impl IntoIterator<Item = (i64, &'a [Holder])>,
) -> DbResult<HashMap<i64, Names>> {
    let (mut contents, mut peers, mut spaces) = (Vec::new(), Vec::new(), Vec::new());
    let (mut accounts, mut shares) = (Vec::new(), Vec::new());
    for (content, holders) in holders {
        let sample = Sample::of(content, holders);
        for (account, peer, space) in sample.places {
            contents.push(content);
            peers.push(peer);
            spaces.push(space);
            accounts.push(account);
            shares.push(sample.paths as i64);
        }
    }
    let sql = format!(
        "SELECT k.content, k.account, {PATH}
         FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[])
             WITH ORDINALITY AS k (content, peer, space, account, share, nth)
         CROSS JOIN LATERAL (
             SELECT path, whole FROM files
             WHERE content = k.content AND space = k.space AND peer = k.peer
             ORDER BY path LIMIT k.share
         ) f
         ORDER BY k.nth, f.path"
    );
    let rows = db
        .rows(&sql, &[&contents, &peers, &spaces, &accounts, &shares])
        .await?;
    let mut names = HashMap::<i64, Names>::new();
    for row in &rows {
        let names = names.entry(row.try_get(0)?).or_default();
        names.count(row.try_get(1)?, row.try_get(2)?);
    }
    Ok(names)
}

/// Returns the sizes that online peers claim for each hash in the visible spaces, of one kind: the
/// given one, or the most common. An account claims only one size (see `sizes`), unless two of its
/// peers published different ones at the same moment. Hashes without claims are omitted.
async fn claims_of(
    db: &Connection,
    viewer: &Viewer,
    hashes: &[&[u8]],
    kind: Option<EntryKind>,
    now: UnixMillis,
) -> DbResult<HashMap<ContentHash, Vec<Claim>>> {
    let rows = db
        .rows(
            "SELECT c.id, c.kind, c.size, c.files, c.hash
             FROM unnest($1::BYTEA[]) AS g (hash) CROSS JOIN LATERAL (
                 SELECT id, kind, size, files, hash FROM contents
                 WHERE hash = g.hash AND kind = coalesce($2, kind) OFFSET 0
             ) c",
            &[&hashes, &kind.map(kind_number)],
        )
        .await?;
    if rows.is_empty() {
        return Ok(HashMap::new());
    }
    let contents = rows.iter().map(|row| row.try_get(0));
    let contents = contents.collect::<Result<Vec<i64>, _>>()?;
    let mut holders = holders(db, viewer, &contents, now).await?;
    let mut claims = HashMap::<_, Vec<_>>::new();
    for (row, content) in rows.iter().zip(contents) {
        let of_hash = claims.entry(content_hash(row.try_get(4)?)?).or_default();
        of_hash.push(Claim {
            content,
            kind: stored::kind(row.try_get(1)?)?,
            size: unsigned(row.try_get(2)?)?,
            files: unsigned(row.try_get(3)?)?,
            holders: holders.remove(&content).unwrap_or_default(),
        });
    }
    for of_hash in claims.values_mut() {
        *of_hash = ranked(most_common_kind(std::mem::take(of_hash)), now);
    }
    claims.retain(|_, claims| !claims.is_empty());
    Ok(claims)
}

/// Returns the claims of one hash: see [`claims_of`].
async fn claims(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    kind: Option<EntryKind>,
    now: UnixMillis,
) -> DbResult<Vec<Claim>> {
    let mut claims = claims_of(db, viewer, &[hash.as_bytes()], kind, now).await?;
    Ok(claims.remove(hash).unwrap_or_default())
}

/// Locates contents: see [`Contents::locate_many`]. A repeated hash is read once.
async fn locate(
    db: &Connection,
    viewer: &Viewer,
    hashes: &[ContentHash],
    kind: Option<EntryKind>,
    now: UnixMillis,
) -> DbResult<Vec<Option<LocatedFile>>> {
    let distinct: HashSet<&ContentHash> = hashes.iter().collect();
    let wanted: Vec<&[u8]> = distinct.iter().map(|h| h.as_bytes().as_slice()).collect();
    let mut claims = claims_of(db, viewer, &wanted, kind, now).await?;
    let mut names = if claims.is_empty() {
        HashMap::new()
    } else {
        let holders = claims.values().flatten();
        let holders = holders.map(|claim| (claim.content, claim.holders.as_slice()));
        names(db, holders).await?
    };
    // Partial providers may outlast the last online peer that shares the content.
    let unclaimed = distinct.iter().filter(|hash| !claims.contains_key(**hash));
    let unclaimed: Vec<&[u8]> = unclaimed.map(|hash| hash.as_bytes().as_slice()).collect();
    let kinds = if unclaimed.is_empty() {
        HashMap::new()
    } else {
        partials::kinds_seen(db, viewer, &unclaimed, kind).await?
    };
    let mut partial = partials::providers(db, viewer, &wanted, now).await?;
    let mut located_of = HashMap::with_capacity(distinct.len());
    for hash in distinct {
        let claims = claims.remove(hash).unwrap_or_default();
        let first = claims.first().map(|claim| claim.kind);
        let Some(kind) = first.or_else(|| kinds.get(hash).copied()) else {
            continue;
        };
        let mut all = Names::default();
        for claim in &claims {
            all.add(names.remove(&claim.content).unwrap_or_default());
        }
        let partial = partial.remove(hash).unwrap_or_default();
        located_of.insert(hash, located(hash, kind, all, claims, partial)?);
    }
    let in_order = hashes.iter().map(|hash| located_of.get(hash).cloned());
    Ok(in_order.map(Option::flatten).collect())
}

/// Lists one level of a folder: see [`Contents::folder`].
async fn folder(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    limit: u32,
    cursor: Option<&str>,
    now: UnixMillis,
) -> DbResult<Option<Page<FolderEntry>>> {
    let after = folder::after(cursor, hash)?;
    let claims = claims(db, viewer, hash, Some(EntryKind::Folder), now).await?;
    let sql = format!(
        "SELECT {PATH} FROM files f WHERE content = $1 AND space = $2 AND peer = $3
         ORDER BY f.path LIMIT 1"
    );
    for claim in &claims {
        for holder in &claim.holders {
            for space in &holder.spaces {
                let row = db.row(&sql, &[&claim.content, space, &holder.key]).await?;
                let path: Option<String> = row.map(|row| row.try_get(0)).transpose()?;
                if let Some(path) = path.filter(|path| path.len() <= FOLDER_PATH_MAX) {
                    let mut scan = LevelScan::new(hash, &path, *space, limit, after);
                    listing::level(db, holder.key, &mut scan).await?;
                    return Ok(Some(scan.finish()));
                }
            }
        }
    }
    Ok(None)
}

async fn lies_in(
    db: &Connection,
    viewer: &Viewer,
    hash: &ContentHash,
    kind: EntryKind,
    now: UnixMillis,
) -> DbResult<Option<Vec<SpaceName>>> {
    let claims = claims(db, viewer, hash, Some(kind), now).await?;
    if claims.is_empty() {
        return Ok(None);
    }
    let holders = claims.iter().flat_map(|claim| &claim.holders);
    let spaces = only_in(holders.map(|holder| &holder.spaces));
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
) -> DbResult<Vec<ContentSummary>> {
    let contents: Vec<i64> = keys.iter().map(|key| key.0).collect();
    let rows = db
        .rows(
            "SELECT c.id, c.hash, c.kind, c.size, c.files FROM contents c WHERE c.id = ANY ($1)",
            &[&contents],
        )
        .await?;
    let mut found = HashMap::new();
    for row in &rows {
        let (hash, kind) = (
            content_hash(row.try_get(1)?)?,
            stored::kind(row.try_get(2)?)?,
        );
        let (size, files) = (unsigned(row.try_get(3)?)?, unsigned(row.try_get(4)?)?);
        found.insert(row.try_get::<_, i64>(0)?, (hash, kind, size, files));
    }
    let holders = holders(db, viewer, &contents, now).await?;
    let of_contents = holders.iter().map(|(key, of)| (*key, of.as_slice()));
    let mut names = names(db, of_contents).await?;
    let spaces_of = |key: &i64| {
        let holders = holders.get(key).into_iter().flatten();
        only_in(holders.map(|holder| &holder.spaces))
    };
    let spaces = contents.iter().flat_map(spaces_of).collect();
    let spaces = spaces::names(db, &spaces).await?;
    let mut summaries = Vec::with_capacity(keys.len());
    for key in keys {
        let (Some((hash, kind, size, files)), Some(holders)) =
            (found.get(&key.0), holders.get(&key.0))
        else {
            continue;
        };
        let peers = shown(key.0, holders).into_iter();
        let named = names.remove(&key.0).unwrap_or_default();
        let (names, folders) = named.with_folders();
        summaries.push(ContentSummary {
            key: *key,
            hash: *hash,
            kind: *kind,
            size: *size,
            files: *files,
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
                .map(|holder| Ok((holder.id.clone(), holder.addresses()?)))
                .collect::<DbResult<_>>()?,
        });
    }
    Ok(summaries)
}

/// Returns those of `moves` that the viewer may know about, each with a name of the content.
async fn moves_seen(
    db: &Connection,
    viewer: &Viewer,
    moves: &[Move],
) -> DbResult<HashMap<Move, String>> {
    let distinct: BTreeSet<&ContentHash> = moves.iter().map(|(_, hash)| hash).collect();
    let hashes: Vec<&[u8]> = distinct.iter().map(|h| h.as_bytes().as_slice()).collect();
    let seen = spaces::seen(viewer);
    let sql = format!(
        "SELECT c.hash, {PATH}
         FROM unnest($1::BYTEA[]) AS g (hash) CROSS JOIN LATERAL (
             SELECT id, hash FROM contents WHERE hash = g.hash OFFSET 0
         ) c
         CROSS JOIN unnest($2::BIGINT[]) AS v (space)
         CROSS JOIN LATERAL (
             SELECT path, whole FROM files
             WHERE content = c.id AND space = v.space ORDER BY peer, path LIMIT 1
         ) f
         ORDER BY c.id DESC, v.space DESC"
    );
    let rows = db.rows(&sql, &[&hashes, &seen]).await?;
    let mut names = HashMap::with_capacity(rows.len());
    for row in &rows {
        names.insert(content_hash(row.try_get(0)?)?, name_of(row.try_get(1)?));
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
                 LEFT JOIN LATERAL (
                     SELECT id FROM accounts WHERE name = g.name LIMIT 1) a ON TRUE
                 WHERE NOT ",
                sees_elsewhere!("a.id", "g.hash", "$3")
            ),
            &[&users, &hashes, &seen],
        )
        .await?;
    let shown = rows.iter().map(|row| {
        let (user, hash) = (user_name(row.try_get(0)?)?, content_hash(row.try_get(1)?)?);
        let name = names.get(&hash).cloned().unwrap_or_default();
        Ok(((user, hash), name))
    });
    shown.collect()
}

#[async_trait]
impl Contents for PostgresStore {
    async fn locate_many(
        &self,
        viewer: &Viewer,
        hashes: &[ContentHash],
        kind: Option<EntryKind>,
        now: UnixMillis,
    ) -> Result<Vec<Option<LocatedFile>>, Problem> {
        let db = self.connections.get().await?;
        Ok(locate(&db, viewer, hashes, kind, now).await?)
    }

    async fn common_spaces(
        &self,
        viewer: &Viewer,
        peers: &[&PeerId],
    ) -> Result<HashMap<PeerId, Vec<SpaceName>>, Problem> {
        let db = self.connections.get().await?;
        Ok(spaces::common(&db, viewer, peers).await?)
    }

    async fn folder(
        &self,
        viewer: &Viewer,
        hash: &ContentHash,
        limit: u32,
        cursor: Option<&str>,
        now: UnixMillis,
    ) -> Result<Option<Page<FolderEntry>>, Problem> {
        let db = self.connections.get().await?;
        Ok(folder(&db, viewer, hash, limit, cursor, now).await?)
    }

    async fn named(
        &self,
        viewer: &Viewer,
        path: &str,
        peer: Option<&PeerId>,
        now: UnixMillis,
    ) -> Result<Named, Problem> {
        let db = self.connections.get().await?;
        Ok(named::named(&db, viewer, path, peer, now).await?)
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
        kind: EntryKind,
        now: UnixMillis,
    ) -> Result<Option<Vec<SpaceName>>, Problem> {
        let db = self.connections.get().await?;
        Ok(lies_in(&db, viewer, hash, kind, now).await?)
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
