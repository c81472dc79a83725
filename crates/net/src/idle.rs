//! Idle tracking: decides when to close a connection without requests, or one whose client does not
//! read its responses.
//!
//! HTTP/2 allows a client to hold a connection (and its memory) forever while it answers every
//! ping: by sending no request, by sending half of one, or by not opening the window for the
//! response. The bytes on the socket do not show this, so requests and responses are tracked. Bytes
//! that the socket does not accept are tracked by [`WriteProgress`], even after the response body
//! has ended.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::limits::Limits;
use crate::write_progress::WriteProgress;

/// The state of a connection, which decides what to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Keep it.
    Fine,
    /// It has never sent a request: cut it.
    Silent,
    /// It has not sent a request for too long: close it gracefully.
    Idle,
    /// It does not read its responses: cut it.
    Stalled,
}

/// The active requests of a connection. Times are milliseconds since it began.
pub(crate) struct IdleTracker {
    began: Instant,
    has_requests: AtomicBool,
    active: AtomicUsize,
    /// Time at which the last active request ended.
    idle_since: AtomicU64,
    requests: Mutex<Vec<Weak<ActiveRequest>>>,
    writes: WriteProgress,
}

/// A request with its response, active until this is dropped.
pub(crate) struct ActiveRequest {
    tracker: Arc<IdleTracker>,
    /// Time since which a part of the response waits to be read; [`NOT_WAITING`] if none waits.
    waiting_since: AtomicU64,
}

const NOT_WAITING: u64 = u64::MAX;

impl IdleTracker {
    pub(crate) fn new(writes: WriteProgress) -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            has_requests: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            requests: Mutex::default(),
            writes,
        })
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// Records a request. Until [`ActiveRequest::begin`] it waits for the client to read earlier
    /// responses (RFC 9112, section 9.3.2).
    pub(crate) fn start_request(self: &Arc<Self>) -> Arc<ActiveRequest> {
        self.has_requests.store(true, Ordering::Relaxed);
        let active = self.active.fetch_add(1, Ordering::Relaxed);
        let request = Arc::new(ActiveRequest {
            tracker: Arc::clone(self),
            waiting_since: AtomicU64::new(self.now()),
        });
        let mut requests = self.requests.lock();
        if requests.len() > 16 + 2 * active {
            requests.retain(|request| request.strong_count() > 0);
        }
        requests.push(Arc::downgrade(&request));
        request
    }

    pub(crate) fn verdict(&self, limits: &Limits) -> Verdict {
        let now = self.now();
        let idle_since = match self.active.load(Ordering::Relaxed) {
            0 => now.saturating_sub(self.idle_since.load(Ordering::Relaxed)),
            _ => 0,
        };
        if !self.has_requests.load(Ordering::Relaxed) {
            return if u128::from(idle_since) > limits.headers.as_millis() {
                Verdict::Silent
            } else {
                Verdict::Fine
            };
        }
        // While bytes wait for the socket, the connection is neither idle nor waiting for a window.
        if let Some(blocked) = self.writes.blocked() {
            return if blocked > limits.stall {
                Verdict::Stalled
            } else {
                Verdict::Fine
            };
        }
        let resumed = self.writes.resumed().as_millis();
        if resumed.min(idle_since.into()) > limits.idle.as_millis() {
            return Verdict::Idle;
        }
        let requests = self.requests.lock();
        let stalled = requests.iter().filter_map(Weak::upgrade).any(|request| {
            let waiting_since = request.waiting_since.load(Ordering::Relaxed);
            let waited = u128::from(now.saturating_sub(waiting_since)).min(resumed);
            waiting_since != NOT_WAITING && waited > limits.stall.as_millis()
        });
        if stalled {
            Verdict::Stalled
        } else {
            Verdict::Fine
        }
    }
}

impl ActiveRequest {
    /// Records that the service handles the request.
    pub(crate) fn begin(&self) {
        self.waiting_since.store(NOT_WAITING, Ordering::Relaxed);
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.tracker
            .idle_since
            .store(self.tracker.now(), Ordering::Relaxed);
        self.tracker.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A response body in parts of bounded size. The client has to read each part in time.
pub(crate) struct PacedBody<B> {
    body: B,
    rest: Bytes,
    chunk: usize,
    request: Arc<ActiveRequest>,
}

impl<B> PacedBody<B> {
    pub(crate) fn new(body: B, chunk: usize, request: Arc<ActiveRequest>) -> Self {
        // The response head already waits to be read.
        request
            .waiting_since
            .store(request.tracker.now(), Ordering::Relaxed);
        Self {
            body,
            rest: Bytes::new(),
            chunk,
            request,
        }
    }

    /// Returns the next part of the current frame. hyper polls for the next part after this one is
    /// sent.
    fn part(&mut self) -> Frame<Bytes> {
        let part = self.rest.split_to(self.rest.len().min(self.chunk));
        Frame::data(part)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for PacedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let me = &mut *self;
        me.request
            .waiting_since
            .store(NOT_WAITING, Ordering::Relaxed);
        let frame = if me.rest.is_empty() {
            match Pin::new(&mut me.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        me.rest = data;
                        me.part()
                    }
                    Err(other) => other,
                },
                // Waiting for the service, not for the client.
                other => return other,
            }
        } else {
            me.part()
        };
        let now = me.request.tracker.now();
        me.request.waiting_since.store(now, Ordering::Relaxed);
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::time::Duration;

    use super::*;

    /// A body of these frames without an end.
    struct Frames(VecDeque<Frame<Bytes>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => Poll::Pending,
            }
        }
    }

    fn limits() -> Limits {
        Limits {
            headers: Duration::from_secs(1),
            idle: Duration::from_secs(10),
            stall: Duration::from_secs(3),
            ..Limits::default()
        }
    }

    fn poll(body: &mut PacedBody<Frames>) -> Option<Bytes> {
        match Pin::new(body).poll_frame(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_nothing_is_cut_and_who_asks_nothing_more_is_closed() {
        let tracker = IdleTracker::new(WriteProgress::new());
        assert_eq!(tracker.verdict(&limits()), Verdict::Fine);
        tokio::time::advance(Duration::from_millis(1_001)).await;
        assert_eq!(tracker.verdict(&limits()), Verdict::Silent);
        let request = tracker.start_request();
        request.begin();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(tracker.verdict(&limits()), Verdict::Fine);
        drop(request);
        assert_eq!(tracker.verdict(&limits()), Verdict::Fine);
        tokio::time::advance(Duration::from_millis(10_001)).await;
        assert_eq!(tracker.verdict(&limits()), Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_cut_and_who_is_kept_waiting_is_not() {
        let tracker = IdleTracker::new(WriteProgress::new());
        let frames = [Bytes::from_static(b"abcdefg"), Bytes::from_static(b"hi")];
        let frames = Frames(frames.into_iter().map(Frame::data).collect());
        let mut body = PacedBody::new(frames, 4, tracker.start_request());
        let mut taken = Vec::new();
        tokio::time::advance(Duration::from_millis(3_100)).await;
        assert_eq!(tracker.verdict(&limits()), Verdict::Stalled);
        for _ in 0..3 {
            taken.push(poll(&mut body).unwrap());
            tokio::time::advance(Duration::from_millis(2_900)).await;
            assert_eq!(tracker.verdict(&limits()), Verdict::Fine);
        }
        assert_eq!(taken, ["abcd", "efg", "hi"]);
        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(tracker.verdict(&limits()), Verdict::Stalled);
        assert_eq!(poll(&mut body), None);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(tracker.verdict(&limits()), Verdict::Fine);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_wait_for_the_socket_are_judged_by_the_socket_alone() {
        let writes = WriteProgress::new();
        let tracker = IdleTracker::new(writes.clone());
        drop(tracker.start_request());
        let second = Duration::from_secs(1);
        // A slow client whose last response is completely buffered is neither idle nor stalled.
        for _ in 0..20 {
            writes.record(&Poll::<()>::Pending);
            tokio::time::advance(second * 2).await;
            assert_eq!(tracker.verdict(&limits()), Verdict::Fine);
            writes.record(&Poll::Ready(()));
        }
        // The same for an active response behind bytes that the client reads slowly.
        let request = tracker.start_request();
        for _ in 0..20 {
            writes.record(&Poll::<()>::Pending);
            tokio::time::advance(second * 2).await;
            assert_eq!(tracker.verdict(&limits()), Verdict::Fine);
            writes.record(&Poll::Ready(()));
        }
        drop(request);
        // The client stops reading.
        writes.record(&Poll::<()>::Pending);
        tokio::time::advance(second * 4).await;
        assert_eq!(tracker.verdict(&limits()), Verdict::Stalled);
        writes.record(&Poll::Ready(()));
        tokio::time::advance(second * 11).await;
        assert_eq!(tracker.verdict(&limits()), Verdict::Idle);
    }
}
