//! The minimum rate of a sender. Only the time spent waiting for the sender counts, not what the
//! receiver does with the bytes.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

/// A minimum rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinimumRate {
    /// Bytes per second, once the grace time is used up; `None` if bytes earn no further time.
    pub rate: Option<u64>,
    /// Time that a sender has at the start.
    pub grace: Duration,
    /// The most time that a fast sender can save up.
    pub saved_max: Duration,
}

/// The time that a sender has left.
#[derive(Debug)]
pub struct RateBudget {
    policy: MinimumRate,
    left: Duration,
    wait: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl RateBudget {
    /// Creates the budget of a sender that begins now.
    pub fn new(policy: MinimumRate) -> Self {
        Self {
            policy,
            left: policy.grace,
            wait: None,
        }
    }

    /// Adds the time for `bytes` that were received.
    pub fn earn(&mut self, bytes: usize) {
        if let Some(rate) = self.policy.rate {
            let earned = Duration::from_micros((bytes as u64).saturating_mul(1_000_000) / rate);
            self.left = self.left.saturating_add(earned).min(self.policy.saved_max);
        }
    }

    /// Waits for `next`; returns `None` if it takes too long.
    pub async fn wait<T>(&mut self, next: impl Future<Output = T>) -> Option<T> {
        let began = Instant::now();
        let came = tokio::time::timeout(self.left, next).await;
        self.left = self.left.saturating_sub(began.elapsed());
        came.ok()
    }

    /// Records that the sender has sent something.
    fn end_wait(&mut self) {
        if let Some((since, _)) = self.wait.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
    }

    /// Records that the sender has sent nothing. Returns ready when its time is used up.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.left;
        let (_, timer) = self
            .wait
            .get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        timer.as_mut().poll(cx)
    }
}

/// The error of a body that is received too slowly, or the error of the inner body.
#[derive(Debug)]
pub enum BodyError<E> {
    /// The sender was slower than the minimum rate.
    TooSlow,
    /// The error of the inner body.
    Inner(E),
}

/// A body with a minimum rate.
#[derive(Debug)]
pub struct MinimumRateBody<B> {
    body: B,
    budget: RateBudget,
}

impl<B> MinimumRateBody<B> {
    /// Creates a body whose sender begins now.
    pub fn new(body: B, policy: MinimumRate) -> Self {
        Self {
            body,
            budget: RateBudget::new(policy),
        }
    }

    /// Returns the inner body.
    pub fn inner_mut(&mut self) -> &mut B {
        &mut self.body
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for MinimumRateBody<B> {
    type Data = Bytes;
    type Error = BodyError<B::Error>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let me = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut me.body).poll_frame(cx) {
            me.budget.end_wait();
            if let Some(Ok(frame)) = &frame {
                me.budget.earn(frame.data_ref().map_or(0, Bytes::len));
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Inner)));
        }
        match me.budget.poll_wait(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(BodyError::TooSlow))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many parts of `bytes` each, one per `pause`, are received before the time is
    /// used up.
    async fn parts(bytes: usize, pause: Duration, most: usize) -> usize {
        let mut budget = RateBudget::new(MinimumRate {
            rate: Some(1024),
            grace: Duration::from_secs(60),
            saved_max: Duration::from_secs(60),
        });
        // A fast start accumulates no more than the grace time.
        budget.earn(1 << 30);
        for part in 0..most {
            if budget.wait(tokio::time::sleep(pause)).await.is_none() {
                return part;
            }
            budget.earn(bytes);
        }
        most
    }

    #[tokio::test(start_paused = true)]
    async fn who_drips_is_given_up_and_who_is_slow_is_not() {
        let second = Duration::from_secs(1);
        assert_eq!(parts(1, second * 61, 9).await, 0);
        assert_eq!(parts(1, second * 30, 9).await, 2);
        assert!((59..70).contains(&parts(10, second, 999).await));
        assert_eq!(parts(1100, second, 999).await, 999);
        assert_eq!(parts(50 << 10, second * 45, 99).await, 99);
    }
}
