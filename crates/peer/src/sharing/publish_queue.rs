//! The queue of files whose published entry may be outdated, and the state of publishing.
//!
//! Scans, uploads and changes of the shares add paths. The publisher
//! ([`crate::announce::publish`]) takes them in batches.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use convite_core::{Problem, SafePath};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, watch};

/// The maximum number of files in one change, and in one batch of the whole index.
pub(crate) const BATCH: usize = 5000;

/// The state of publishing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishState {
    /// Whether all queued changes are published.
    pub is_published: bool,
    /// The error of the last attempt, if it failed.
    pub problem: Option<Problem>,
}

/// Changes that are not published yet.
pub struct PublishQueue {
    paths: Mutex<HashSet<SafePath>>,
    news: Notify,
    needs_full: AtomicBool,
    flush: AtomicBool,
    progress: watch::Sender<PublishState>,
}

impl Default for PublishQueue {
    fn default() -> Self {
        Self {
            paths: Mutex::default(),
            news: Notify::new(),
            needs_full: AtomicBool::new(false),
            flush: AtomicBool::new(false),
            progress: watch::Sender::new(PublishState {
                is_published: true,
                problem: None,
            }),
        }
    }
}

impl PublishQueue {
    /// Queues `path`: it may differ from what is published.
    pub fn add(&self, path: SafePath) {
        self.paths().insert(path);
        self.outdate();
    }

    /// Queues paths that could not be published. They wait for the next attempt.
    pub(crate) fn put_back(&self, paths: Vec<SafePath>) {
        self.paths().extend(paths);
    }

    /// Requests that the whole index is published.
    pub fn request_full(&self) {
        self.needs_full.store(true, Ordering::SeqCst);
        self.outdate();
    }

    /// Returns whether the whole index must be published.
    pub(crate) fn needs_full(&self) -> bool {
        self.needs_full.load(Ordering::SeqCst)
    }

    /// Notes that the whole index is being sent. A later request requires another full publication.
    pub(crate) fn full_began(&self) {
        self.needs_full.store(false, Ordering::SeqCst);
    }

    /// Publishes queued paths without collecting more, because no more are expected soon.
    pub fn flush(&self) {
        self.flush.store(true, Ordering::SeqCst);
        self.news.notify_one();
    }

    /// Returns a receiver for the state of publishing.
    pub fn progress(&self) -> watch::Receiver<PublishState> {
        self.progress.subscribe()
    }

    /// Returns the number of queued paths.
    pub fn count(&self) -> u64 {
        self.paths().len() as u64
    }

    fn outdate(&self) {
        self.progress
            .send_if_modified(|progress| std::mem::replace(&mut progress.is_published, false));
        self.news.notify_one();
    }

    fn is_empty(&self) -> bool {
        self.paths().is_empty() && !self.needs_full()
    }

    /// Waits for something to publish, then at most `time` to collect more.
    pub(crate) async fn collect(&self, time: Duration) {
        while self.is_empty() {
            self.news.notified().await;
        }
        let enough = async {
            while !self.flush.swap(false, Ordering::SeqCst) && self.paths().len() < BATCH {
                self.news.notified().await;
            }
        };
        // A timeout is the normal case.
        let _ = tokio::time::timeout(time, enough).await;
    }

    /// Takes up to [`BATCH`] paths, in order, which is fastest for the directory's database.
    /// Returns also whether paths are left; those are not collected for longer.
    pub(crate) fn take(&self) -> (Vec<SafePath>, bool) {
        let mut paths = self.paths();
        let mut taken: Vec<SafePath> = if paths.len() <= BATCH {
            std::mem::take(&mut *paths).into_iter().collect()
        } else {
            let some: Vec<_> = paths.iter().take(BATCH).cloned().collect();
            for path in &some {
                paths.remove(path);
            }
            some
        };
        let has_more = !paths.is_empty();
        drop(paths);
        if has_more {
            self.flush.store(true, Ordering::SeqCst);
        }
        taken.sort_unstable();
        (taken, has_more)
    }

    /// Records the result of an attempt.
    pub(crate) fn finish(&self, result: Result<(), Problem>) {
        let paths = self.paths();
        let progress = PublishState {
            is_published: paths.is_empty() && !self.needs_full() && result.is_ok(),
            problem: result.err(),
        };
        // Under the lock, so that a later change sets `is_published` to false after this.
        self.progress.send_if_modified(|old| {
            let changed = *old != progress;
            *old = progress;
            changed
        });
    }

    fn paths(&self) -> MutexGuard<'_, HashSet<SafePath>> {
        self.paths.lock()
    }
}
