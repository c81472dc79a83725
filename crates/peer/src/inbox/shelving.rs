//! Files that came in, on the shelves at once: their hashes are known, so nobody has to find them.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use convite_core::{PieceHashes, SafePath};

use crate::beneath::Identity;
use crate::cache::Cache;
use crate::catalogue::Served;
use crate::indexing::RACY;
use crate::shares::Share;
use crate::state::PeerState;

/// Has the whole file at `placed` served and told of, if it lies in what is shared. Whoever finds it
/// later finds nothing new. Blocks.
///
/// # Errors
/// Those of looking at it.
pub(crate) fn shelve(
    state: &PeerState,
    cache: &Cache,
    placed: &Path,
    hashes: PieceHashes,
) -> io::Result<()> {
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
    let Some((share, path)) = shown_as(state, placed) else {
        return Ok(());
    };
    state.put(Served {
        path: path.clone(),
        root: share.root.clone(),
        space: share.space.clone(),
        identity,
        hash,
    });
    state.pending.note(path);
    state.pending.hurry();
    Ok(())
}

/// As what the file at `placed` is published, if it lies in what is shared.
pub(crate) fn published(state: &PeerState, placed: &Path) -> Option<SafePath> {
    shown_as(state, placed).map(|(_, path)| path)
}

fn shown_as(state: &PeerState, placed: &Path) -> Option<(Share, SafePath)> {
    let shares = state.shares().into_iter();
    let over = shares.filter(|share| placed.starts_with(&share.root));
    let share = over.max_by_key(|share| share.root.components().count())?;
    let inner = placed.strip_prefix(&share.root).ok()?;
    let path = share.published(inner).ok()?;
    Some((share, path))
}
