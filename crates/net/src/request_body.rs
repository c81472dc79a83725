//! Request bodies that are read to the end even if the response does not need them.
//!
//! A server that refuses a large request answers before it has received all of it. If it then
//! closes the connection, the kernel resets it, and the client may never see the response (RFC
//! 9112, section 9.6). So the rest of a dropped body is read and discarded for a bounded time.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// The time limit for reading the rest of a body.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// The maximum number of bodies drained at once. Above it, dropping a body ends its connection.
const DRAINS_MAX: usize = 64;

/// Drains dropped bodies of all connections of a listener.
#[derive(Clone)]
pub(crate) struct BodyDrain {
    permits: Arc<Semaphore>,
    stop: CancellationToken,
}

impl BodyDrain {
    /// Creates a drain that stops when `stop` is cancelled.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(DRAINS_MAX)),
            stop,
        }
    }

    fn drain(&self, mut body: Incoming) {
        // Without a runtime the process is ending, and so is the connection.
        let runtime = tokio::runtime::Handle::try_current();
        let permit = self.permits.clone().try_acquire_owned();
        let (Ok(runtime), Ok(permit)) = (runtime, permit) else {
            return;
        };
        let stop = self.stop.clone();
        runtime.spawn(async move {
            let _permit = permit;
            let next =
                |body: &mut Incoming, context: &mut Context<'_>| Pin::new(body).poll_frame(context);
            let rest = async {
                while let Some(Ok(_)) = poll_fn(|context| next(&mut body, context)).await {}
            };
            tokio::select! {
                _ = tokio::time::timeout(DRAIN_TIMEOUT, rest) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// The body of a request. If it is dropped early, the rest is drained.
pub struct RequestBody {
    /// `None` after the end or an error.
    body: Option<Incoming>,
    drain: BodyDrain,
}

impl RequestBody {
    pub(crate) fn new(body: Incoming, drain: BodyDrain) -> Self {
        Self {
            body: (!body.is_end_stream()).then_some(body),
            drain,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Some(body) => body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            self.drain.drain(body);
        }
    }
}
