//! What the tasks of a running peer know in common: its shares, what became of them, and whether
//! the directory lists it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use convite_core::{PeerId, Problem, UnixMillis, UserName};
use convite_metrics::Registry;
use convite_metrics::catalogue::{PEER, PROCESS};
use convite_wire::v1::{ShareStatus, StatusReply};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::catalogue::Catalogue;
use crate::partial_files::PartialFiles;
use crate::publish::Pending;
use crate::serve::uploads::Uploads;
use crate::shares::{Share, ShareList};

/// Whether the directory lists this peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Online {
    /// Whether it does.
    pub listed: bool,
    /// Why not, once that is known.
    pub trouble: Option<Problem>,
}

/// The common knowledge of a peer's tasks.
pub struct PeerState {
    /// This peer's id.
    pub id: PeerId,
    /// Whose it is.
    pub user: Option<UserName>,
    /// Where it is reached, once it listens.
    pub url: OnceLock<String>,
    /// What it serves.
    pub catalogue: Arc<Catalogue>,
    /// What it serves a part of, because it is fetching it.
    pub partial_files: Arc<PartialFiles>,
    /// What the directory has not been told.
    pub pending: Arc<Pending>,
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
            catalogue: Arc::default(),
            partial_files: Arc::default(),
            pending: Arc::default(),
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

    /// Shares `path` from now on. Blocks for a write to disk.
    ///
    /// # Errors
    /// Those of [`ShareList::add`].
    pub fn share(&self, path: &Path) -> Result<ShareStatus, Problem> {
        let share = lock(&self.shares).add(path)?;
        self.rescan.notify_one();
        Ok(self.share_status(&share))
    }

    /// Shares `path` no more: what was in it is not served from this moment on.
    ///
    /// # Errors
    /// Those of [`ShareList::remove`].
    pub fn unshare(&self, path: &Path) -> Result<(), Problem> {
        let share = lock(&self.shares).remove(path)?;
        for path in self.catalogue.paths_where_not(|f| f.root != share.root) {
            self.catalogue.remove(&path);
            self.pending.note(path);
        }
        // A scan under way may have put some back: the next one takes them off.
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
        StatusReply {
            id: self.id.to_string(),
            user: self
                .user
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            url: self.url.get().cloned().unwrap_or_default(),
            online: online.listed,
            trouble: online.trouble.map_or_else(String::new, |p| p.message),
            shares: shares.iter().map(|s| self.share_status(s)).collect(),
            files,
            bytes,
            to_hash: self.to_hash.load(Ordering::Relaxed),
            uploads: self.uploads.transfers(),
            bytes_served: self.uploads.bytes_served(),
            started_at: self.started.seconds(),
            waiting: u32::try_from(*self.uploads.waiting().borrow()).unwrap_or(u32::MAX),
        }
    }

    fn share_status(&self, share: &Share) -> ShareStatus {
        let trouble = lock(&self.troubles).get(&share.root).cloned();
        ShareStatus {
            name: share.name.clone(),
            folder: share.root.to_string_lossy().into_owned(),
            files: self.catalogue.count_below(&share.root),
            trouble: trouble.unwrap_or_default(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
