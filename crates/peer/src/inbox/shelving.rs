//! Files that came in, on the shelves at once: their hashes are known, so nobody has to find them.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use convite_core::{ContentHash, PieceHashes, SafePath};

use crate::beneath::Identity;
use crate::cache::Cache;
use crate::catalogue::Served;
use crate::indexing::RACY;
use crate::state::PeerState;

/// Has the whole file at `placed` served and told of, if it lies in what is shared: as what is
/// returned. Whoever finds it later finds nothing new. Blocks.
///
/// # Errors
/// Those of looking at it.
pub(crate) fn shelve(
    state: &PeerState,
    cache: &Cache,
    placed: &Path,
    hashes: PieceHashes,
) -> io::Result<Option<SafePath>> {
    let hash = hashes.content();
    let metadata = placed.symlink_metadata()?;
    let identity = Identity::of(&metadata);
    let since = metadata
        .modified()
        .ok()
        .and_then(|at| SystemTime::now().duration_since(at).ok());
    let racy = since.is_none_or(|since| since < RACY);
    // Else it is hashed once more, when it is found.
    if let Err(problem) = cache.remember(&[(identity, racy, hashes)]) {
        tracing::warn!("{problem}");
    }
    Ok(on_shelves(state, placed, identity, hash))
}

fn on_shelves(
    state: &PeerState,
    placed: &Path,
    identity: Identity,
    hash: ContentHash,
) -> Option<SafePath> {
    let shares = state.shares();
    let over = shares.iter().filter(|s| placed.starts_with(&s.root));
    let share = over.max_by_key(|share| share.root.components().count())?;
    let inner = placed.strip_prefix(&share.root).ok()?;
    let path = share.published(inner).ok()?;
    state.put(Served {
        path: path.clone(),
        root: share.root.clone(),
        space: share.space.clone(),
        identity,
        hash,
    });
    state.pending.note(path.clone());
    state.pending.hurry();
    Some(path)
}
