//! The change log, and the documents from which a search index is built.
//!
//! Many transactions write the log concurrently, but its numbers have no gaps and become visible in
//! order. A transaction takes its numbers as its last step, from the single row of `change_log`,
//! and that row stays locked until the commit (which has already been sent, see `commit_with`). The
//! next transaction waits for it. If a transaction is rolled back, so are its numbers. Therefore a
//! reader at position N has missed nothing if entry N + 1 exists or has not been written yet. A
//! sequence would not work: it issues numbers in another order than that of the commits, so a
//! reader would skip late commits.

use std::collections::{BTreeMap, HashSet};

use convite_core::{ContentHash, EntryKind};

use super::connections::{Connection, Transaction};
use super::paths::PATH;
use crate::error::DbResult;
use crate::located::{searchable, searched};
use crate::stored::{self, content_hash, unsigned};
use crate::{Changes, ContentDocument, ContentKey, PeerKey, SpaceKey};

/// Maximum number of files read per content in a batch. If a content has more, its peers and paths
/// are read separately.
const FILES_AT_ONCE: i64 = 256;

/// Commits a transaction, and appends the contents that it changed to the log. The row that numbers
/// the changes is locked only for that time.
pub(super) async fn commit(mut transaction: Transaction) -> DbResult<()> {
    let contents = std::mem::take(&mut transaction.db()?.changed);
    if contents.is_empty() {
        return transaction.commit().await;
    }
    transaction
        .commit_with(
            "WITH numbered AS (
                 UPDATE change_log SET position = position + cardinality($1::BIGINT[])
                 RETURNING position - cardinality($1::BIGINT[]) AS before
             )
             INSERT INTO changes (seq, content)
             SELECT n.before + t.nth, t.content
             FROM numbered n CROSS JOIN unnest($1::BIGINT[]) WITH ORDINALITY AS t (content, nth)",
            &[&contents],
        )
        .await
}

pub(super) async fn last(db: &Connection) -> DbResult<i64> {
    let row = db.one("SELECT position FROM change_log", &[]).await?;
    Ok(row.try_get(0)?)
}

pub(super) async fn changes(db: &Connection, position: i64, limit: u32) -> DbResult<Changes> {
    // A single statement, so that both values are from the same snapshot.
    let rows = db
        .rows(
            "SELECT l.position, c.seq, c.content
             FROM change_log l LEFT JOIN LATERAL (
                 SELECT seq, content FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2
             ) c ON TRUE ORDER BY c.seq",
            &[&position, &i64::from(limit)],
        )
        .await?;
    let mut last = 0;
    let mut entries = Vec::with_capacity(rows.len());
    for row in &rows {
        last = row.try_get(0)?;
        let seq: Option<i64> = row.try_get(1)?;
        if let Some(seq) = seq {
            entries.push((seq, row.try_get::<_, i64>(2)?));
        }
    }
    // The log has no gaps: the next entry exists, or nothing has changed. A position beyond the end
    // is from another database, or from before a restore.
    let reaches_back = match entries.first() {
        Some((seq, _)) => *seq == position + 1,
        None => position == last,
    };
    if !reaches_back {
        return Ok(Changes {
            contents: Vec::new(),
            position: last,
            lost: true,
        });
    }
    let mut seen = HashSet::new();
    let keys: Vec<i64> = entries.iter().map(|(_, content)| *content).collect();
    let keys: Vec<i64> = keys.into_iter().filter(|key| seen.insert(*key)).collect();
    // Read after the log, so the documents are at least as new as the entries. Later changes will
    // have their own entries.
    let mut documents = documents(db, &keys).await?;
    let contents = keys
        .into_iter()
        .map(|key| (ContentKey(key), documents.remove(&key).unwrap_or_default()));
    Ok(Changes {
        contents: contents.collect(),
        position: entries.last().map_or(position, |(seq, _)| *seq),
        lost: false,
    })
}

pub(super) async fn contents(
    db: &Connection,
    after: ContentKey,
    limit: u32,
) -> DbResult<Vec<ContentDocument>> {
    let mut after = after.0;
    loop {
        let rows = db
            .rows(
                "SELECT id FROM contents WHERE id > $1 ORDER BY id LIMIT $2",
                &[&after, &i64::from(limit)],
            )
            .await?;
        let keys = rows.iter().map(|row| row.try_get(0));
        let keys: Vec<i64> = keys.collect::<Result<_, _>>()?;
        let Some(last) = keys.last() else {
            return Ok(Vec::new());
        };
        let documents = documents(db, &keys).await?;
        // An empty result means the end, so skip pages whose contents have all been deleted
        // meanwhile.
        if !documents.is_empty() {
            return Ok(documents.into_values().flatten().collect());
        }
        after = *last;
    }
}

/// Returns the current documents of `keys` in each space, by key. Deleted contents are omitted,
/// including those that await the sweep.
async fn documents(db: &Connection, keys: &[i64]) -> DbResult<BTreeMap<i64, Vec<ContentDocument>>> {
    let sql = format!(
        "SELECT c.id, c.hash, c.size, f.space, f.peer, p.account, {PATH}, f.modified, c.kind
         FROM unnest($1::BIGINT[]) AS k (id) CROSS JOIN LATERAL (
             SELECT id, hash, kind, size FROM contents WHERE id = k.id LIMIT 1
         ) c CROSS JOIN LATERAL (
             SELECT space, peer, path, whole, modified FROM files
             WHERE content = c.id ORDER BY space, peer, path LIMIT $2
         ) f CROSS JOIN LATERAL (SELECT account FROM peers WHERE id = f.peer LIMIT 1) p
         ORDER BY c.id, f.space, f.peer, f.path"
    );
    let rows = db.rows(&sql, &[&keys, &FILES_AT_ONCE]).await?;
    let mut found = BTreeMap::<i64, Vec<Found>>::new();
    let mut counts = BTreeMap::<i64, i64>::new();
    for row in &rows {
        let key: i64 = row.try_get(0)?;
        let space = SpaceKey(row.try_get(3)?);
        let of_content = found.entry(key).or_default();
        *counts.entry(key).or_default() += 1;
        if of_content.last().is_none_or(|last| last.space != space) {
            of_content.push(Found {
                space,
                hash: content_hash(row.try_get(1)?)?,
                kind: stored::kind(row.try_get(8)?)?,
                size: unsigned(row.try_get(2)?)?,
                modified: i64::MIN,
                peers: Vec::new(),
            });
        }
        if let Some(found) = of_content.last_mut() {
            let (peer, account) = (row.try_get(4)?, row.try_get(5)?);
            found.note(peer, account, row.try_get(6)?, row.try_get(7)?);
        }
    }
    for (key, _) in counts.into_iter().filter(|(_, n)| *n == FILES_AT_ONCE) {
        if let Some(of_content) = found.get_mut(&key) {
            complete_all(db, key, of_content).await?;
        }
    }
    let documents = found.into_iter().map(|(key, of_content)| {
        let documents = of_content.into_iter().map(|found| found.document(key));
        (key, documents.collect())
    });
    Ok(documents.collect())
}

/// A content in one space: its peers, each with its account and paths.
struct Found {
    space: SpaceKey,
    hash: ContentHash,
    kind: EntryKind,
    size: u64,
    modified: i64,
    peers: Vec<(i64, i64, Vec<String>)>,
}

impl Found {
    fn note(&mut self, peer: i64, account: i64, path: &str, modified: i64) {
        if self.peers.last().is_none_or(|(last, ..)| *last != peer) {
            self.peers.push((peer, account, Vec::new()));
        }
        if let Some((.., paths)) = self.peers.last_mut() {
            paths.push(path.to_owned());
        }
        self.modified = self.modified.max(modified);
    }

    fn document(self, key: i64) -> ContentDocument {
        let peers = self.peers.iter().map(|(peer, ..)| PeerKey(*peer)).collect();
        let of_peers = self.peers.into_iter();
        let of_peers = of_peers.map(|(_, account, paths)| (account, paths));
        ContentDocument {
            key: ContentKey(key),
            hash: self.hash,
            kind: self.kind,
            space: self.space,
            size: self.size,
            modified: self.modified,
            paths: searchable(key, of_peers.collect()),
            peers,
        }
    }
}

/// Finds all spaces of a content with very many files, and completes the entry of each.
async fn complete_all(db: &Connection, key: i64, all: &mut Vec<Found>) -> DbResult<()> {
    let rows = db
        .rows(
            "WITH RECURSIVE spaces (space) AS (
                 (SELECT space FROM files WHERE content = $1 ORDER BY space LIMIT 1)
                 UNION ALL
                 SELECT (SELECT f.space FROM files f WHERE f.content = $1 AND f.space > s.space
                         ORDER BY f.space LIMIT 1)
                 FROM spaces s WHERE s.space IS NOT NULL
             )
             SELECT space FROM spaces WHERE space IS NOT NULL ORDER BY space",
            &[&key],
        )
        .await?;
    let first = all.first();
    let Some((hash, kind, size)) = first.map(|first| (first.hash, first.kind, first.size)) else {
        return Ok(());
    };
    all.clear();
    for row in &rows {
        let mut found = Found {
            space: SpaceKey(row.try_get(0)?),
            hash,
            kind,
            size,
            modified: i64::MIN,
            peers: Vec::new(),
        };
        complete(db, key, &mut found).await?;
        all.push(found);
    }
    Ok(())
}

/// Finds all peers of a content in a space, and a sufficient number of its paths.
async fn complete(db: &Connection, key: i64, found: &mut Found) -> DbResult<()> {
    let space = found.space.0;
    // Skips from peer to peer: one index lookup per peer, however many files each has.
    let rows = db
        .rows(
            "WITH RECURSIVE holders (peer) AS (
                 (SELECT peer FROM files WHERE content = $1 AND space = $2 ORDER BY peer LIMIT 1)
                 UNION ALL
                 SELECT (SELECT f.peer FROM files f
                         WHERE f.content = $1 AND f.space = $2 AND f.peer > h.peer
                         ORDER BY f.peer LIMIT 1)
                 FROM holders h WHERE h.peer IS NOT NULL
             )
             SELECT h.peer, p.account FROM holders h CROSS JOIN LATERAL (
                 SELECT account FROM peers WHERE id = h.peer LIMIT 1) p
             WHERE h.peer IS NOT NULL ORDER BY h.peer",
            &[&key, &space],
        )
        .await?;
    let mut holders = Vec::with_capacity(rows.len());
    for row in &rows {
        holders.push((row.try_get::<_, i64>(1)?, row.try_get::<_, i64>(0)?));
    }
    let places = |(account, peer): &(i64, i64)| (*peer, (*account, Vec::new()));
    let mut of_peers: BTreeMap<i64, (i64, Vec<String>)> = holders.iter().map(places).collect();
    let (some, most) = searched(key, holders);
    let peers: Vec<i64> = some.into_iter().map(|(_, peer)| peer).collect();
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let sql = format!(
        "SELECT g.peer, {PATH}, f.modified FROM unnest($3::BIGINT[]) AS g (peer)
         CROSS JOIN LATERAL (
             SELECT path, whole, modified FROM files
             WHERE content = $1 AND space = $2 AND peer = g.peer ORDER BY path LIMIT $4) f
         ORDER BY g.peer, f.path"
    );
    let rows = db.rows(&sql, &[&key, &space, &peers, &most]).await?;
    for row in &rows {
        if let Some((_, paths)) = of_peers.get_mut(&row.try_get::<_, i64>(0)?) {
            paths.push(row.try_get(1)?);
        }
        found.modified = found.modified.max(row.try_get(2)?);
    }
    let of_peers = of_peers.into_iter();
    found.peers = of_peers
        .map(|(peer, (account, paths))| (peer, account, paths))
        .collect();
    Ok(())
}
