//! Loads: fetching what somebody asks of this peer through the directory, and sharing it.
//!
//! One task follows what the directory says is open ([`run`](Loads::run_loads)), and for each load
//! there is one of its own (`job`), which checks once more whether the peer does this for whoever
//! asks, fetches the file into the folder of the space that the copy is to lie in (`folders`), shares
//! it, and says all along how far it is (`telling`). A peer that was killed is told
//! of everything open again when it is back, and goes on with what is on disk. `AT_ONCE` files are
//! fetched at a time, and one content once at a time. All of it ends with the peer.

mod folders;
mod job;
mod telling;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use convite_client::{DirectoryClient, Home};
use convite_core::loads::{LoadId, LoadOrder};
use convite_core::{Allowed, ContentHash, Problem};
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::cache::Cache;
use crate::config::PeerConfig;
use crate::publish::{RETRY_FIRST, RETRY_MAX};
use crate::state::PeerState;

/// Files that are fetched at once.
const AT_ONCE: usize = 4;
/// Jobs that are being given up have so long to keep what they have.
const GRACE: Duration = Duration::from_secs(5);

/// What loading needs.
pub struct Loads {
    /// Whom to follow.
    pub directory: DirectoryClient,
    /// Whose peer this is, and what it shares.
    pub state: Arc<PeerState>,
    /// Where the hashes of what was fetched go.
    pub cache: Arc<Cache>,
    /// Where unfinished downloads are kept.
    pub home: Home,
    /// Where files go: each space has a folder in it.
    pub folder: PathBuf,
    /// Who may ask, besides the peer's own account.
    pub allowed: Allowed,
    /// Where to provide from while fetching.
    pub bind: IpAddr,
    /// The most bytes a second to send while fetching.
    pub upload_limit: Option<u64>,
}

/// What the jobs have in common.
struct Shop {
    loads: Loads,
    slots: Semaphore,
    /// Contents that a job is at, or waits for.
    busy: Mutex<HashMap<ContentHash, Arc<tokio::sync::Mutex<()>>>>,
}

impl Shop {
    /// Waits until no other job is at that content.
    async fn alone_with(&self, hash: ContentHash) -> OwnedMutexGuard<()> {
        let turn = {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            busy.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(busy.entry(hash).or_default())
        };
        turn.lock_owned().await
    }
}

/// A job that runs.
struct Job {
    order: LoadOrder,
    cancel: CancellationToken,
    /// What is to be done when it has ended: the order has changed meanwhile.
    next: Option<LoadOrder>,
}

/// The jobs that run.
struct Jobs {
    shop: Arc<Shop>,
    running: BTreeMap<LoadId, Job>,
    tasks: JoinSet<LoadId>,
}

impl Jobs {
    fn take(&mut self, order: LoadOrder) {
        match self.running.get_mut(&order.load) {
            None => self.begin(order),
            Some(job) if job.order == order => job.next = None,
            Some(job) => {
                job.cancel.cancel();
                job.next = Some(order);
            }
        }
    }

    fn begin(&mut self, order: LoadOrder) {
        let cancel = self.shop.loads.state.stop.child_token();
        let (shop, id) = (Arc::clone(&self.shop), order.load);
        info!(load = %id, hash = %order.hash, "asked to load a file");
        let job = job::run_job(shop, order.clone(), cancel.clone());
        self.tasks.spawn(async move {
            job.await;
            id
        });
        let job = Job {
            order,
            cancel,
            next: None,
        };
        self.running.insert(id, job);
    }

    /// Waits for a job to end; pending while there is none.
    async fn next(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(id)) => {
                if let Some(next) = self.running.remove(&id).and_then(|job| job.next) {
                    self.begin(next);
                }
            }
            // A task that panicked has said so; its load is open, and told again some day.
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }
}

impl Loads {
    /// What a peer of that configuration needs; none for one that is transient, or has no directory
    /// to follow.
    ///
    /// # Errors
    /// `internal` if its home cannot be used.
    pub fn of(
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
        }))
    }

    /// Loads until the peer stops.
    pub async fn run_loads(self) {
        let stop = self.state.stop.clone();
        let mut jobs = Jobs {
            shop: Arc::new(Shop {
                loads: self,
                slots: Semaphore::new(AT_ONCE),
                busy: Mutex::default(),
            }),
            running: BTreeMap::new(),
            tasks: JoinSet::new(),
        };
        let mut pause = RETRY_FIRST;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                ended = follow(&mut jobs, &mut pause) => {
                    debug!("not told of loads: {ended}");
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(RETRY_MAX);
        }
        // Each has a token of the peer's, and keeps what it has.
        let ended = async { while jobs.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(GRACE, ended).await;
    }
}

/// Follows what the directory says until that ends; `pause` begins anew once it says something.
async fn follow(jobs: &mut Jobs, pause: &mut Duration) -> Problem {
    let (directory, state) = {
        let loads = &jobs.shop.loads;
        (loads.directory.clone(), Arc::clone(&loads.state))
    };
    let mut online = state.online.subscribe();
    let listed = async {
        // The peer's own state ends with the peer.
        let _ = online.wait_for(|online| online.listed).await;
        directory.watch_orders(&state.id).await
    };
    tokio::pin!(listed);
    let mut orders = loop {
        tokio::select! {
            watched = &mut listed => match watched {
                Ok(orders) => break orders,
                Err(problem) => return problem,
            },
            () = jobs.next() => {}
        }
    };
    loop {
        tokio::select! {
            told = orders.next() => match told {
                Some(Ok(told)) => {
                    *pause = RETRY_FIRST;
                    told.into_iter().for_each(|order| jobs.take(order));
                }
                Some(Err(problem)) => return problem,
                None => return Problem::new(
                    convite_core::ErrorCode::Unavailable,
                    "the directory has stopped",
                ),
            },
            () = jobs.next() => {}
        }
    }
}
