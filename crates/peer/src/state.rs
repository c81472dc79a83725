//! What the tasks of a running peer know in common: its shares, what became of them, and whether
//! the directory lists it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use convite_core::{ContentHash, PeerId, Problem, SpaceName, UnixMillis, UserName};
use convite_metrics::Registry;
use convite_metrics::catalogue::{PEER, PROCESS};
use convite_wire::v1::{ShareStatus, StatusReply};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::catalogue::{Catalogue, Served};
use crate::inbox::Level;
use crate::partial_files::PartialFiles;
use crate::publish::Pending;
use crate::refusals::Refusals;
use crate::serve::uploads::Uploads;
use crate::shares::{Share, ShareList};

/// Whether the directory lists this peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Online {
    /// Whether it does.
    pub listed: bool,
    /// Why not, once that is known.
    pub trouble: Option<Problem>,
    /// Since when it is so; none before the first attempt.
    pub since: Option<UnixMillis>,
}

impl Online {
    /// Becomes listed, or not for some trouble, at `now`. Whether that is news.
    pub fn become_at(&mut self, trouble: Option<Problem>, now: UnixMillis) -> bool {
        let listed = trouble.is_none();
        if (self.listed, &self.trouble) == (listed, &trouble) {
            return false;
        }
        if self.listed != listed || self.since.is_none() {
            self.since = Some(now);
        }
        (self.listed, self.trouble) = (listed, trouble);
        true
    }
}

/// The common knowledge of a peer's tasks.
pub struct PeerState {
    /// This peer's id.
    pub id: PeerId,
    /// Whose it is.
    pub user: Option<UserName>,
    /// Where it is reached, once it listens.
    pub url: OnceLock<String>,
    /// How full its inbox is, if it has one.
    pub inbox: OnceLock<Arc<Level>>,
    /// What it serves.
    pub catalogue: Arc<Catalogue>,
    /// What it serves a part of, because it is fetching it.
    pub partial_files: Arc<PartialFiles>,
    /// What the directory has not been told.
    pub pending: Arc<Pending>,
    /// Spaces that the directory takes no files of this peer in.
    pub refusals: Refusals,
    /// What is being served.
    pub uploads: Arc<Uploads>,
    /// Whether it is listed.
    pub online: watch::Sender<Online>,
    /// How many scans are done.
    pub scans: watch::Sender<u64>,
    /// Files that were read and hashed since the start.
    pub hashed: AtomicU64,
    /// Files found and not hashed yet.
    pub to_hash: AtomicU64,
    /// What happens here.
    pub counted: Arc<Registry>,
    /// Time for a scan.
    pub rescan: Arc<Notify>,
    /// Ends the peer.
    pub stop: CancellationToken,
    /// When it started.
    pub started: UnixMillis,
    shares: Mutex<ShareList>,
    troubles: Mutex<HashMap<Arc<Path>, String>>,
}

impl PeerState {
    /// A peer that has not begun.
    pub fn new(
        id: PeerId,
        user: Option<UserName>,
        shares: ShareList,
        uploads: Arc<Uploads>,
        stop: CancellationToken,
        started: UnixMillis,
    ) -> Self {
        Self {
            id,
            user,
            url: OnceLock::new(),
            inbox: OnceLock::new(),
            catalogue: Arc::default(),
            partial_files: Arc::default(),
            pending: Arc::default(),
            refusals: Refusals::default(),
            uploads,
            online: watch::Sender::default(),
            scans: watch::Sender::default(),
            hashed: AtomicU64::new(0),
            to_hash: AtomicU64::new(0),
            counted: Registry::new(&[PEER, PROCESS]),
            rescan: Arc::default(),
            stop,
            started,
            shares: Mutex::new(shares),
            troubles: Mutex::default(),
        }
    }

    /// The shares as they are now.
    pub fn shares(&self) -> Vec<Share> {
        lock(&self.shares).all().to_vec()
    }

    /// Shares `path` from now on, with the members of `space`, if one is named. Blocks for a write
    /// to disk.
    ///
    /// # Errors
    /// Those of [`ShareList::add`].
    pub fn share(&self, path: &Path, space: Option<SpaceName>) -> Result<ShareStatus, Problem> {
        let share = {
            let mut shares = lock(&self.shares);
            let share = shares.add(path, space)?;
            self.take_off_what_may_not_be_shown(&shares);
            share
        };
        if let Some(space) = &share.space {
            // It may be taken by now, and the answer is wanted anew.
            self.refusals.forget(space);
            self.note_in_spaces(|noted| *noted == **space);
        }
        self.rescan.notify_one();
        Ok(self.share_status(&share))
    }

    /// Has the directory asked again for what it refused.
    pub fn ask_again(&self) {
        if self.refusals.forget_all() {
            self.note_in_spaces(|_| true);
        }
    }

    fn note_in_spaces(&self, which: impl Fn(&SpaceName) -> bool) {
        let stays = |file: &Served| !file.space.as_deref().is_some_and(&which);
        for path in self.catalogue.paths_where_not(stays) {
            self.pending.note(path);
        }
    }

    /// Puts a file on the shelves, unless it may not be shown like this (any more). Whether that
    /// is news.
    pub fn put(&self, file: Served) -> bool {
        // The lock makes this one step with what `share` and `unshare` do: a file that was found
        // under other terms never gets by.
        let shares = lock(&self.shares);
        shares.admits(&file.root, &file.path, file.space.as_deref()) && self.catalogue.put(file)
    }

    fn take_off_what_may_not_be_shown(&self, shares: &ShareList) {
        let may = |file: &Served| shares.admits(&file.root, &file.path, file.space.as_deref());
        for path in self.catalogue.paths_where_not(may) {
            self.catalogue.remove(&path);
            self.pending.note(path);
        }
    }

    /// Shares `path` no more: what was in it is not served from this moment on.
    ///
    /// # Errors
    /// Those of [`ShareList::remove`].
    pub fn unshare(&self, path: &Path) -> Result<(), Problem> {
        let mut shares = lock(&self.shares);
        shares.remove(path)?;
        self.take_off_what_may_not_be_shown(&shares);
        drop(shares);
        // An outer share may show it now.
        self.rescan.notify_one();
        Ok(())
    }

    /// Notes why shares cannot be read, in place of what was noted before. What is new of it is
    /// logged, so that a share that stays away fills no log.
    pub fn set_troubles(&self, troubles: HashMap<Arc<Path>, String>) {
        let mut noted = lock(&self.troubles);
        for (root, trouble) in &troubles {
            if noted.get(root) != Some(trouble) {
                let shown = root.to_string_lossy();
                warn!("{}: {trouble}", convite_core::display::escape(&shown));
            }
        }
        *noted = troubles;
    }

    /// What a user is told of this peer.
    pub fn status(&self) -> StatusReply {
        let online = self.online.borrow().clone();
        let (files, bytes) = self.catalogue.totals();
        let shares = self.shares();
        let publishing = self.pending.progress().borrow().trouble.clone();
        let trouble = online.trouble.or(publishing);
        let hint = trouble.as_ref().and_then(|problem| problem.hint.clone());
        let mut uploads = self.uploads.transfers();
        for upload in &mut uploads {
            let hash = ContentHash::from_slice(&upload.hash).ok();
            let holders = hash.map(|hash| self.catalogue.by_hash(&hash));
            upload.size = holders
                .and_then(|holders| holders.first().map(|file| file.identity.size))
                .unwrap_or_default();
        }
        StatusReply {
            id: self.id.to_string(),
            user: self
                .user
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            url: self.url.get().cloned().unwrap_or_default(),
            online: online.listed,
            trouble: trouble.map_or_else(String::new, |p| p.message),
            hint: hint.unwrap_or_default(),
            since: online.since.map_or(0, UnixMillis::seconds),
            unpublished: self.pending.count(),
            shares: shares.iter().map(|s| self.share_status(s)).collect(),
            files,
            bytes,
            to_hash: self.to_hash.load(Ordering::Relaxed),
            uploads,
            bytes_served: self.uploads.bytes_served(),
            started_at: self.started.seconds(),
            inbox: self.inbox.get().map(Level::status),
            waiting: u32::try_from(*self.uploads.waiting().borrow()).unwrap_or(u32::MAX),
        }
    }

    fn share_status(&self, share: &Share) -> ShareStatus {
        let refused = share.space.as_ref().and_then(|s| self.refusals.of(s));
        let (trouble, hint) = match refused {
            Some(refused) => (
                format!("the directory refuses it: {}", refused.message),
                refused.hint,
            ),
            None => {
                let trouble = lock(&self.troubles).get(&share.root).cloned();
                let is_away = trouble.is_some() && share.root.symlink_metadata().is_err();
                let hint = is_away.then(|| AWAY.to_owned());
                (trouble.unwrap_or_default(), hint)
            }
        };
        let space = share.space.as_ref();
        ShareStatus {
            name: share.name.clone(),
            folder: share.root.to_string_lossy().into_owned(),
            files: self.catalogue.count_below(&share.root),
            trouble,
            space: space.map_or_else(String::new, ToString::to_string),
            hint: hint.unwrap_or_default(),
        }
    }
}

/// What a user can do about a share that is not there.
const AWAY: &str =
    "it is shared again once it is back; `convite unshare` takes it off the list for good";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::beneath::Identity;
    use crate::serve::uploads::UploadLimits;

    #[test]
    fn what_was_found_under_other_terms_is_not_shown() {
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
        let lab = || Some("lab".parse::<SpaceName>().unwrap());
        let name = state.share(&root, None).unwrap().name;
        let found = |inner: &str, space: Option<SpaceName>| Served {
            path: format!("{name}/{inner}").parse().unwrap(),
            root: root.clone().into(),
            space: space.map(Arc::new),
            identity: Identity {
                device: 1,
                inode: 1,
                size: 1,
                modified_ns: 1,
            },
            hash: ContentHash::of(b"x"),
        };
        assert!(state.put(found("a", None)));
        assert!(state.put(found("inner/b", None)));
        // A scan that began before this goes on with what it knew.
        state.share(&root.join("inner"), lab()).unwrap();
        assert_eq!(state.catalogue.totals().0, 1);
        assert!(!state.put(found("inner/b", None)));
        state.share(&root, lab()).unwrap();
        assert_eq!(state.catalogue.totals().0, 0);
        assert!(!state.put(found("a", None)));
        assert!(state.put(found("a", lab())));
        state.unshare(&root).unwrap();
        assert_eq!(state.catalogue.totals().0, 0);
        assert!(!state.put(found("a", lab())));
    }
}
