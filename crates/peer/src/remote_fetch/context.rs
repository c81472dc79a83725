//! The dependencies of remote fetches, and the state shared by their jobs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use convite_client::{DirectoryClient, Home};
use convite_core::{AccessList, ContentHash, Problem};
use parking_lot::Mutex;
use tokio::sync::{OwnedMutexGuard, Semaphore};

use super::quota::FetchQuota;
use crate::config::PeerConfig;
use crate::node::state::PeerState;
use crate::sharing::cache::Cache;

/// The number of concurrent downloads.
const DOWNLOADS_MAX: usize = 4;

/// The dependencies and settings of remote fetches.
pub struct RemoteFetches {
    /// The directory to follow.
    pub directory: DirectoryClient,
    /// The peer's shared state.
    pub state: Arc<PeerState>,
    /// Stores the hashes of downloaded files.
    pub cache: Arc<Cache>,
    /// The home, which records unfinished downloads.
    pub home: Home,
    /// The base folder for files, with a folder for each space.
    pub folder: PathBuf,
    /// The accounts that may request remote fetches, besides the peer's own.
    pub allowed: AccessList,
    /// The address to serve from while downloading.
    pub bind: IpAddr,
    /// The upload limit while downloading, in bytes per second.
    pub upload_limit: Option<u64>,
    /// The maximum number of bytes stored for each other account.
    pub quota: u64,
    /// How long an unfinished download is kept.
    pub retention: Duration,
}

impl RemoteFetches {
    /// Returns the dependencies for a peer with this configuration; `None` if it is transient or
    /// has no directory client.
    ///
    /// # Errors
    /// Returns `internal` if its home cannot be used.
    pub fn from_config(
        config: &PeerConfig,
        directory: Option<DirectoryClient>,
        state: &Arc<PeerState>,
        cache: &Arc<Cache>,
    ) -> Result<Option<Self>, Problem> {
        let (Some(directory), Some(home)) = (directory, &config.home) else {
            return Ok(None);
        };
        let home = Home::open(home.clone())?;
        let folder = config.downloads.clone();
        Ok(Some(Self {
            directory,
            state: Arc::clone(state),
            cache: Arc::clone(cache),
            folder: folder.unwrap_or_else(|| home.root().join("loads")),
            home,
            allowed: config.terms.loads.clone(),
            bind: config.bind,
            upload_limit: config.upload_limit,
            quota: config.load_quota,
            retention: config.download_retention,
        }))
    }
}

/// State shared by the jobs.
pub(super) struct FetchContext {
    pub(super) loads: RemoteFetches,
    pub(super) quota: Arc<FetchQuota>,
    pub(super) slots: Semaphore,
    /// Content hashes that a job is downloading or waits for.
    busy: Mutex<HashMap<ContentHash, Arc<tokio::sync::Mutex<()>>>>,
}

impl FetchContext {
    pub(super) fn new(loads: RemoteFetches) -> Self {
        Self {
            quota: FetchQuota::open(loads.home.peer().join("loaded.json"), loads.quota),
            loads,
            slots: Semaphore::new(DOWNLOADS_MAX),
            busy: Mutex::default(),
        }
    }

    /// Waits until no other job downloads this content.
    pub(super) async fn lock_content(&self, hash: ContentHash) -> OwnedMutexGuard<()> {
        let turn = {
            let mut busy = self.busy.lock();
            busy.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(busy.entry(hash).or_default())
        };
        turn.lock_owned().await
    }
}
