//! One remote fetch, from the request until the file is shared.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use convite_core::remote_fetch::{LoadReport, LoadState, RemoteFetch};
use convite_core::{ErrorCode, Problem, SpaceName};
use convite_net::task::blocking;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::context::{FetchContext, RemoteFetches};
use super::download::FetchTarget;
use super::folders;
use super::report::{FetchProgress, report_end, report_progress};
use crate::download::{DownloadResult, TransientPeer};
use crate::home;
use crate::sharing::ingest::{ReceivedContent, ingest};

/// The maximum length in characters of a reason that is passed on.
const REASON_MAX: usize = 300;
/// The time within which a new file should be noticed. After it, a full scan is requested.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait until the existing file is in the catalogue while nothing is being hashed, and
/// until it is published.
const INDEX_TIMEOUT: Duration = Duration::from_secs(10 * 60);
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(30);

/// Performs the remote fetch `order` and reports its progress, until `cancel`, which keeps the
/// downloaded parts.
pub(super) async fn run_job(
    context: Arc<FetchContext>,
    order: RemoteFetch,
    cancel: CancellationToken,
) {
    let loads = &context.loads;
    let (progress, seen) = watch::channel(FetchProgress::default());
    let work = perform(&context, &order, &progress, &cancel);
    tokio::pin!(work);
    let done = tokio::select! {
        done = &mut work => done,
        () = report_progress(loads, order.load, seen) => {
            // The requester cancelled it or the directory dropped it. Wait for a clean end.
            cancel.cancel();
            work.await
        }
    };
    let done = match done {
        Ok(None) => return,
        Ok(Some(bytes)) => Ok(bytes),
        Err(problem) => Err(problem),
    };
    let report = match &done {
        Ok(bytes) => {
            info!(load = %order.load, "remote download finished and shared");
            LoadReport {
                state: LoadState::Done,
                bytes: *bytes,
                rate: 0,
                message: String::new(),
            }
        }
        Err(problem) => {
            warn!(load = %order.load, "remote download failed: {problem}");
            LoadReport {
                state: LoadState::Failed,
                bytes: progress.borrow().bytes,
                rate: 0,
                message: reason(problem),
            }
        }
    };
    tokio::select! {
        () = report_end(loads, order.load, &report) => {}
        () = cancel.cancelled() => {}
    }
}

/// Returns the reason for the requester. It does not reveal local paths.
fn reason(problem: &Problem) -> String {
    let said = match problem.code {
        ErrorCode::NoSpace => "the peer does not have enough disk space",
        ErrorCode::NotFound => "no online peer shares the file",
        ErrorCode::Unavailable => "the peer could not reach any source",
        ErrorCode::CorruptContents => "all sources sent wrong data",
        ErrorCode::PermissionDenied => "the peer does not accept remote downloads from you",
        // The message of a provider or of the quota check.
        ErrorCode::ContentChanged | ErrorCode::ReadFailed | ErrorCode::TooLarge => {
            return problem.message.chars().take(REASON_MAX).collect();
        }
        _ => "the peer could not store the file",
    };
    said.to_owned()
}

/// Returns the size of the file once it is shared; `None` if it was cancelled.
async fn perform(
    context: &FetchContext,
    order: &RemoteFetch,
    progress: &watch::Sender<FetchProgress>,
    cancel: &CancellationToken,
) -> Result<Option<u64>, Problem> {
    let loads = &context.loads;
    if !is_allowed(loads, order) {
        return Err(Problem::new(
            ErrorCode::PermissionDenied,
            format!("'{}' may not request remote downloads", order.user),
        ));
    }
    let stopped = cancel.cancelled();
    let turn = async {
        let alone = context.lock_content(order.hash).await;
        (alone, context.slots.acquire().await)
    };
    let _turn = tokio::select! {
        turn = turn => turn,
        () = stopped => return Ok(None),
    };
    if let Some(size) = is_shared(loads, order) {
        return Ok(Some(size));
    }
    let folder = blocking({
        let (state, base) = (Arc::clone(&loads.state), loads.folder.clone());
        let space = order.space.clone();
        move || folders::folder_for_space(&state, &base, space.as_ref())
    })
    .await?;
    let admit = context
        .quota
        .admission(&order.user, loads.state.user.as_ref());
    let fetching = FetchTarget {
        loads,
        order,
        folder: &folder,
        quota_check: admit.clone(),
    };
    let mut fetched = match fetching.download_with_retry(progress, cancel).await {
        Ok(Some(fetched)) => fetched,
        Ok(None) => return Ok(None),
        Err(problem) => {
            if admit.is_some() {
                // The quota does not cover what remains of an ended remote fetch, so remove it.
                fetching.forget().await;
            }
            return Err(problem);
        }
    };
    if admit.is_some() {
        let (quota, user) = (context.quota.clone(), order.user.clone());
        let (path, bytes) = (fetched.path.clone(), fetched.bytes);
        blocking(move || quota.keep(&user, &path, bytes)).await?;
    }
    drop(admit);
    add_to_catalogue(loads, &fetched).await;
    let shared = tokio::select! {
        shared = wait_published(loads, order) => shared,
        () = cancel.cancelled() => Ok(()),
    };
    if let Some(member) = fetched.member.take() {
        TransientPeer::leave(member).await;
    }
    shared.map(|()| Some(fetched.bytes))
}

/// Returns whether this peer accepts the request. The directory has checked it too, but the peer
/// does not rely on that.
fn is_allowed(loads: &RemoteFetches, order: &RemoteFetch) -> bool {
    let owner = loads.state.user.as_ref();
    owner.is_some_and(|owner| {
        *owner == order.user
            || loads
                .allowed
                .allows(Some(owner), &order.user, &order.user_spaces)
    })
}

/// Returns the size of the file if it is already shared in the space of the copy.
fn is_shared(loads: &RemoteFetches, order: &RemoteFetch) -> Option<u64> {
    let held = loads.state.files.catalogue.by_hash(&order.hash);
    let seen = |space: Option<&SpaceName>| space.is_none() || space == order.space.as_ref();
    let file = held.iter().find(|file| seen(file.space.as_deref()))?;
    Some(file.identity.size)
}

/// Adds the file to the catalogue at once, with its known hashes, so that it need not wait for
/// other files to be hashed. If this fails, a scan finds the file.
async fn add_to_catalogue(loads: &RemoteFetches, fetched: &DownloadResult) {
    let (Some(hashes), Some(identity)) = (&fetched.hashes, fetched.identity) else {
        return;
    };
    let (files, cache) = (loads.state.files.clone(), loads.cache.clone());
    let path = fetched.path.clone();
    let received = ReceivedContent {
        identity,
        pieces: (**hashes).clone(),
        crc32: fetched.crc32,
    };
    let ingested = blocking(move || {
        ingest(&files, &cache, &path, received).map_err(|error| home::disk(&path, &error))
    });
    if let Err(problem) = ingested.await {
        warn!("{problem}");
    }
}

/// Waits until the file is in the catalogue and published to the directory.
async fn wait_published(loads: &RemoteFetches, order: &RemoteFetch) -> Result<(), Problem> {
    let state = &loads.state;
    let mut changes = state.files.catalogue.changes();
    let is_listed = async {
        while is_shared(loads, order).is_none() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::pin!(is_listed);
    if timeout(NOTICE_TIMEOUT, &mut is_listed).await.is_err() {
        // Not all folders can be watched.
        state.files.rescan.notify_one();
        while timeout(INDEX_TIMEOUT, &mut is_listed).await.is_err() {
            // While files wait to be hashed, this one may be among them.
            if state.files.to_hash.load(Ordering::Relaxed) == 0 {
                return Err(Problem::new(
                    ErrorCode::Internal,
                    "the downloaded file was not found by the scan",
                ));
            }
        }
    }
    let mut publishing = state.files.publish_queue.progress();
    let published = publishing.wait_for(|progress| progress.is_published);
    // A directory that cannot be reached now is updated later.
    let _ = timeout(PUBLISH_TIMEOUT, published).await;
    Ok(())
}
