//! Whether the directory can do its work, and if not, why.
//!
//! Ready means: the database answers, it takes changes, and nobody has told the directory to stop.
//! The search index is told of, and keeps nobody out: it is built while the directory serves. That the tables are
//! up to date needs no check: there is no directory before they are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use convite_core::{ErrorCode, Problem};
use convite_search::Progress;
use tokio::sync::Mutex;

use super::Service;

/// For how long a check of the database holds: it costs a write, and anyone may ask.
const CHECKED: Duration = Duration::from_secs(1);
/// A database that takes longer is one that does not answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What is known of the directory's own state.
pub(super) struct State {
    stopping: AtomicBool,
    /// Whether the search index is being built, or has not reached the end of the change log yet.
    indexing: AtomicBool,
    /// When it last was at the end; at first, when the directory started.
    level: StdMutex<Instant>,
    /// Whether the database took a change, and when it was asked.
    writes: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            stopping: AtomicBool::new(false),
            indexing: AtomicBool::new(true),
            level: StdMutex::new(Instant::now()),
            writes: Mutex::default(),
        }
    }
}

/// How far the search index is behind the database.
pub(super) struct Lag {
    pub(super) changes: u64,
    pub(super) time: Duration,
}

/// The outcome of all checks, in order: of each its name, and what is so or what is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    /// `process`, `database`, `writes`, `search`.
    pub checks: Vec<(&'static str, Result<&'static str, String>)>,
}

impl Readiness {
    /// Whether every check passed.
    pub fn is_ready(&self) -> bool {
        self.checks.iter().all(|(_, outcome)| outcome.is_ok())
    }

    /// What is so, of each check.
    ///
    /// # Errors
    /// `unavailable`, with the checks that failed and why.
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
        Err(Problem::new(ErrorCode::Unavailable, message).hint("ask again in a few seconds"))
    }
}

impl Service {
    /// Checks everything. What is asked of the database is asked once a second at most.
    pub async fn readiness(&self) -> Readiness {
        self.check_all(true).await
    }

    /// Checks without writing, unless the last write failed: for who looks all the time.
    pub(crate) async fn glance(&self) -> Readiness {
        self.check_all(false).await
    }

    async fn check_all(&self, write: bool) -> Readiness {
        let state = &self.state;
        let process = match state.stopping.load(Ordering::Acquire) {
            false => Ok("running"),
            true => Err("the directory is stopping".to_owned()),
        };
        let database = within(self.store().last_change()).await;
        // It is derived: the directory serves while it is built, and its answers say so.
        let search = match self.is_indexing() {
            false => "built",
            true => "being built, finds what is there so far",
        };
        Readiness {
            checks: vec![
                ("process", process),
                ("database", database.map(|_| "answers")),
                ("writes", self.check_writes(write).await),
                ("search", Ok(search)),
            ],
        }
    }

    async fn check_writes(&self, ask: bool) -> Result<&'static str, String> {
        let mut writes = self.state.writes.lock().await;
        let outcome = match &*writes {
            Some((at, outcome)) if at.elapsed() < CHECKED => outcome.clone(),
            Some((_, Ok(()))) | None if !ask => Ok(()),
            _ => {
                let asked = Instant::now();
                let outcome = within(self.store().check_writable(self.now())).await;
                *writes = Some((asked, outcome.clone()));
                outcome
            }
        };
        outcome.map(|()| "possible")
    }

    /// From now on the directory is not ready: it is about to stop.
    pub(crate) fn set_stopping(&self) {
        self.state.stopping.store(true, Ordering::Release);
    }

    /// Whether searches may miss something because the index is being built.
    pub(super) fn is_indexing(&self) -> bool {
        self.state.indexing.load(Ordering::Acquire)
    }

    /// The search index is being built, or it is level with the change log.
    pub(crate) fn set_indexing(&self, now: bool) {
        if !now {
            *self.level() = Instant::now();
        }
        self.state.indexing.store(now, Ordering::Release);
    }

    fn level(&self) -> MutexGuard<'_, Instant> {
        let level = self.state.level.lock();
        level.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn search_lag(&self) -> Result<Lag, Problem> {
        let last = self.store().last_change().await?;
        // Before the first look at the log, the position that was kept counts.
        let followed = match *self.followed.borrow() {
            i64::MIN => match self.search_index().progress() {
                Progress::At(position) => position,
                // Half an index answers no search.
                Progress::Walking { .. } | Progress::New => 0,
            },
            followed => followed,
        };
        let level = *self.level();
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

/// Asks the database, for [`ANSWER_MAX`] at most.
async fn within<T>(asked: impl Future<Output = Result<T, Problem>>) -> Result<T, String> {
    match tokio::time::timeout(ANSWER_MAX, asked).await {
        Ok(answer) => answer.map_err(|problem| problem.message),
        Err(_) => Err(format!("no answer for {} s", ANSWER_MAX.as_secs())),
    }
}
