//! Files that came in, by an upload or a load, on the shelves at once: their hashes are known, so nobody
//! has to find them.

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
    let identity = Identity::at(placed, &metadata)?;
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

#[cfg(test)]
mod tests {
    use convite_core::{ContentHash, PieceGeometry, SpaceName, StreamHasher, UnixMillis};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::serve::uploads::{UploadLimits, Uploads};
    use crate::shares::ShareList;

    #[tokio::test]
    async fn what_came_in_waits_for_no_scan() {
        let place = tempfile::tempdir().unwrap();
        let root = dunce::canonicalize(place.path()).unwrap();
        std::fs::create_dir(root.join("inner")).unwrap();
        let state = PeerState::new(
            "peer_1".parse().unwrap(),
            None,
            ShareList::default(),
            Uploads::new(UploadLimits::default()),
            CancellationToken::new(),
            UnixMillis(0),
        );
        let cache = Cache::in_memory().unwrap();
        let lab: SpaceName = "lab".parse().unwrap();
        state.share(&root, None).unwrap();
        state.share(&root.join("inner"), Some(lab.clone())).unwrap();
        let bytes = vec![7; 200_000];
        let path = root.join("inner/x");
        std::fs::write(&path, &bytes).unwrap();
        let hash = ContentHash::of(&bytes);
        let mut hasher = StreamHasher::of(&PieceGeometry::new(200_000).unwrap());
        hasher.update(&bytes);
        // Nobody looks at the shares here.
        shelve(&state, &cache, &path, hasher.finish().unwrap()).unwrap();
        let held = state.catalogue.by_hash(&hash);
        assert_eq!(held[0].space.as_deref(), Some(&lab));
        assert!(cache.pieces(hash, 200_000).unwrap().is_some());
        assert_eq!(state.pending.count(), 1);
    }
}
