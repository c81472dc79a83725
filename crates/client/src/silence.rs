//! Giving up on a replica that says nothing, not even that it is alive.
//!
//! A slow answer is no silence: a replica that is alive answers the connection's pings. So nothing
//! that merely takes long is asked for twice.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use convite_core::{ErrorCode, Problem};
use convite_net::Heard;
use convite_wire::status::to_status;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;

use crate::channel::GivenUp;

/// How long a replica may say nothing at all, while it owes an answer, before another is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience(Duration);

/// Above the time between two pings, and below 2 s with the time that dialling another takes.
const PATIENCE: Duration = Duration::from_millis(1400);
/// The slowest line that bytes on their way out are expected to take, in bytes a second: pings wait
/// behind them.
const SLOWEST: u64 = 32 << 10;
/// For what has no known size.
const PATIENCE_MAX: Duration = Duration::from_secs(10);

impl Default for Patience {
    fn default() -> Self {
        Self(PATIENCE)
    }
}

impl Patience {
    /// For a request of about so many bytes.
    pub(crate) fn for_bytes(bytes: u64) -> Self {
        let on_their_way = Duration::from_millis(bytes * 1000 / SLOWEST);
        Self((PATIENCE + on_their_way).min(PATIENCE_MAX))
    }

    /// For a request that goes on and on.
    pub(crate) const fn longest() -> Self {
        Self(PATIENCE_MAX)
    }
}

/// Waits on something from a connection, from `since` on, as long as that is heard of.
struct Watch {
    heard: Heard,
    patience: Duration,
    since: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Watch {
    fn new(heard: Heard, patience: Patience) -> Self {
        let since = Instant::now();
        Self {
            heard,
            patience: patience.0,
            since,
            alarm: Box::pin(sleep_until(since + patience.0)),
        }
    }

    /// Ready once the connection has been silent for too long.
    fn poll_silent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let last = self.heard.last().map_or(self.since, |l| l.max(self.since));
            let end = last + self.patience;
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
        "the directory has fallen silent in the middle of an answer",
    )
}

/// Awaits `work`, unless the connection falls silent meanwhile; without patience, in any case.
///
/// # Errors
/// `unavailable` if it fell silent.
pub(crate) async fn unless_silent<T>(
    heard: &Heard,
    patience: Option<Patience>,
    work: impl Future<Output = T>,
) -> Result<T, Problem> {
    let Some(patience) = patience else {
        return Ok(work.await);
    };
    let mut watch = Watch::new(heard.clone(), patience);
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = std::future::poll_fn(|cx| watch.poll_silent(cx)) => Err(silent()),
    }
}

/// The body of an answer, which ends with `unavailable` if its replica falls silent.
pub struct Answer {
    body: Incoming,
    watch: Option<Watch>,
    line: GivenUp,
}

impl Answer {
    pub(crate) fn new(
        body: Incoming,
        heard: Heard,
        patience: Option<Patience>,
        line: GivenUp,
    ) -> Self {
        Self {
            body,
            watch: patience.map(|patience| Watch::new(heard, patience)),
            line,
        }
    }
}

impl Body for Answer {
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
            ready!(watch.poll_silent(cx));
            this.line.set();
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
        format!("the connection to the directory broke: {error}"),
    ))
}
