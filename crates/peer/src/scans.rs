//! When to look at what is shared: at the start, where the system says that something changed, and
//! everywhere from time to time.

use std::sync::Arc;
use std::time::Duration;

use convite_core::Problem;
use tokio::time::Instant;
use tracing::warn;

use crate::indexing::{Indexing, RACY};
use crate::watch::{Look, Watch};

/// Between two looks at everything where not everything can be watched.
const UNWATCHED: Duration = Duration::from_secs(30);
/// Looking at everything takes at most one part in so many of the time.
const SHARE: u32 = 20;

/// Looks until the peer stops: at everything at the start, every `every` and when told
/// ([`crate::state::PeerState::rescan`]), one look at a time.
pub async fn run_scans(indexing: Arc<Indexing>, every: Duration) {
    let state = indexing.state().clone();
    let mut watch = Watch::new();
    let mut look = Look::Everywhere;
    let mut next = Instant::now();
    while !state.stop.is_cancelled() {
        let indexing = indexing.clone();
        match look {
            Look::Everywhere => {
                let (began, looks) = (Instant::now(), indexing.clone());
                let looked = tokio::task::spawn_blocking(move || {
                    // Watched before it is looked at, so that no change falls in between.
                    let watched = watch.follow(&looks.state().shares());
                    warn_of(looks.scan_once());
                    (watched, watch)
                });
                let (watched, back) = looked.await.unwrap_or_else(|error| {
                    warn!("a scan failed: {error}");
                    (false, Watch::new())
                });
                watch = back;
                let every = if watched { every } else { every.min(UNWATCHED) };
                next = Instant::now() + every.max(began.elapsed() * SHARE);
            }
            Look::At(places) => {
                let looks = indexing.clone();
                let looked = tokio::task::spawn_blocking(move || warn_of(looks.look_at(&places)));
                if let Err(error) = looked.await {
                    warn!("a scan failed: {error}");
                }
            }
        }
        // What was hashed while it was fresh is made sure of when it is not.
        let unsure = async {
            match indexing.has_racy() {
                true => tokio::time::sleep(RACY).await,
                false => std::future::pending().await,
            }
        };
        look = tokio::select! {
            () = state.stop.cancelled() => return,
            () = tokio::time::sleep_until(next) => Look::Everywhere,
            () = state.rescan.notified() => Look::Everywhere,
            look = watch.settled() => look,
            () = unsure => Look::At(indexing.racy_places()),
        };
    }
}

fn warn_of(looked: Result<(), Problem>) {
    if let Err(problem) = looked {
        warn!("a scan failed: {problem}");
    }
}
