//! Attempts at passwords and invites, held to the throttle ([`crate::throttle`]) before they cost
//! anything, through whichever door they come.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use convite_core::{ErrorCode, Problem, UserName};
use convite_net::Network;

use super::{Seen, Service};
use crate::throttle::{Attempt, Paces, Throttle};

/// The throttle with a clock.
pub(super) struct Attempts {
    began: Instant,
    throttle: Mutex<Throttle>,
}

impl Attempts {
    pub(super) fn new(paces: Paces) -> Self {
        Self {
            began: Instant::now(),
            throttle: Mutex::new(Throttle::new(paces)),
        }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` for an attempt that was let through, and notes how it ended. If it is dropped
    /// before its end, it counts as failed.
    async fn settle<T>(
        &self,
        begun: Result<Attempt, Duration>,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let attempt = begun.map_err(too_many)?;
        let done = work.await;
        let now = self.now();
        match &done {
            Ok(_) => self.throttle().succeeded(attempt, now),
            Err(problem) if is_a_failure(problem.code) => {}
            Err(_) => self.throttle().void(attempt, now),
        }
        done
    }
}

/// Whether a problem says that the attempt was wrong; else it says nothing about it.
fn is_a_failure(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::WrongCredentials
            | ErrorCode::PermissionDenied
            | ErrorCode::InviteInvalid
            | ErrorCode::UserTaken
            | ErrorCode::TooManyRequests
    )
}

fn too_many(wait: Duration) -> Problem {
    let problem = Problem::new(
        ErrorCode::TooManyRequests,
        "too many attempts that failed, from here or at this account",
    )
    .retry_after(wait);
    let seconds = problem.retry_after.unwrap_or_default().as_secs();
    problem.hint(format!(
        "wait {seconds} s; a session that is open, here or elsewhere, goes on working"
    ))
}

impl Service {
    /// Checks a password of `user` by `work`, if it may be tried from there now.
    ///
    /// # Errors
    /// `too_many_requests` with the time to wait, without having begun `work`; those of `work`.
    pub(super) async fn attempt_password<T>(
        &self,
        user: &UserName,
        seen: Seen,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let (attempts, from) = (&self.attempts, Network::of(seen.remote.ip()));
        let begun = attempts.throttle().password(user, from, attempts.now());
        attempts.settle(begun, work).await
    }

    /// Looks a link up by `work`, if one may be tried from there now. It is a guess if there is none.
    ///
    /// # Errors
    /// As [`Self::attempt_password`].
    pub(super) async fn attempt_link<T>(
        &self,
        from: Network,
        work: impl Future<Output = Result<Option<T>, Problem>>,
    ) -> Result<Option<T>, Problem> {
        let attempts = &self.attempts;
        let begun = attempts.throttle().link(from, attempts.now());
        begun.map_err(too_many)?;
        let found = work.await;
        if !matches!(found, Ok(None)) {
            attempts.throttle().link_known(from, attempts.now());
        }
        found
    }

    /// Makes an account by `work`, if one may be made from there now.
    ///
    /// # Errors
    /// As [`Self::attempt_password`].
    pub(super) async fn attempt_joining<T>(
        &self,
        seen: Seen,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let (attempts, from) = (&self.attempts, Network::of(seen.remote.ip()));
        let begun = attempts.throttle().join(from, attempts.now());
        attempts.settle(begun, work).await
    }
}
