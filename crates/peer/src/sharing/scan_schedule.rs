//! Schedules scans: a full scan at the start and periodically, and partial scans where the system
//! reports changes.
//!
//! Two tasks, `run_scans` and `run_mounts`. Both end when the peer stops.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use convite_core::Problem;
use convite_net::task;
use tokio::time::Instant;
use tracing::warn;

use crate::fs::mounts::{self, MountWatch};
use crate::sharing::changed_places::ScanScope;
use crate::sharing::indexing::{Indexer, REHASH_DELAY};
use crate::sharing::shared_files::SharedFiles;
use crate::sharing::shares::Share;
use crate::sharing::watch::ShareWatcher;

/// The time between two full scans while some folders cannot be watched.
const UNWATCHED_INTERVAL: Duration = Duration::from_secs(30);
/// The time between two checks of the mount table.
const MOUNT_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// The delay before a full scan after a failed scan.
const RETRY: Duration = Duration::from_secs(5);
/// Full scans take at most one part in this many of the time.
const DUTY_CYCLE: u32 = 20;

/// Scans until the peer stops: everything at the start, every `every` and on request
/// ([`SharedFiles::rescan`]), and changed places in between. One scan runs at a time.
pub async fn run_scans(indexing: Arc<Indexer>, every: Duration) {
    let files = indexing.files().clone();
    let mut watch = ShareWatcher::new(files.changed_places.clone());
    let mut look = ScanScope::All;
    let mut next = Instant::now();
    while !files.stop.is_cancelled() {
        let indexing = indexing.clone();
        match look {
            ScanScope::All => {
                let (began, looks) = (Instant::now(), indexing.clone());
                let looked = task::start_blocking(move || {
                    // Watch first, then scan, so that no change in between is missed.
                    let followed = watch.watch_shares(&looks.files().shares());
                    looks.files().set_unwatched(followed.unwatched);
                    let done = is_done(looks.scan_all());
                    (followed.all, done, watch)
                });
                let (watched, done, back) = looked.await.unwrap_or_else(|error| {
                    warn!("a scan failed: {error}");
                    (
                        false,
                        false,
                        ShareWatcher::new(files.changed_places.clone()),
                    )
                });
                watch = back;
                let every = if watched {
                    every
                } else {
                    every.min(UNWATCHED_INTERVAL)
                };
                let every = if done { every } else { every.min(RETRY) };
                next = Instant::now() + every.max(began.elapsed() * DUTY_CYCLE);
            }
            ScanScope::Places(places) => {
                let looks = indexing.clone();
                let looked = task::start_blocking(move || is_done(looks.scan_places(&places)));
                let done = looked.await.unwrap_or_else(|error| {
                    warn!("a scan failed: {error}");
                    false
                });
                if !done {
                    next = next.min(Instant::now() + RETRY);
                }
            }
        }
        // Files that were just modified when they were hashed are hashed again later.
        let unsure = async {
            if indexing.has_files_to_rehash() {
                tokio::time::sleep(REHASH_DELAY).await
            } else {
                std::future::pending().await
            }
        };
        look = tokio::select! {
            () = files.stop.cancelled() => return,
            () = tokio::time::sleep_until(next) => ScanScope::All,
            () = files.rescan.notified() => ScanScope::All,
            look = watch.next_scope() => look,
            () = unsure => ScanScope::Places(indexing.places_to_rehash()),
        };
    }
}

fn is_done(looked: Result<(), Problem>) -> bool {
    if let Err(problem) = &looked {
        warn!("a scan failed: {problem}");
    }
    looked.is_ok()
}

/// Follows the mount table until the peer stops: it tells of changes, and is read periodically
/// where it does not. When a file system is unmounted, its files are
/// removed from the index at once, even while a scan is hashing, and a scan follows.
pub async fn run_mounts(files: Arc<SharedFiles>) {
    let mut known = None;
    let mut ticks = tokio::time::interval(MOUNT_CHECK_INTERVAL);
    let mut watch = MountWatch::new().ok();
    loop {
        tokio::select! {
            () = files.stop.cancelled() => return,
            _ = ticks.tick() => {}
            () = table_change(&mut watch) => {}
        }
        let shared = files.clone();
        let before = known.take();
        let looked = task::start_blocking(move || {
            let now = mounted(&shared.shares());
            if before.is_some_and(|before| before != now) {
                shared.update_mounts();
                shared.rescan.notify_one();
            }
            now
        });
        known = looked.await.ok();
    }
}

/// Waits until the mount table changes. Never returns if the system does not tell.
async fn table_change(watch: &mut Option<MountWatch>) {
    if let Some(table) = watch
        && table.changed().await.is_ok()
    {
        return;
    }
    *watch = None;
    std::future::pending().await
}

/// Returns the hash of the mounts that concern the shares; `None` if the system has no mount table.
fn mounted(shares: &[Share]) -> Option<blake3::Hash> {
    let roots: Vec<&Path> = shares.iter().map(|share| &*share.root).collect();
    mounts::mount_table_hash(&roots)
}
