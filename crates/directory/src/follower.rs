//! Keeps the search index behind the database: one task that follows the change log.
//!
//! It sleeps until something is published here, or a moment has passed (another replica may have
//! published), applies what has changed, and goes on until it is level. An index that is new, or
//! so old that the log no longer reaches back, is filled from a walk over all contents, and serves
//! meanwhile; a walk that is cut short goes on where it was. Stops between two batches when told to.

use std::sync::Arc;
use std::time::Duration;

use convite_core::{ErrorCode, Problem};
use convite_search::{Document, Progress, SearchIndex};
use convite_store::{ContentDocument, ContentKey};
use tokio_util::sync::CancellationToken;

use crate::Service;
use crate::gate::admission::Work;

/// The most contents applied at once.
const BATCH: u32 = 10_000;
/// How often to look for what other replicas have published.
const LOOK: Duration = Duration::from_millis(500);
/// After a small batch, for more to come together: each commit costs, however small it is. A change
/// that comes alone is applied at once.
const GATHER: Duration = Duration::from_millis(200);
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Follows the change log until `shutdown`; failures are logged and tried again.
pub(crate) async fn run_follower(service: Arc<Service>, shutdown: CancellationToken) {
    let mut backoff = BACKOFF_MIN;
    while !shutdown.is_cancelled() {
        match catch_up(&service, &shutdown).await {
            Ok(()) => {
                backoff = BACKOFF_MIN;
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = service.published() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            Err(problem) => {
                tracing::error!(error = %problem, "search index does not follow, trying again");
                rest(backoff, &shutdown).await;
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
    }
}

/// Applies changes until there are none left.
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
                walk(service, position, ContentKey(after), shutdown).await?;
                continue;
            }
        };
        let changes = service.store().changes(position, BATCH).await?;
        if changes.lost {
            // Clearing forgets the position too.
            tracing::info!("the change log is too short for the search index, building it anew");
            service.set_indexing(true);
            let index = Arc::clone(index);
            blocking(move || index.clear()).await?;
            continue;
        }
        service.set_followed(position);
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
        service.set_followed(changes.position);
        if few {
            rest(GATHER, shutdown).await;
        }
    }
    Ok(())
}

/// Fills the index from all contents, from one on. What changes during the walk is found by
/// following from `position`, which was the last before it.
async fn walk(
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
    blocking(move || index.apply(batch, progress)).await
}

async fn rest(time: Duration, shutdown: &CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
}

/// Runs what would hold up an async thread.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let turn = Work::current();
    let work = move || {
        let _turn = turn;
        work()
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Problem::new(ErrorCode::Internal, format!("search index: {error}")))?
}
