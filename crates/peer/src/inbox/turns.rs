//! Who may work just now: so many files come in at once, and on one upload works one alone.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use convite_core::{ErrorCode, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::lock;

/// Uploads that come in at once: each has up to four pieces in memory.
const AT_ONCE: usize = 32;
/// When to try again if there are as many.
const AGAIN: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Turns {
    slots: Arc<Semaphore>,
    /// Uploads that somebody works on.
    busy: Arc<Mutex<HashSet<String>>>,
}

/// The right to work on an upload, alone, until the last of those who share this is done.
pub(super) struct Busy {
    upload: String,
    busy: Arc<Mutex<HashSet<String>>>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        lock(&self.busy).remove(&self.upload);
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            busy: Arc::default(),
        }
    }
}

impl Turns {
    /// Room to take a file in.
    ///
    /// # Errors
    /// `overloaded` if as many come in as may at once.
    pub(super) fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        self.slots.clone().try_acquire_owned().map_err(|_| {
            Problem::new(
                ErrorCode::Overloaded,
                "this peer takes in as many files as it may at once",
            )
            .hint("try again in a moment")
            .retry_after(AGAIN)
        })
    }

    /// Has an upload to oneself.
    ///
    /// # Errors
    /// `unavailable` if somebody works on it.
    pub(super) fn occupy(&self, upload: &str) -> Result<Arc<Busy>, Problem> {
        let new = lock(&self.busy).insert(upload.to_owned());
        match new {
            true => Ok(Arc::new(Busy {
                upload: upload.to_owned(),
                busy: self.busy.clone(),
            })),
            false => Err(Problem::new(
                ErrorCode::Unavailable,
                "the same upload is under way already",
            )
            .hint("wait for it to end")
            .retry_after(AGAIN)),
        }
    }

    /// Whether somebody works on an upload.
    pub(super) fn is_busy(&self, upload: &str) -> bool {
        lock(&self.busy).contains(upload)
    }
}
