//! The change log, and the documents that whoever follows it derives an index from.
//!
//! Many transactions write the log at once, yet its numbers have no gaps and are seen in their
//! order: a transaction takes its numbers, as the last thing that it does, from the one row of
//! `change_log`, and that row is locked until it has committed (its `COMMIT` is under way by then,
//! see `commit_with`). Whoever takes the next numbers has waited for that; if it is undone,
//! so are its numbers. So a follower at position N has lost nothing if N + 1 is there or yet to
//! come. A sequence would not do: it gives out numbers in an order other than that of the commits,
//! and a follower would pass over what commits late.

use std::collections::{BTreeMap, HashSet};

use convite_core::ContentHash;

use super::connections::{Connection, Transaction};
use super::failure::Outcome;
use super::partials::hash_from;
use super::paths::PATH;
use super::peers::unsigned;
use crate::{Changes, ContentDocument, ContentKey, DOCUMENT_PATHS_MAX, PeerKey, SpaceKey};

/// Files of one content that are read with those of others; of a content with more each peer and
/// path is looked for by itself.
const FILES_AT_ONCE: i64 = 256;

/// Appends these contents to the log, and commits: the row that numbers them is locked no longer
/// than that takes.
pub(super) async fn commit_logged(transaction: Transaction, contents: &[i64]) -> Outcome<()> {
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

pub(super) async fn last(db: &Connection) -> Outcome<i64> {
    let row = db.one("SELECT position FROM change_log", &[]).await?;
    Ok(row.try_get(0)?)
}

pub(super) async fn changes(db: &Connection, position: i64, limit: u32) -> Outcome<Changes> {
    // One statement, so that both are of one moment.
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
    // The log has no gaps: the next entry is there, or nothing has happened since. A position
    // beyond the end is of another database, or of this one before it was restored.
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
    // Read after the log: newer than it says at most, and what is newer will be logged.
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
) -> Outcome<Vec<ContentDocument>> {
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
        // An empty run means the end: one that has vanished meanwhile must not look like it.
        if !documents.is_empty() {
            return Ok(documents.into_values().flatten().collect());
        }
        after = *last;
    }
}

/// Contents as they are now in each of the spaces in which they are, by key; those that are gone
/// are left out, also if they are still to be swept.
async fn documents(db: &Connection, keys: &[i64]) -> Outcome<BTreeMap<i64, Vec<ContentDocument>>> {
    let sql = format!(
        "SELECT c.id, c.hash, c.size, f.space, f.peer, {PATH}, f.modified
         FROM unnest($1::BIGINT[]) AS k (id) JOIN contents c ON c.id = k.id
         JOIN LATERAL (
             SELECT space, peer, path, whole, modified FROM files
             WHERE content = c.id ORDER BY space, peer, path LIMIT $2
         ) f ON TRUE
         ORDER BY c.id, f.space, f.peer, f.path"
    );
    let rows = db.rows(&sql, &[&keys, &FILES_AT_ONCE]).await?;
    let mut documents = BTreeMap::<i64, Vec<ContentDocument>>::new();
    let mut counts = BTreeMap::<i64, i64>::new();
    for row in &rows {
        let key: i64 = row.try_get(0)?;
        let space = SpaceKey(row.try_get(3)?);
        let of_content = documents.entry(key).or_default();
        if of_content.last().is_none_or(|last| last.space != space) {
            let hash: ContentHash = hash_from(row.try_get(1)?)?;
            of_content.push(ContentDocument {
                key: ContentKey(key),
                hash,
                space,
                size: unsigned(row.try_get(2)?)?,
                modified: row.try_get(6)?,
                paths: Vec::new(),
                peers: Vec::new(),
            });
        }
        *counts.entry(key).or_default() += 1;
        let Some(document) = of_content.last_mut() else {
            continue;
        };
        let peer = PeerKey(row.try_get(4)?);
        if document.peers.last() != Some(&peer) {
            document.peers.push(peer);
        }
        note(&mut document.paths, row.try_get(5)?);
        document.modified = document.modified.max(row.try_get(6)?);
    }
    for (key, _) in counts.into_iter().filter(|(_, n)| *n == FILES_AT_ONCE) {
        if let Some(of_content) = documents.get_mut(&key) {
            complete_all(db, of_content).await?;
        }
    }
    Ok(documents)
}

/// Finds all spaces of a content with very many files, and completes the document of each.
async fn complete_all(db: &Connection, documents: &mut Vec<ContentDocument>) -> Outcome<()> {
    let Some(first) = documents.first().cloned() else {
        return Ok(());
    };
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
            &[&first.key.0],
        )
        .await?;
    for row in &rows {
        let space = SpaceKey(row.try_get(0)?);
        if documents.iter().all(|document| document.space != space) {
            documents.push(ContentDocument {
                space,
                modified: i64::MIN,
                paths: Vec::new(),
                peers: Vec::new(),
                ..first.clone()
            });
        }
    }
    for document in documents {
        complete(db, document).await?;
    }
    Ok(())
}

fn note(paths: &mut Vec<String>, path: &str) {
    if paths.len() < DOCUMENT_PATHS_MAX && !paths.iter().any(|known| known == path) {
        paths.push(path.to_owned());
    }
}

/// Finds all peers of a content in a space, and enough of its paths there.
async fn complete(db: &Connection, document: &mut ContentDocument) -> Outcome<()> {
    let (key, space) = (document.key.0, document.space.0);
    // From peer to peer: one look into the index each, however many files each has of it.
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
             SELECT peer FROM holders WHERE peer IS NOT NULL ORDER BY peer",
            &[&key, &space],
        )
        .await?;
    let peers = rows.iter().map(|row| row.try_get(0).map(PeerKey));
    document.peers = peers.collect::<Result<_, _>>()?;
    let sql = format!(
        "SELECT f.peer, f.path, {PATH}, f.modified FROM files f
         WHERE f.content = $1 AND f.space = $5 AND (f.peer, f.path) > ($2, $3) ORDER BY f.peer, f.path LIMIT $4"
    );
    let (mut peer, mut path) = (0_i64, String::new());
    while document.paths.len() < DOCUMENT_PATHS_MAX {
        let rows = db
            .rows(&sql, &[&key, &peer, &path, &(FILES_AT_ONCE * 16), &space])
            .await?;
        for row in &rows {
            (peer, path) = (row.try_get(0)?, row.try_get(1)?);
            note(&mut document.paths, row.try_get(2)?);
            document.modified = document.modified.max(row.try_get(3)?);
        }
        if rows.is_empty() {
            break;
        }
    }
    Ok(())
}
