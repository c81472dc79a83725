//! Rate limits for password and invite attempts ([`crate::throttle`]), applied before expensive
//! work, for both APIs.

use std::future::Future;

use convite_core::{Problem, UserName};
use convite_net::Network;

use super::state::attempts::too_many;
use super::{ClientAddress, Service};

impl Service {
    /// Runs `work`, which checks a password of `user`, if the throttle admits an attempt now.
    ///
    /// # Errors
    /// Returns `too_many_requests` with the time to wait, without running `work`; otherwise fails
    /// as `work`.
    pub(super) async fn attempt_password<T>(
        &self,
        user: &UserName,
        seen: ClientAddress,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let (attempts, from) = (&self.attempts, Network::of(seen.remote.ip()));
        let begun = attempts
            .throttle
            .lock()
            .password(user, from, attempts.now());
        attempts.run(begun, work).await
    }

    /// Runs `work`, which looks up a link, if the throttle admits an attempt now. A link that is
    /// not found counts as a failed attempt.
    ///
    /// # Errors
    /// As [`Self::attempt_password`].
    pub(super) async fn attempt_link<T>(
        &self,
        from: Network,
        work: impl Future<Output = Result<Option<T>, Problem>>,
    ) -> Result<Option<T>, Problem> {
        let attempts = &self.attempts;
        let begun = attempts.throttle.lock().link(from, attempts.now());
        begun.map_err(too_many)?;
        let found = work.await;
        if !matches!(found, Ok(None)) {
            attempts.throttle.lock().link_found(from, attempts.now());
        }
        found
    }

    /// Runs `work`, which creates an account, if the throttle admits an attempt now.
    ///
    /// # Errors
    /// As [`Self::attempt_password`].
    pub(super) async fn attempt_joining<T>(
        &self,
        seen: ClientAddress,
        work: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let (attempts, from) = (&self.attempts, Network::of(seen.remote.ip()));
        let begun = attempts.throttle.lock().join(from, attempts.now());
        attempts.run(begun, work).await
    }
}
