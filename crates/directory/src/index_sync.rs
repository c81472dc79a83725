//! Index sync: one task that applies the database's change log to the search index.
//!
//! It waits until something is published here, or for [`POLL_INTERVAL`], because another replica
//! may have published; then it applies changes until the index is current. An index that is new, or
//! older than the start of the log, is built from a walk over all contents, and serves searches in
//! the meantime; an interrupted walk resumes. On shutdown, the task stops between two batches.

use std::sync::Arc;
use std::time::Duration;

use convite_core::Problem;
use convite_net::task;
use convite_search::{Document, Progress, SearchIndex};
use convite_store::{ContentDocument, ContentKey};
use tokio_util::sync::CancellationToken;

use crate::Service;
use crate::middleware::admission::RunPermit;

/// Maximum number of contents per batch.
const BATCH: u32 = 10_000;
/// Interval between checks for changes by other replicas.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Pause after a small batch, to collect further changes: each commit has a fixed cost. A single
/// change is applied immediately.
const BATCH_DELAY: Duration = Duration::from_millis(200);
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Applies the change log until `shutdown`; failures are logged and retried.
pub(crate) async fn run_index_sync(service: Arc<Service>, shutdown: CancellationToken) {
    let mut backoff = BACKOFF_MIN;
    while !shutdown.is_cancelled() {
        match catch_up(&service, &shutdown).await {
            Ok(()) => {
                backoff = BACKOFF_MIN;
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = service.wait_published() => {}
                    () = tokio::time::sleep(POLL_INTERVAL) => {}
                }
            }
            Err(problem) => {
                tracing::error!(error = %problem, "cannot update the search index, retrying");
                sleep_or_shutdown(backoff, &shutdown).await;
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
    }
}

/// Applies all pending changes.
async fn catch_up(service: &Service, shutdown: &CancellationToken) -> Result<(), Problem> {
    let index = service.search_index();
    while !shutdown.is_cancelled() {
        let position = match index.progress() {
            Progress::At(position) => position,
            Progress::New => {
                service.set_indexing(true);
                let position = service.store().last_change().await?;
                let after = i64::MIN;
                apply(index, Vec::new(), Progress::Walking { position, after }).await?;
                continue;
            }
            Progress::Walking { position, after } => {
                service.set_indexing(true);
                rebuild_index(service, position, ContentKey(after), shutdown).await?;
                continue;
            }
        };
        let changes = service.store().changes(position, BATCH).await?;
        if changes.lost {
            // Clearing the index resets the position too.
            tracing::info!(
                "the change log does not reach back far enough, rebuilding the search index"
            );
            service.set_indexing(true);
            let index = Arc::clone(index);
            spawn_blocking_work(move || index.clear()).await?;
            continue;
        }
        service.set_indexed_position(position);
        if changes.position <= position && changes.contents.is_empty() {
            service.set_indexing(false);
            return Ok(());
        }
        let few = changes.contents.len() < BATCH as usize / 2;
        let batch = changes
            .contents
            .into_iter()
            .map(|(key, documents)| (key.0, documents.into_iter().map(document).collect()))
            .collect();
        apply(index, batch, Progress::At(changes.position)).await?;
        service.set_indexed_position(changes.position);
        if few {
            sleep_or_shutdown(BATCH_DELAY, shutdown).await;
        }
    }
    Ok(())
}

/// Builds the index from all contents after a key. Changes during the walk are applied afterwards,
/// from `position`, the last change before the walk.
async fn rebuild_index(
    service: &Service,
    position: i64,
    mut after: ContentKey,
    shutdown: &CancellationToken,
) -> Result<(), Problem> {
    let index = service.search_index();
    let mut count = 0;
    while !shutdown.is_cancelled() {
        let contents = service.store().contents(after, BATCH).await?;
        let Some(last) = contents.last() else {
            apply(index, Vec::new(), Progress::At(position)).await?;
            tracing::info!(documents = count, "search index built");
            return Ok(());
        };
        after = last.key;
        count += contents.len();
        let mut batch: Vec<(i64, Vec<Document>)> = Vec::new();
        for content in contents.into_iter().map(document) {
            match batch.last_mut() {
                Some((key, of_key)) if *key == content.key => of_key.push(content),
                _ => batch.push((content.key, vec![content])),
            }
        }
        let after = after.0;
        apply(index, batch, Progress::Walking { position, after }).await?;
    }
    Ok(())
}

fn document(content: ContentDocument) -> Document {
    Document {
        key: content.key.0,
        kind: content.kind,
        space: content.space.0,
        size: content.size,
        modified: content.modified,
        paths: content.paths,
        peers: content.peers.into_iter().map(|key| key.0).collect(),
    }
}

async fn apply(
    index: &Arc<SearchIndex>,
    batch: Vec<(i64, Vec<Document>)>,
    progress: Progress,
) -> Result<(), Problem> {
    let index = Arc::clone(index);
    spawn_blocking_work(move || index.apply(batch, progress)).await
}

async fn sleep_or_shutdown(time: Duration, shutdown: &CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}

/// Runs blocking work, which keeps its turn even if the request is cancelled.
pub(crate) async fn spawn_blocking_work<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let turn = RunPermit::current();
    let work = move || {
        let _turn = turn;
        work()
    };
    task::blocking(work).await
}
