//! Remote fetches: downloads requested by accounts through the directory, which this peer performs
//! and shares.
//!
//! One task follows the directory's list of open requests
//! ([`run_remote_fetches`](RemoteFetches::run_remote_fetches)). Each request has a task (`job`)
//! that checks the requester's permission again, downloads the file into the folder for the copy's
//! space (`folders`), shares it, and reports progress (`report`). After a restart the directory
//! sends all open requests again, and downloads resume. At most `DOWNLOADS_MAX` files are
//! downloaded concurrently, and each content by one task at a time. All tasks end with the peer.

mod context;
mod download;
mod folders;
mod job;
mod quota;
mod report;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use convite_core::Problem;
use convite_core::remote_fetch::{LoadId, RemoteFetch};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::announce::publish::{RETRY_FIRST, RETRY_MAX};
use context::FetchContext;
pub use context::RemoteFetches;

/// How long cancelled jobs may take to save their progress.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// A running job.
struct FetchJob {
    order: RemoteFetch,
    cancel: CancellationToken,
    /// The changed request to start when this job has ended.
    next: Option<RemoteFetch>,
}

/// The running jobs.
struct FetchJobs {
    context: Arc<FetchContext>,
    running: BTreeMap<LoadId, FetchJob>,
    tasks: JoinSet<LoadId>,
}

impl FetchJobs {
    fn take(&mut self, order: RemoteFetch) {
        match self.running.get_mut(&order.load) {
            None => self.begin(order),
            Some(job) if job.order == order => job.next = None,
            Some(job) => {
                job.cancel.cancel();
                job.next = Some(order);
            }
        }
    }

    fn begin(&mut self, order: RemoteFetch) {
        let cancel = self.context.loads.state.stop.child_token();
        let (context, id) = (Arc::clone(&self.context), order.load);
        info!(load = %id, hash = %order.hash, "remote download requested");
        let job = job::run_job(context, order.clone(), cancel.clone());
        self.tasks.spawn(async move {
            job.await;
            id
        });
        let job = FetchJob {
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
            // A panic is logged. The request stays open, and the directory sends it again later.
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }
}

impl RemoteFetches {
    /// Performs remote fetches until the peer stops.
    pub async fn run_remote_fetches(self) {
        let stop = self.state.stop.clone();
        let mut jobs = FetchJobs {
            context: Arc::new(FetchContext::new(self)),
            running: BTreeMap::new(),
            tasks: JoinSet::new(),
        };
        let mut pause = RETRY_FIRST;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                ended = follow(&mut jobs, &mut pause) => {
                    debug!("cannot follow remote downloads: {ended}");
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(RETRY_MAX);
        }
        // Each job has a child of the peer's token and keeps its progress.
        let ended = async { while jobs.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, ended).await;
    }
}

/// Follows the directory's requests until the stream ends. Resets `pause` at each message.
async fn follow(jobs: &mut FetchJobs, pause: &mut Duration) -> Problem {
    let (directory, state) = {
        let loads = &jobs.context.loads;
        (loads.directory.clone(), Arc::clone(&loads.state))
    };
    let mut online = state.registration.state.subscribe();
    let listed = async {
        // Fails only when the peer ends.
        let _ = online.wait_for(|online| online.is_listed).await;
        directory.watch_orders(&state.registration.id).await
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
                    "the directory closed the stream",
                ),
            },
            () = jobs.next() => {}
        }
    }
}
