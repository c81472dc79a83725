//! Readiness checks.
//!
//! The directory is ready if the database answers and accepts writes, the directory's certificate
//! is valid now, and the directory has not been asked to stop. The state of the search index is
//! reported, but does not affect readiness: the directory serves requests while the index is built.
//! Whether the tables are up to date needs no check: the directory starts only after they are.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use convite_core::{ErrorCode, Problem};
use convite_search::Progress;

use super::Service;

/// How long the result of a write check is reused: it costs a write, and requires no session.
const CHECK_LIFETIME: Duration = Duration::from_secs(1);
/// Timeout of a database query.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How far the search index is behind the database.
pub(super) struct Lag {
    pub(super) changes: u64,
    pub(super) time: Duration,
}

/// The results of all checks, in order: the name of each, and its state or failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// `process`, `certificate`, `database`, `writes`, `search`.
    pub checks: Vec<(&'static str, Result<&'static str, String>)>,
}

impl Readiness {
    /// Returns whether every check passed.
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|(_, outcome)| outcome.is_ok())
    }

    /// Returns the state of each check.
    ///
    /// # Errors
    /// Returns `unavailable`, with the failed checks and their reasons.
    pub fn ready(self) -> Result<Vec<(&'static str, &'static str)>, Problem> {
        let mut passed = Vec::new();
        let mut failed = Vec::new();
        for (name, outcome) in self.checks {
            match outcome {
                Ok(so) => passed.push((name, so)),
                Err(why) => failed.push(format!("{name}: {why}")),
            }
        }
        if failed.is_empty() {
            return Ok(passed);
        }
        let message = format!("the directory is not ready: {}", failed.join("; "));
        Err(Problem::new(ErrorCode::Unavailable, message).hint("try again in a few seconds"))
    }
}

impl Service {
    /// Runs all checks. Queries the database at most once per second.
    pub async fn readiness(&self) -> Readiness {
        self.check_all(true).await
    }

    /// Runs all checks, without a write unless the last one failed; for frequent polling.
    pub(crate) async fn readiness_without_write(&self) -> Readiness {
        self.check_all(false).await
    }

    async fn check_all(&self, write: bool) -> Readiness {
        let state = &self.readiness_state;
        let process = if state.stopping.load(Ordering::Acquire) {
            Err("the directory is stopping".to_owned())
        } else {
            Ok("running")
        };
        let certificate = match &self.parts.certificates {
            Some(certificates) => certificates.check(),
            None => Ok("none (plaintext)"),
        };
        let database = with_timeout(self.store().last_change()).await;
        // The index is derived data: the directory serves while it is built, and responses say so.
        let search = if self.is_indexing() {
            "being built; results are incomplete"
        } else {
            "built"
        };
        Readiness {
            checks: vec![
                ("process", process),
                ("certificate", certificate),
                ("database", database.map(|_| "answers")),
                ("writes", self.check_writes(write).await),
                ("search", Ok(search)),
            ],
        }
    }

    async fn check_writes(&self, ask: bool) -> Result<&'static str, String> {
        let mut writes = self.readiness_state.writes.lock().await;
        let outcome = match &*writes {
            Some((at, outcome)) if at.elapsed() < CHECK_LIFETIME => outcome.clone(),
            Some((_, Ok(()))) | None if !ask => Ok(()),
            _ => {
                let asked = Instant::now();
                let outcome = with_timeout(self.store().check_writable(self.now())).await;
                *writes = Some((asked, outcome.clone()));
                outcome
            }
        };
        outcome.map(|()| "possible")
    }

    /// Marks the directory as not ready because it is about to stop.
    pub(crate) fn set_stopping(&self) {
        self.readiness_state.stopping.store(true, Ordering::Release);
    }

    /// Returns whether searches may be incomplete because the index is being built.
    pub(super) fn is_indexing(&self) -> bool {
        self.readiness_state.indexing.load(Ordering::Acquire)
    }

    /// Sets whether the search index is being built; `false` means that it is current.
    pub(crate) fn set_indexing(&self, now: bool) {
        if !now {
            *self.readiness_state.level.lock() = Instant::now();
        }
        self.readiness_state.indexing.store(now, Ordering::Release);
    }

    pub(super) async fn search_lag(&self) -> Result<Lag, Problem> {
        let last = self.store().last_change().await?;
        // Before the change log is read for the first time, the stored position counts.
        let followed = match *self.indexed_position.borrow() {
            i64::MIN => match self.search_index().progress() {
                Progress::At(position) => position,
                // A partly built index serves no searches.
                Progress::Walking { .. } | Progress::New => 0,
            },
            followed => followed,
        };
        let level = *self.readiness_state.level.lock();
        Ok(match u64::try_from(last - followed) {
            Ok(changes @ 1..) => Lag {
                changes,
                time: level.elapsed(),
            },
            _ => Lag {
                changes: 0,
                time: Duration::ZERO,
            },
        })
    }
}

/// Runs a database query with the timeout [`ANSWER_TIMEOUT`].
async fn with_timeout<T>(asked: impl Future<Output = Result<T, Problem>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER_TIMEOUT, asked).await {
        Ok(answer) => answer.map_err(|problem| problem.message),
        Err(_) => Err(format!("no answer within {} s", ANSWER_TIMEOUT.as_secs())),
    }
}
