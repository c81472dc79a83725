//! Whether a connection is of any use still: who asks nothing, or takes none of the answers, is cut.
//!
//! HTTP/2 leaves three ways to hold a connection (and what it costs) for ever while answering every
//! ping: to send no request, to send half of one, and to open no window for the answer. None is to
//! be seen in the bytes that cross the socket, so requests and answers themselves are watched.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::limits::Limits;

/// What is to be done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing.
    Fine,
    /// It never asked anything: cut it.
    Silent,
    /// It asked nothing for long: close it.
    Idle,
    /// It does not take the answers that it asked for: cut it.
    Stalled,
}

/// The requests and answers under way on one connection. Times are milliseconds since it began.
pub(crate) struct Pulse {
    began: Instant,
    asked: AtomicBool,
    active: AtomicUsize,
    /// Since when none has been.
    quiet: AtomicU64,
    answers: Mutex<Vec<Weak<Answer>>>,
}

/// One request and its answer, under way until this is dropped.
pub(crate) struct Answer {
    pulse: Arc<Pulse>,
    /// Since when a part of it has waited to be taken; [`NOTHING`] if none does.
    waits: AtomicU64,
}

const NOTHING: u64 = u64::MAX;

impl Pulse {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            asked: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            quiet: AtomicU64::new(0),
            answers: Mutex::default(),
        })
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// A request has come, and waits for the answers before it to be taken (RFC 9112, section 9.3.2)
    /// until [`Answer::begin`].
    pub(crate) fn request(self: &Arc<Self>) -> Arc<Answer> {
        self.asked.store(true, Ordering::Relaxed);
        let active = self.active.fetch_add(1, Ordering::Relaxed);
        let answer = Arc::new(Answer {
            pulse: Arc::clone(self),
            waits: AtomicU64::new(self.now()),
        });
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() > 16 + 2 * active {
            answers.retain(|answer| answer.strong_count() > 0);
        }
        answers.push(Arc::downgrade(&answer));
        answer
    }

    pub(crate) fn verdict(&self, limits: &Limits) -> Verdict {
        let now = self.now();
        if self.active.load(Ordering::Relaxed) == 0 {
            let quiet = u128::from(now.saturating_sub(self.quiet.load(Ordering::Relaxed)));
            return match self.asked.load(Ordering::Relaxed) {
                false if quiet > limits.headers.as_millis() => Verdict::Silent,
                true if quiet > limits.idle.as_millis() => Verdict::Idle,
                _ => Verdict::Fine,
            };
        }
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let stalled = answers.iter().filter_map(Weak::upgrade).any(|answer| {
            let waits = answer.waits.load(Ordering::Relaxed);
            waits != NOTHING && u128::from(now.saturating_sub(waits)) > limits.stall.as_millis()
        });
        match stalled {
            true => Verdict::Stalled,
            false => Verdict::Fine,
        }
    }
}

impl Answer {
    /// It is worked on.
    pub(crate) fn begin(&self) {
        self.waits.store(NOTHING, Ordering::Relaxed);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.pulse.quiet.store(self.pulse.now(), Ordering::Relaxed);
        self.pulse.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer, in parts of a bounded size, each of which the other side has to take.
pub(crate) struct Paced<B> {
    body: B,
    rest: Bytes,
    chunk: usize,
    answer: Arc<Answer>,
}

impl<B> Paced<B> {
    pub(crate) fn new(body: B, chunk: usize, answer: Arc<Answer>) -> Self {
        // The head of the answer waits already.
        answer.waits.store(answer.pulse.now(), Ordering::Relaxed);
        Self {
            body,
            rest: Bytes::new(),
            chunk,
            answer,
        }
    }

    /// Hands out a part of what is left of a frame. Until it is taken, nobody asks for the next.
    fn part(&mut self) -> Frame<Bytes> {
        let part = self.rest.split_to(self.rest.len().min(self.chunk));
        Frame::data(part)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Paced<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let me = &mut *self;
        me.answer.waits.store(NOTHING, Ordering::Relaxed);
        let frame = if me.rest.is_empty() {
            match Pin::new(&mut me.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        me.rest = data;
                        me.part()
                    }
                    Err(other) => other,
                },
                // It is we who are waited for.
                other => return other,
            }
        } else {
            me.part()
        };
        let now = me.answer.pulse.now();
        me.answer.waits.store(now, Ordering::Relaxed);
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

    /// Frames, and then no end.
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

    fn poll(body: &mut Paced<Frames>) -> Option<Bytes> {
        match Pin::new(body).poll_frame(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_nothing_is_cut_and_who_asks_nothing_more_is_closed() {
        let pulse = Pulse::new();
        assert_eq!(pulse.verdict(&limits()), Verdict::Fine);
        tokio::time::advance(Duration::from_millis(1_001)).await;
        assert_eq!(pulse.verdict(&limits()), Verdict::Silent);
        let answer = pulse.request();
        answer.begin();
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(pulse.verdict(&limits()), Verdict::Fine);
        drop(answer);
        assert_eq!(pulse.verdict(&limits()), Verdict::Fine);
        tokio::time::advance(Duration::from_millis(10_001)).await;
        assert_eq!(pulse.verdict(&limits()), Verdict::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_cut_and_who_is_kept_waiting_is_not() {
        let pulse = Pulse::new();
        let frames = [Bytes::from_static(b"abcdefg"), Bytes::from_static(b"hi")];
        let frames = Frames(frames.into_iter().map(Frame::data).collect());
        let mut body = Paced::new(frames, 4, pulse.request());
        let mut taken = Vec::new();
        tokio::time::advance(Duration::from_millis(3_100)).await;
        assert_eq!(pulse.verdict(&limits()), Verdict::Stalled);
        for _ in 0..3 {
            taken.push(poll(&mut body).unwrap());
            tokio::time::advance(Duration::from_millis(2_900)).await;
            assert_eq!(pulse.verdict(&limits()), Verdict::Fine);
        }
        assert_eq!(taken, ["abcd", "efg", "hi"]);
        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(pulse.verdict(&limits()), Verdict::Stalled);
        assert_eq!(poll(&mut body), None);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(pulse.verdict(&limits()), Verdict::Fine);
    }
}
