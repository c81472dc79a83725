//! The state of this process, as used by the readiness checks.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use parking_lot::Mutex as StdMutex;
use tokio::sync::Mutex;

/// The directory's state as used by the checks.
pub(crate) struct ReadinessState {
    pub(crate) stopping: AtomicBool,
    /// Whether the search index is being built, or has not reached the end of the change log.
    pub(crate) indexing: AtomicBool,
    /// When it was last current; initially the start of the directory.
    pub(crate) level: StdMutex<Instant>,
    /// Result and time of the last write check.
    pub(crate) writes: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Default for ReadinessState {
    fn default() -> Self {
        Self {
            stopping: AtomicBool::new(false),
            indexing: AtomicBool::new(true),
            level: StdMutex::new(Instant::now()),
            writes: Mutex::default(),
        }
    }
}
