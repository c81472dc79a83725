//! Adds received files to the catalogue at once: their hashes are known, so no scan is needed.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use convite_core::{PieceHashes, SafePath};

use crate::fs::identity::FileIdentity;
use crate::fs::volume::Volume;
use crate::sharing::cache::{Cache, HashedFile};
use crate::sharing::catalogue::IndexedFile;
use crate::sharing::shared_files::SharedFiles;
use crate::sharing::shares::{Share, path_in_share};

/// A complete file that was received and verified.
#[derive(Debug, Clone)]
pub(crate) struct ReceivedContent {
    /// The identity of the file that was verified.
    pub(crate) identity: FileIdentity,
    /// Its piece hashes.
    pub(crate) pieces: PieceHashes,
    /// The CRC-32 of its contents; `None` if it is unknown, because parts were received in an
    /// earlier run. A scan then hashes the file again.
    pub(crate) crc32: Option<u32>,
}

/// Adds the complete file at `placed` to the catalogue, if it is in a share and is still the
/// verified file. A later scan of it finds no change, unless its CRC-32 is unknown. Blocks.
///
/// # Errors
/// Fails if the file cannot be examined.
pub(crate) fn ingest(
    files: &SharedFiles,
    cache: &Cache,
    placed: &Path,
    received: ReceivedContent,
) -> io::Result<()> {
    let ReceivedContent {
        identity,
        pieces,
        crc32,
    } = received;
    let hash = pieces.content();
    let metadata = placed.symlink_metadata()?;
    if FileIdentity::at(placed, &metadata)? != identity {
        // The file was replaced. A scan examines the new one.
        files.rescan.notify_one();
        return Ok(());
    }
    let shown = find_share(files, placed);
    let is_racy = identity.changed_too_recently(SystemTime::now());
    let keys = match &shown {
        Some((share, path)) if !is_racy && crc32.is_some() => {
            let volume = Volume::of(placed)?;
            Some(volume.keys(&share.root, path_in_share(path), &identity))
        }
        _ => None,
    };
    // Without a cached hash the file is hashed again after a restart.
    let hashed = HashedFile {
        keys,
        pieces,
        crc32: crc32.unwrap_or_default(),
    };
    if let Err(problem) = cache.store_hashes(&[hashed]) {
        tracing::warn!("{problem}");
    }
    let Some((share, path)) = shown else {
        return Ok(());
    };
    files.add_file(IndexedFile {
        path: path.clone(),
        root: share.root.clone(),
        space: share.space.clone(),
        identity,
        hash,
        crc32,
    });
    if crc32.is_none() && files.catalogue.request_rehash(&path) {
        files.rescan.notify_one();
    }
    files.publish_queue.add(path);
    files.publish_queue.flush();
    Ok(())
}

/// Returns the published path of the file at `placed`, if it is in a share.
pub(crate) fn published(files: &SharedFiles, placed: &Path) -> Option<SafePath> {
    find_share(files, placed).map(|(_, path)| path)
}

fn find_share(files: &SharedFiles, placed: &Path) -> Option<(Share, SafePath)> {
    let shares = files.shares().into_iter();
    let over = shares.filter(|share| placed.starts_with(&share.root));
    let share = over.max_by_key(|share| share.root.components().count())?;
    let inner = placed.strip_prefix(&share.root).ok()?;
    let path = share.published(inner).ok()?;
    Some((share, path))
}

#[cfg(test)]
mod tests {
    use convite_core::{ContentHash, PieceGeometry, SpaceName, StreamHasher};
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::sharing::shares::ShareList;

    #[tokio::test]
    async fn received_files_are_listed_without_a_scan() {
        let place = tempfile::tempdir().unwrap();
        let root = dunce::canonicalize(place.path()).unwrap();
        std::fs::create_dir(root.join("inner")).unwrap();
        let files = SharedFiles::new(ShareList::default(), CancellationToken::new());
        let cache = Cache::in_memory().unwrap();
        let lab: SpaceName = "lab".parse().unwrap();
        files.share(&root, None).unwrap();
        files.share(&root.join("inner"), Some(lab.clone())).unwrap();
        let bytes = vec![7; 200_000];
        let path = root.join("inner/x");
        std::fs::write(&path, &bytes).unwrap();
        let hash = ContentHash::of(&bytes);
        let mut hasher = StreamHasher::with_geometry(&PieceGeometry::new(200_000).unwrap());
        hasher.update(&bytes);
        // No scan runs in this test.
        let hashes = hasher.finish().unwrap();
        let identity =
            |path: &Path| FileIdentity::at(path, &path.symlink_metadata().unwrap()).unwrap();
        // A file that replaced it is not published under its hash.
        std::fs::write(root.join("inner/y"), "other").unwrap();
        let other = identity(&root.join("inner/y"));
        let received = |identity| ReceivedContent {
            identity,
            pieces: hashes.clone(),
            crc32: Some(crc32fast::hash(&bytes)),
        };
        ingest(&files, &cache, &path, received(other)).unwrap();
        assert!(files.catalogue.by_hash(&hash).is_empty());
        assert!(cache.pieces(hash, 200_000).unwrap().is_none());

        ingest(&files, &cache, &path, received(identity(&path))).unwrap();
        let held = files.catalogue.by_hash(&hash);
        assert_eq!(held[0].space.as_deref(), Some(&lab));
        assert!(cache.pieces(hash, 200_000).unwrap().is_some());
        assert_eq!(files.publish_queue.count(), 1);
    }
}
