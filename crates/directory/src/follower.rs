//! Keeps the search index behind the database: one task that follows the change log.
//!
//! It sleeps until something is published here, or a moment has passed (another replica may have
//! published), applies what has changed, and goes on until it is level. An index that is new, or
//! so old that the log no longer reaches back, is filled from a walk over all contents, and serves
//! meanwhile. Stops between two batches when told to.

use std::sync::Arc;
use std::time::Duration;

use convite_core::{ErrorCode, Problem};
use convite_search::{Document, SearchIndex};
use convite_store::{ContentDocument, ContentKey, SpaceKey};
use tokio_util::sync::CancellationToken;

use crate::Service;
use crate::gate::admission::Work;

/// The most contents applied at once.
const BATCH: u32 = 10_000;
/// How often to look for what other replicas have published.
const LOOK: Duration = Duration::from_millis(500);
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Follows the change log until `shutdown`; failures are logged and tried again.
pub(crate) async fn run_follower(service: Arc<Service>, shutdown: CancellationToken) {
    let mut backoff = BACKOFF_MIN;
    while !shutdown.is_cancelled() {
        match catch_up(&service, &shutdown).await {
            Ok(()) => {
                backoff = BACKOFF_MIN;
                service.set_caught_up();
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = service.published() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
            Err(problem) => {
                tracing::error!(error = %problem, "search index does not follow, trying again");
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(backoff) => {}
                }
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
        }
    }
}

/// Applies changes until there are none left.
async fn catch_up(service: &Service, shutdown: &CancellationToken) -> Result<(), Problem> {
    let index = service.search_index();
    while !shutdown.is_cancelled() {
        let Some(position) = index.position() else {
            rebuild(service, shutdown).await?;
            continue;
        };
        let changes = service.store().changes(position, BATCH).await?;
        if changes.lost {
            // Clearing forgets the position too: a rebuild that is cut short begins anew.
            tracing::info!("the change log is too short for the search index, building it anew");
            let index = Arc::clone(index);
            blocking(move || index.clear()).await?;
            continue;
        }
        service.set_followed(position);
        if changes.position <= position && changes.contents.is_empty() {
            return Ok(());
        }
        let batch = changes
            .contents
            .into_iter()
            .map(|(key, documents)| (key.0, open_to_all(documents)))
            .collect();
        apply(index, batch, Some(changes.position)).await?;
    }
    Ok(())
}

/// Fills the index from all contents. What changes during the walk is found by following from the
/// position that was the last before it.
async fn rebuild(service: &Service, shutdown: &CancellationToken) -> Result<(), Problem> {
    let index = service.search_index();
    let position = service.store().last_change().await?;
    let mut after = ContentKey(i64::MIN);
    let mut count = 0;
    while !shutdown.is_cancelled() {
        let contents = service.store().contents(after, BATCH).await?;
        let Some(last) = contents.last() else {
            apply(index, Vec::new(), Some(position)).await?;
            tracing::info!(contents = count, "search index built");
            return Ok(());
        };
        after = last.key;
        count += contents.len();
        let batch = contents
            .into_iter()
            .filter(|content| content.space == SpaceKey::EVERYONE)
            .map(|content| (content.key.0, Some(document(content))))
            .collect();
        // Without a position until the end: one that is cut short begins anew.
        apply(index, batch, None).await?;
    }
    Ok(())
}

/// What of a content may be found by all: names in spaces are not in this index.
fn open_to_all(documents: Vec<ContentDocument>) -> Option<Document> {
    let mut documents = documents.into_iter();
    documents
        .find(|document| document.space == SpaceKey::EVERYONE)
        .map(document)
}

fn document(content: ContentDocument) -> Document {
    Document {
        key: content.key.0,
        size: content.size,
        paths: content.paths,
        peers: content.peers.into_iter().map(|key| key.0).collect(),
    }
}

async fn apply(
    index: &Arc<SearchIndex>,
    batch: Vec<(i64, Option<Document>)>,
    position: Option<i64>,
) -> Result<(), Problem> {
    let index = Arc::clone(index);
    blocking(move || index.apply(batch, position)).await
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
