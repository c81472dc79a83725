//! Starts the tasks of a peer and stops them.
//!
//! Tasks: those of its node ([`crate::node`]), *scans*, *folders*, *mounts*, *publishing*, *loads*
//! and *sweeps*. All tasks end when the shutdown token is cancelled, by the caller or by
//! `convite leave`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use convite_client::{DirectoryClient, Home};
use convite_core::{ErrorCode, PeerId, Problem};
use convite_net::task::{self, blocking};
use tokio_util::sync::CancellationToken;

use crate::announce::directory::Directory;
use crate::announce::presence::IdentityKey;
use crate::announce::publish::Publisher;
use crate::config::PeerConfig;
use crate::download::unfinished::run_sweeps;
use crate::home::PeerHome;
use crate::node::state::PeerState;
use crate::node::{Node, NodeConfig, Storage};
use crate::remote_fetch::RemoteFetches;
use crate::sharing::cache::Cache;
use crate::sharing::folders::run_folders;
use crate::sharing::indexing::Indexer;
use crate::sharing::partial_files::PartialFiles;
use crate::sharing::scan_schedule::{run_mounts, run_scans};
use crate::sharing::shares::ShareList;

/// The activity of a peer, as `convite status` shows it.
pub type Status = convite_wire::v1::StatusReply;

/// A running peer. Dropping this does not stop it.
pub struct RunningPeer {
    /// The peer's id.
    pub id: PeerId,
    /// The peer's URL: `https://HOST:PORT`.
    pub url: String,
    /// The address of the listener.
    pub address: SocketAddr,
    /// The address of the separate metrics listener, if there is one.
    pub monitoring: Option<SocketAddr>,
    node: Node,
}

/// Starts a peer. On return, it listens and has tried to register.
///
/// # Errors
/// Returns `in_use` if another peer runs on the home or no port is free, `not_found` if a share
/// does not exist, and the directory's permanent refusals (`peer_taken`, `unauthenticated`, …).
pub async fn start(
    config: PeerConfig,
    directory: DirectoryClient,
    shutdown: CancellationToken,
) -> Result<RunningPeer, Problem> {
    start_with(config, Arc::new(directory), shutdown).await
}

/// Same as [`start`], with any implementation of [`Directory`].
///
/// # Errors
/// Same as [`start`].
pub async fn start_with(
    config: PeerConfig,
    directory: Arc<dyn Directory>,
    shutdown: CancellationToken,
) -> Result<RunningPeer, Problem> {
    // A child token: if this peer stops, the caller's other tasks continue.
    let stop = shutdown.child_token();
    let storage = blocking({
        let (folder, paths) = (config.home.clone(), config.shares.clone());
        move || match folder {
            Some(folder) => open_storage(&folder, &paths),
            None => Storage::transient(),
        }
    })
    .await?;
    let cache = storage.cache.clone();
    let node_config = NodeConfig {
        id: config.id.clone(),
        bind: config.bind,
        ports: config.ports.clone(),
        addresses: config.addresses.clone(),
        uploads: config.upload_limits(),
        metrics_listen: config.metrics_listen,
        terms: config.terms.clone(),
        inbox: config.inbox.clone(),
    };
    let mut node = Node::start(node_config, storage, directory.clone(), stop.clone()).await?;
    if config.home.is_some() {
        let started = start_sharing(&mut node, &config, directory, cache);
        started.inspect_err(|_| stop.cancel())?;
    }
    Ok(RunningPeer {
        id: config.id,
        url: node.url.clone(),
        address: node.address,
        monitoring: node.monitoring,
        node,
    })
}

/// Starts the tasks of a peer that shares files.
fn start_sharing(
    node: &mut Node,
    config: &PeerConfig,
    directory: Arc<dyn Directory>,
    cache: Arc<Cache>,
) -> Result<(), Problem> {
    let state = node.state.clone();
    let indexing = Arc::new(Indexer::new(state.files.clone(), cache.clone())?);
    if let Some(loads) = RemoteFetches::from_config(config, directory.client(), &state, &cache)? {
        node.add_task("loads", task::spawn("loads", loads.run_remote_fetches()));
    }
    if let Some(folder) = &config.home {
        let sweeps = run_sweeps(Home::open(folder.clone())?, state.stop.clone());
        node.add_task("sweeps", task::spawn("sweeps", sweeps));
    }
    let publisher = Publisher {
        directory,
        registration: state.registration.clone(),
        files: state.files.clone(),
        cache,
    };
    node.add_task(
        "publishing",
        task::spawn("publishing", publisher.run_publisher()),
    );
    node.add_task(
        "scans",
        task::spawn("scans", run_scans(indexing, config.rescan)),
    );
    node.add_task(
        "folders",
        task::spawn("folders", run_folders(state.files.clone())),
    );
    node.add_task(
        "mounts",
        task::spawn("mounts", run_mounts(state.files.clone())),
    );
    Ok(())
}

fn open_storage(folder: &Path, shares: &[PathBuf]) -> Result<Storage, Problem> {
    let home = Arc::new(PeerHome::open(folder)?);
    let mut list = ShareList::load(home.path("shares.json"))?;
    for path in shares {
        // A share whose disk is not mounted must not keep the peer from starting.
        if !list.is_unmounted(path) {
            list.add(path, None)?;
        }
    }
    Ok(Storage {
        cache: Arc::new(Cache::open(&home.path("cache.redb"))?),
        key: IdentityKey::load(&home.path("identity.key"))?,
        shares: list,
        home: Some(home),
    })
}

impl RunningPeer {
    /// Waits until all files found at the start are hashed and published. Returns the number of
    /// shared files.
    ///
    /// # Errors
    /// Returns `unavailable` if the directory cannot be reached or the peer is stopped, and
    /// otherwise the directory's refusal. Except when it is stopped, the peer keeps running and
    /// retries.
    pub async fn first_scan_done(&mut self) -> Result<u64, Problem> {
        let stopped = || Problem::new(ErrorCode::Unavailable, "the peer was stopped");
        let mut scans = self.node.state.files.scans.subscribe();
        tokio::select! {
            scanned = scans.wait_for(|scans| *scans > 0) => {
                scanned.map_err(|_| stopped())?;
            }
            () = self.node.state.stop.cancelled() => return Err(stopped()),
        }
        let mut progress = self.node.state.files.publish_queue.progress();
        let mut online = self.node.state.registration.state.subscribe();
        loop {
            let (is_published, problem) = {
                let progress = progress.borrow_and_update();
                (progress.is_published, progress.problem.clone())
            };
            let now = online.borrow_and_update().clone();
            if is_published && now.is_listed {
                return Ok(self.node.state.files.catalogue.totals().0);
            }
            if let Some(problem) = now.problem.or(problem) {
                return Err(problem);
            }
            tokio::select! {
                _ = progress.changed() => {}
                _ = online.changed() => {}
                () = self.node.state.stop.cancelled() => return Err(stopped()),
            }
        }
    }

    /// Returns whether the peer is stopping.
    pub fn is_stopping(&self) -> bool {
        self.node.state.stop.is_cancelled()
    }

    /// Waits until the registration or the publishing state changes or the peer is stopped, for 1 s
    /// at most.
    pub async fn changed(&self) {
        /// A change just before the call is noticed after this time.
        const POLL_INTERVAL: Duration = Duration::from_secs(1);
        let mut online = self.node.state.registration.state.subscribe();
        let mut progress = self.node.state.files.publish_queue.progress();
        tokio::select! {
            _ = online.changed() => {}
            _ = progress.changed() => {}
            () = self.node.state.stop.cancelled() => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
    }

    /// Returns the peer's activity.
    pub fn status(&self) -> Status {
        self.node.state.status()
    }

    /// Returns the number of files that were hashed since the start.
    pub fn hashed(&self) -> u64 {
        self.node.state.files.hashed.load(Ordering::Relaxed)
    }

    /// Returns the files that the peer serves while it downloads them. Downloads register their
    /// files there.
    pub fn partial_files(&self) -> &Arc<PartialFiles> {
        &self.node.state.files.partial_files
    }

    /// Returns the state shared by the peer's tasks.
    pub fn state(&self) -> &Arc<PeerState> {
        &self.node.state
    }

    /// Waits until the peer is stopped and its tasks have ended, 10 s at most after the stop.
    ///
    /// # Errors
    /// Returns `internal` if a task failed.
    pub async fn finished(self) -> Result<(), Problem> {
        self.node.finished().await
    }
}
