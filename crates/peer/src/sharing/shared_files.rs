//! The shared files of a peer and the state of their shares.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use convite_core::{Problem, SafePath, SpaceName};
use convite_metrics::Registry;
use convite_metrics::catalogue::{PEER, PROCESS};
use convite_wire::v1::ShareStatus;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::sharing::catalogue::{Catalogue, FoundFolder, IndexedFile, SharedEntry};
use crate::sharing::changed_places::ChangedPlaces;
use crate::sharing::partial_files::PartialFiles;
use crate::sharing::publish_queue::PublishQueue;
use crate::sharing::read_failures::ReadFailures;
use crate::sharing::shares::{Share, ShareList, path_in_share};
use crate::sharing::skipped::{SkipReason, SkippedPaths};
use crate::sharing::unhashed::UnhashedFiles;

/// The shared files of a peer, for all its tasks.
pub struct SharedFiles {
    /// The shared files.
    pub catalogue: Arc<Catalogue>,
    /// The partial files, which are served while they are downloaded.
    pub partial_files: Arc<PartialFiles>,
    /// Changes that are not published yet.
    pub publish_queue: Arc<PublishQueue>,
    /// Changed places that are not scanned yet.
    pub changed_places: Arc<Mutex<ChangedPlaces>>,
    /// The folders with files that are not hashed yet.
    pub unhashed: Arc<UnhashedFiles>,
    /// Held while folders are computed, and while a scan enters what it found.
    pub settling: Mutex<()>,
    /// Files that the disk could not read.
    pub read_failures: Arc<ReadFailures>,
    /// The number of finished scans.
    pub scans: watch::Sender<u64>,
    /// The number of files hashed since the start.
    pub hashed: AtomicU64,
    /// The number of files that are found and not hashed yet.
    pub to_hash: AtomicU64,
    /// Requests a full scan.
    pub rescan: Arc<Notify>,
    /// The peer's metrics.
    pub metrics: Arc<Registry>,
    /// Stops the peer.
    pub stop: CancellationToken,
    shares: Mutex<ShareList>,
    /// The roots of shares with file systems that are not mounted, each with a hint.
    away: Mutex<HashMap<Arc<Path>, &'static str>>,
    errors: Mutex<HashMap<Arc<Path>, String>>,
    skipped: Mutex<HashMap<Arc<Path>, SkippedPaths>>,
    unwatched: Mutex<HashMap<Arc<Path>, SkippedPaths>>,
}

impl SharedFiles {
    /// Creates the state of a peer with `shares` that has not scanned anything.
    pub fn new(shares: ShareList, stop: CancellationToken) -> Self {
        Self {
            catalogue: Arc::default(),
            partial_files: Arc::default(),
            publish_queue: Arc::default(),
            changed_places: Arc::default(),
            unhashed: Arc::default(),
            settling: Mutex::default(),
            read_failures: Arc::default(),
            scans: watch::Sender::default(),
            hashed: AtomicU64::new(0),
            to_hash: AtomicU64::new(0),
            rescan: Arc::default(),
            metrics: Registry::new(&[PEER, PROCESS]),
            stop,
            shares: Mutex::new(shares),
            away: Mutex::default(),
            errors: Mutex::default(),
            skipped: Mutex::default(),
            unwatched: Mutex::default(),
        }
    }

    /// Returns the current shares.
    pub fn shares(&self) -> Vec<Share> {
        self.shares.lock().all().to_vec()
    }

    /// Shares `path`, in `space` if one is named. Blocks for a write to disk.
    ///
    /// # Errors
    /// Same as [`ShareList::add`].
    pub fn share(&self, path: &Path, space: Option<SpaceName>) -> Result<Share, Problem> {
        let share = {
            let mut shares = self.shares.lock();
            let share = shares.add(path, space)?;
            // The user shares the file system that is mounted now.
            shares.update_mount(&share.root)?;
            self.remove_unshared_files(&shares);
            share
        };
        self.rescan.notify_one();
        Ok(share)
    }

    /// Queues the files and folders in some spaces for publishing.
    pub(crate) fn queue_files_in_spaces(&self, which: impl Fn(&SpaceName) -> bool) {
        let stays = |entry: SharedEntry<'_>| !entry.space.is_some_and(|space| which(space));
        for path in self.catalogue.paths_where_not(stays) {
            self.publish_queue.add(path);
        }
    }

    /// Adds a file to the catalogue, unless it may not be shared in this way. Returns whether the
    /// catalogue changed.
    pub fn add_file(&self, file: IndexedFile) -> bool {
        // The lock makes this atomic with `share` and `unshare`: a file found under an earlier
        // sharing policy is never added.
        let shares = self.shares.lock();
        shares.may_publish(&file.root, &file.path, file.space.as_deref())
            && !self.away.lock().contains_key(&file.root)
            && self.catalogue.put(file)
    }

    /// Adds the folders that a scan found, except those that may not be shared in this way.
    pub(crate) fn add_folders(&self, found: &[FoundFolder]) {
        // As in `add_file`.
        let shares = self.shares.lock();
        let away = self.away.lock();
        for folder in found {
            if shares.may_publish(&folder.root, &folder.path, folder.space.as_deref())
                && !away.contains_key(&folder.root)
            {
                self.catalogue.add_folder(folder);
            }
        }
    }

    /// Removes the folders at and below a published path that are not among `found`.
    pub(crate) fn remove_missing_folders(&self, place: &str, found: &HashSet<&SafePath>) {
        for path in self.catalogue.folder_paths_below(place) {
            if !found.contains(&path) && self.catalogue.remove_folder(&path) {
                self.publish_queue.add(path);
            }
        }
    }

    fn remove_unshared_files(&self, shares: &ShareList) {
        self.remove_where_not(|entry| {
            let space = entry.space.map(|space| &**space);
            shares.may_publish(entry.root, entry.path, space)
        });
    }

    /// Removes the files and folders for which `keep` returns false.
    fn remove_where_not(&self, keep: impl Fn(SharedEntry<'_>) -> bool) {
        // Files are first, and a folder is removed after the files below it.
        for path in self.catalogue.paths_where_not(keep) {
            self.catalogue.remove(&path);
            self.catalogue.remove_folder(&path);
            self.publish_queue.add(path);
        }
    }

    /// Stops sharing `path`. Its files are no longer served when this returns.
    ///
    /// # Errors
    /// Same as [`ShareList::remove`].
    pub fn unshare(&self, path: &Path) -> Result<(), Problem> {
        let mut shares = self.shares.lock();
        shares.remove(path)?;
        self.remove_unshared_files(&shares);
        drop(shares);
        // An enclosing share may contain the files now.
        self.rescan.notify_one();
        Ok(())
    }

    /// Determines which shares' file systems are mounted, and removes the files of the others from
    /// the catalogue. Accesses the disks.
    pub fn update_mounts(&self) {
        let shares = self.shares();
        let away: HashMap<_, _> = shares
            .iter()
            .filter_map(|share| Some((share.root.clone(), share.mount_state().explain()?.1)))
            .collect();
        self.away.lock().clone_from(&away);
        if away.is_empty() {
            return;
        }
        self.remove_where_not(|entry| !away.contains_key(entry.root));
        self.publish_queue.flush();
    }

    /// Refuses a write at a place on a file system that is not mounted. Accesses the disks.
    ///
    /// # Errors
    /// Returns `unavailable` if the file system is not mounted.
    pub fn check_mounted(&self, place: &Path) -> Result<(), Problem> {
        self.shares.lock().check_mounted(place)
    }

    /// Replaces the skipped files of all shares.
    pub fn set_skipped(&self, skipped: HashMap<Arc<Path>, SkippedPaths>) {
        *self.skipped.lock() = skipped;
    }

    /// Replaces the skipped files below one place of a share.
    pub fn set_skipped_below(&self, root: &Arc<Path>, inner: &Path, skipped: SkippedPaths) {
        let mut noted = self.skipped.lock();
        let noted = noted.entry(root.clone()).or_default();
        noted.forget_below(inner);
        noted.merge(skipped);
    }

    /// Adds skipped files of a share.
    pub fn add_skipped(&self, root: &Arc<Path>, skipped: SkippedPaths) {
        self.skipped
            .lock()
            .entry(root.clone())
            .or_default()
            .merge(skipped);
    }

    /// Removes a file from the skipped files, because it is shared now.
    pub fn clear_skipped(&self, root: &Arc<Path>, inner: &str) {
        if let Some(noted) = self.skipped.lock().get_mut(root) {
            noted.forget(inner);
        }
    }

    /// Replaces the lists of folders that are not watched.
    pub fn set_unwatched(&self, unwatched: HashMap<Arc<Path>, SkippedPaths>) {
        *self.unwatched.lock() = unwatched;
    }

    /// Replaces the reasons why shares cannot be read. Logs new ones only, so that a share that
    /// stays unavailable does not fill the log.
    pub fn set_troubles(&self, troubles: HashMap<Arc<Path>, String>) {
        let mut noted = self.errors.lock();
        for (root, trouble) in &troubles {
            if noted.get(root) != Some(trouble) {
                let shown = root.to_string_lossy();
                warn!("{}: {trouble}", convite_core::display::escape(&shown));
            }
        }
        *noted = troubles;
    }

    /// Returns the status of a share. `refused` is the error if the directory refuses its files.
    pub(crate) fn share_status(&self, share: &Share, refused: Option<Problem>) -> ShareStatus {
        let (trouble, hint) = match refused {
            Some(refused) => (
                format!("refused by the directory: {}", refused.message),
                refused.hint,
            ),
            None => {
                let trouble = self.errors.lock().get(&share.root).cloned();
                let away = self.away.lock().get(&share.root).copied();
                let is_gone = trouble.is_some() && share.root.symlink_metadata().is_err();
                let hint = away
                    .or(is_gone.then_some(UNAVAILABLE_HINT))
                    .map(str::to_owned);
                (trouble.unwrap_or_default(), hint)
            }
        };
        let [mut skipped, unwatched] = [&self.skipped, &self.unwatched]
            .map(|noted| noted.lock().get(&share.root).cloned().unwrap_or_default());
        skipped.merge(self.folder_exceptions(share));
        let noted = [skipped.to_wire(), unwatched.to_wire()];
        let space = share.space.as_ref();
        ShareStatus {
            name: share.name.clone(),
            folder: share.root.to_string_lossy().into_owned(),
            files: self.catalogue.count_below(&share.root),
            trouble,
            space: space.map_or_else(String::new, ToString::to_string),
            hint: hint.unwrap_or_default(),
            skipped: noted.into_iter().flatten().collect(),
        }
    }

    /// Returns the files of a share that are not part of its folders, and the folders that are not
    /// published.
    fn folder_exceptions(&self, share: &Share) -> SkippedPaths {
        let exceptions = self.catalogue.folder_exceptions();
        let mut skipped = SkippedPaths::default();
        for (reason, paths) in [
            (SkipReason::Changing, exceptions.changing),
            (SkipReason::Unfinished, exceptions.unfinished),
            (SkipReason::TooManyFiles, exceptions.too_large),
        ] {
            for path in paths.iter().filter(|path| share.contains_path(path)) {
                skipped.note(reason, Path::new(path_in_share(path)));
            }
        }
        skipped
    }
}

/// The hint for a share that is not available.
const UNAVAILABLE_HINT: &str =
    "it is shared again when it is back; to remove it from the list, use `convite unshare`";

#[cfg(test)]
mod tests {
    use convite_core::ContentHash;

    use super::*;
    use crate::fs::identity::FileIdentity;

    #[test]
    fn files_of_an_old_policy_are_not_added() {
        let place = tempfile::tempdir().unwrap();
        let root = dunce::canonicalize(place.path()).unwrap();
        std::fs::create_dir(root.join("inner")).unwrap();
        let files = SharedFiles::new(ShareList::default(), CancellationToken::new());
        let lab = || Some("lab".parse::<SpaceName>().unwrap());
        let name = files.share(&root, None).unwrap().name;
        let found = |inner: &str, space: Option<SpaceName>| IndexedFile {
            path: format!("{name}/{inner}").parse().unwrap(),
            root: root.clone().into(),
            space: space.map(Arc::new),
            identity: FileIdentity {
                device: 1,
                inode: 1,
                size: 1,
                modified_ns: 1,
                changed_ns: 1,
                executable: false,
            },
            hash: ContentHash::of(b"x"),
            crc32: Some(0),
        };
        assert!(files.add_file(found("a", None)));
        assert!(files.add_file(found("inner/b", None)));
        // A scan that began before this call still uses the old shares.
        files.share(&root.join("inner"), lab()).unwrap();
        assert_eq!(files.catalogue.totals().0, 1);
        assert!(!files.add_file(found("inner/b", None)));
        files.share(&root, lab()).unwrap();
        assert_eq!(files.catalogue.totals().0, 0);
        assert!(!files.add_file(found("a", None)));
        assert!(files.add_file(found("a", lab())));
        files.unshare(&root).unwrap();
        assert_eq!(files.catalogue.totals().0, 0);
        assert!(!files.add_file(found("a", lab())));
    }
}
