//! Liveness check for replicas: a replica that sends nothing for too long is given up.
//!
//! A slow replica is not affected, because it still answers the connection's pings. So no request
//! is repeated only because it takes long.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use convite_core::{ErrorCode, Problem};
use convite_net::LastReceived;
use convite_wire::status::to_status;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;

/// Whether a connection is no longer used: its replica closed it, stopped responding or was
/// unavailable.
#[derive(Clone, Default)]
pub(crate) struct GivenUp(Arc<AtomicBool>);

impl GivenUp {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Maximum time without any data from a replica that owes an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LivenessTimeout(Duration);

/// Longer than the ping interval, and below 2 s together with the time to dial another replica.
const TIMEOUT: Duration = Duration::from_millis(1400);
/// Slowest expected upload rate in bytes per second. Pings queue behind the uploaded bytes.
const MIN_UPLOAD_RATE: u64 = 32 << 10;
/// Timeout for requests of unknown size, and the maximum.
const TIMEOUT_MAX: Duration = Duration::from_secs(10);

impl Default for LivenessTimeout {
    fn default() -> Self {
        Self(TIMEOUT)
    }
}

impl LivenessTimeout {
    /// Returns the timeout for a request of about `bytes` bytes.
    pub(crate) fn for_bytes(bytes: u64) -> Self {
        let on_their_way = Duration::from_millis(bytes * 1000 / MIN_UPLOAD_RATE);
        Self((TIMEOUT + on_their_way).min(TIMEOUT_MAX))
    }

    /// Returns the timeout for a stream of unknown length.
    pub(crate) const fn longest() -> Self {
        Self(TIMEOUT_MAX)
    }
}

/// Timer that fires when a connection has sent nothing for `timeout` since `since`.
struct LivenessTimer {
    received: LastReceived,
    timeout: Duration,
    since: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl LivenessTimer {
    fn new(received: LastReceived, timeout: LivenessTimeout) -> Self {
        let since = Instant::now();
        Self {
            received,
            timeout: timeout.0,
            since,
            alarm: Box::pin(sleep_until(since + timeout.0)),
        }
    }

    /// Returns ready once the connection has been silent for too long.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let last = self
                .received
                .time()
                .map_or(self.since, |l| l.max(self.since));
            let end = last + self.timeout;
            if end <= Instant::now() {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(end);
        }
    }
}

fn silent() -> Problem {
    Problem::new(
        ErrorCode::Unavailable,
        "the directory stopped responding before its answer was complete",
    )
}

/// Awaits `work` unless the connection falls silent first. Without a timeout, always awaits it.
///
/// # Errors
/// Returns `unavailable` if the connection fell silent.
pub(crate) async fn with_liveness<T>(
    received: &LastReceived,
    timeout: Option<LivenessTimeout>,
    work: impl Future<Output = T>,
) -> Result<T, Problem> {
    let Some(timeout) = timeout else {
        return Ok(work.await);
    };
    let mut watch = LivenessTimer::new(received.clone(), timeout);
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = std::future::poll_fn(|cx| watch.poll_expired(cx)) => Err(silent()),
    }
}

/// The body of an answer. It ends with `unavailable` if the replica falls silent.
pub struct ResponseBody {
    body: Incoming,
    watch: Option<LivenessTimer>,
    given_up: GivenUp,
}

impl ResponseBody {
    pub(crate) fn new(
        body: Incoming,
        received: LastReceived,
        timeout: Option<LivenessTimeout>,
        given_up: GivenUp,
    ) -> Self {
        Self {
            body,
            watch: timeout.map(|timeout| LivenessTimer::new(received, timeout)),
            given_up,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(|e| broken(&e))));
        }
        if let Some(watch) = &mut this.watch {
            ready!(watch.poll_expired(cx));
            this.given_up.set();
            return Poll::Ready(Some(Err(to_status(&silent()))));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn broken(error: &hyper::Error) -> Status {
    to_status(&Problem::new(
        ErrorCode::Unavailable,
        format!("lost the connection to the directory: {error}"),
    ))
}
