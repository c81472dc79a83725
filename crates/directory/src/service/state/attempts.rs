//! The limiter of password and invite attempts ([`crate::throttle`]), with a clock.

use std::future::Future;
use std::time::{Duration, Instant};

use convite_core::{ErrorCode, Problem};
use parking_lot::Mutex;

use crate::throttle::{Attempt, AttemptLimiter, AttemptLimits};

/// The throttle, with a clock.
pub(crate) struct AttemptThrottle {
    pub(crate) began: Instant,
    pub(crate) throttle: Mutex<AttemptLimiter>,
}

impl AttemptThrottle {
    pub(crate) fn new(limits: AttemptLimits) -> Self {
        Self {
            began: Instant::now(),
            throttle: Mutex::new(AttemptLimiter::new(limits)),
        }
    }

    pub(crate) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Runs `work` for an admitted attempt and records its result. If it is dropped before it ends,
    /// the attempt counts as failed.
    pub(crate) async fn run<T>(
        &self,
        begun: Result<Attempt, Duration>,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let attempt = begun.map_err(too_many)?;
        let done = work.await;
        let now = self.now();
        match &done {
            Ok(_) => self.throttle.lock().succeeded(attempt, now),
            Err(problem) if counts_as_failure(problem.code) => {}
            Err(_) => self.throttle.lock().cancelled(attempt, now),
        }
        done
    }
}

/// Returns whether an error means that the attempt was wrong; other errors do not count.
pub(crate) fn counts_as_failure(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::WrongCredentials
            | ErrorCode::PermissionDenied
            | ErrorCode::InviteInvalid
            | ErrorCode::UserTaken
            | ErrorCode::TooManyRequests
    )
}

pub(crate) fn too_many(wait: Duration) -> Problem {
    let problem = Problem::new(
        ErrorCode::TooManyRequests,
        "too many failed attempts from this network or for this account",
    )
    .retry_after(wait);
    let seconds = problem.retry_after.unwrap_or_default().as_secs();
    problem.hint(format!("wait {seconds} s; existing sessions keep working"))
}
