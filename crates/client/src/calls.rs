//! Calls to the directory: they carry the session, have a time limit, and are repeated at another
//! replica where that is safe.
//!
//! [`DirectoryClient::call`] is for operations that may run twice: reads, and changes that lead to
//! the same state however often they run. [`DirectoryClient::once`] is for all others. Both resend
//! a request that never left this machine.

use std::future::Future;
use std::time::{Duration, Instant};

use convite_core::{ErrorCode, Problem};
use convite_wire::status::from_status;
use convite_wire::v1::directory_client::DirectoryClient as Stub;
use tonic::{Request, Response, Status};

use crate::channel::{CallState, Channel};
use crate::directory::DirectoryClient;
use crate::liveness::LivenessTimeout;
use crate::retry::{Retry, chance};

/// Time limit for an answer.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

impl DirectoryClient {
    /// Returns a request that carries this session, and its state.
    pub(crate) fn request<T>(
        &self,
        message: T,
        liveness: LivenessTimeout,
    ) -> (Request<T>, CallState) {
        let mut request = Request::new(message);
        if let Some(bearer) = &self.bearer {
            request
                .metadata_mut()
                .insert("authorization", bearer.clone());
        }
        let state = CallState::with(liveness);
        request.extensions_mut().insert(state.clone());
        (request, state)
    }

    /// Calls once.
    pub(crate) async fn once<T, R, F>(
        &self,
        message: T,
        call: impl Fn(Stub<Channel>, Request<T>) -> F,
    ) -> Result<R, Problem>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let (request, state) = self.request(message, LivenessTimeout::default());
        let answer = answered(ANSWER_TIMEOUT, call(self.stub.clone(), request)).await;
        self.heed(answer, &state)
    }

    /// Calls, and retries for a few seconds while no replica answers. Only for operations that may
    /// run twice.
    pub(crate) async fn call<T: Clone, R, F>(
        &self,
        message: T,
        call: impl Fn(Stub<Channel>, Request<T>) -> F,
    ) -> Result<R, Problem>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        again(|| self.once(message.clone(), &call)).await
    }

    /// Selects another replica for the next call if this one is unavailable.
    pub(crate) fn heed<R>(
        &self,
        answer: Result<R, Problem>,
        state: &CallState,
    ) -> Result<R, Problem> {
        if answer.as_ref().is_err_and(is_away) {
            self.channel.turn_away(state);
        }
        answer
    }
}

/// Returns whether a retry, at another replica or at the same one, may succeed.
fn is_away(problem: &Problem) -> bool {
    problem.code == ErrorCode::Unavailable
}

/// Returns the delay that an overloaded directory requested.
fn wait_asked_for(problem: &Problem) -> Option<Duration> {
    match problem.code {
        ErrorCode::Overloaded | ErrorCode::TooManyRequests => problem.retry_after,
        _ => None,
    }
}

/// Repeats `once` until it is answered or the retry time is over.
pub(crate) async fn again<R, F>(mut once: impl FnMut() -> F) -> Result<R, Problem>
where
    F: Future<Output = Result<R, Problem>>,
{
    let mut retry = Retry::for_call(Instant::now());
    loop {
        let problem = match once().await {
            Err(problem) => problem,
            answered => return answered,
        };
        let pause = match wait_asked_for(&problem) {
            Some(wait) => retry.pause_as_told(Instant::now(), wait, chance()),
            None if is_away(&problem) => retry.pause(Instant::now(), chance()),
            None => return Err(problem),
        };
        match pause {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(problem),
        }
    }
}

/// Waits for an answer for at most `limit`.
pub(crate) async fn answered<R>(
    limit: Duration,
    call: impl Future<Output = Result<Response<R>, Status>>,
) -> Result<R, Problem> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(from_status(&status)),
        Err(_) => Err(Problem::new(
            ErrorCode::Unavailable,
            format!("the directory did not answer within {} s", limit.as_secs()),
        )),
    }
}
