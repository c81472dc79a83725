//! How a call is made: with the session, in a bounded time, and again at another replica where that
//! can do no harm.
//!
//! The rule is in the methods' choice: [`DirectoryClient::call`] for what may happen twice, which is
//! everything that reads, and every change that leaves the same state however often it is made;
//! [`DirectoryClient::once`] for the rest. What never left this machine is sent again in either.

use std::future::Future;
use std::time::{Duration, Instant};

use convite_core::{ErrorCode, Problem};
use convite_wire::status::from_status;
use convite_wire::v1::directory_client::DirectoryClient as Stub;
use tonic::{Request, Response, Status};

use crate::channel::{Channel, Course};
use crate::directory::DirectoryClient;
use crate::retry::{Retry, chance};
use crate::silence::Patience;

/// A call that is not answered by then has failed.
pub(crate) const ANSWER: Duration = Duration::from_secs(30);

impl DirectoryClient {
    /// A request in this session, and its course.
    pub(crate) fn request<T>(&self, message: T, silence: Patience) -> (Request<T>, Course) {
        let mut request = Request::new(message);
        if let Some(bearer) = &self.bearer {
            request
                .metadata_mut()
                .insert("authorization", bearer.clone());
        }
        let course = Course::with(silence);
        request.extensions_mut().insert(course.clone());
        (request, course)
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
        let (request, course) = self.request(message, Patience::default());
        let answer = answered(ANSWER, call(self.stub.clone(), request)).await;
        self.heed(answer, &course)
    }

    /// Calls, and again while nobody answers, for some seconds: only for what may happen twice.
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

    /// Turns to another replica if this one says that it cannot answer.
    pub(crate) fn heed<R>(
        &self,
        answer: Result<R, Problem>,
        course: &Course,
    ) -> Result<R, Problem> {
        if answer.as_ref().is_err_and(is_away) {
            self.channel.turn_away(course);
        }
        answer
    }
}

/// Whether another replica, or the same one later, may answer.
fn is_away(problem: &Problem) -> bool {
    problem.code == ErrorCode::Unavailable
}

/// How long a directory that has too much to do, of this caller or in all, wants to be left alone.
fn wait_asked_for(problem: &Problem) -> Option<Duration> {
    match problem.code {
        ErrorCode::Overloaded | ErrorCode::TooManyRequests => problem.retry_after,
        _ => None,
    }
}

/// Does it until it is answered, or patience is at its end.
pub(crate) async fn again<R, F>(mut once: impl FnMut() -> F) -> Result<R, Problem>
where
    F: Future<Output = Result<R, Problem>>,
{
    let mut retry = Retry::within_patience(Instant::now());
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

/// Awaits an answer for at most `limit`.
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
