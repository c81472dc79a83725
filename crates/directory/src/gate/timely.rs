//! A request's body, which has to come at some speed and may not be longer than is taken.
//!
//! Only the time that the directory waits for the sender is counted, not what it needs itself.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use convite_core::{ErrorCode, Problem};
use convite_wire::status::to_status;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::{Instant, Sleep, sleep};

/// The slowest that bodies may come once [`Timely`]'s grace is used up, in bytes per second.
const RATE_MIN: u64 = 1024;

/// What of a body is still taken in, and thrown away, when the answer did not wait for it, in bytes;
/// and for how long.
const LINGER: u64 = 1 << 20;
const LINGER_FOR: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Timely {
    body: Body,
    /// Nothing more comes.
    ended: bool,
    /// The most bytes.
    max: u64,
    received: u64,
    grace: Duration,
    /// How long the sender has been waited for, before the present wait.
    waited: Duration,
    wait: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Timely {
    /// `body` within `max` bytes, and within `grace` and the time that its bytes take at 1 KiB/s.
    pub(super) fn new(body: Body, max: u64, grace: Duration) -> Self {
        Self {
            ended: body.is_end_stream(),
            body,
            max,
            received: 0,
            grace,
            waited: Duration::ZERO,
            wait: None,
        }
    }

    fn left(&self) -> Duration {
        let earned = Duration::from_millis(self.received.saturating_mul(1000) / RATE_MIN);
        (self.grace + earned).saturating_sub(self.waited)
    }
}

/// As both doors' decoders find it: a status in the chain of causes, or just that it failed.
fn failure(problem: &Problem) -> axum::Error {
    axum::Error::new(to_status(problem))
}

impl http_body::Body for Timely {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let me = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut me.body).poll_frame(cx) {
            if let Some((since, _)) = me.wait.take() {
                me.waited += since.elapsed();
            }
            me.ended = !matches!(frame, Some(Ok(_)));
            if let Some(Ok(frame)) = &frame {
                me.received += frame.data_ref().map_or(0, |data| data.len() as u64);
            }
            if me.received > me.max {
                let problem = Problem::new(
                    ErrorCode::TooLarge,
                    format!("the message is larger than {} bytes", me.max),
                );
                return Poll::Ready(Some(Err(failure(&problem))));
            }
            return Poll::Ready(frame);
        }
        let left = me.left();
        let (_, timer) = me
            .wait
            .get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let problem = Problem::new(ErrorCode::Unavailable, "the request came too slowly");
        Poll::Ready(Some(Err(failure(&problem))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Timely {
    /// A connection that is closed while more comes is reset, and with it goes the answer that says
    /// why (RFC 9112, section 9.6): a little more is taken in.
    fn drop(&mut self) {
        let left = self.body.size_hint().lower();
        if self.ended || self.body.is_end_stream() || left > LINGER {
            return;
        }
        let mut body = std::mem::take(&mut self.body);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(LINGER_FOR, async move {
                let mut taken = 0;
                while let Some(Ok(frame)) = body.frame().await {
                    taken += frame.data_ref().map_or(0, |data| data.len() as u64);
                    if taken > LINGER {
                        break;
                    }
                }
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use tokio_stream::{StreamExt, iter};

    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    /// So many bytes, so many times, after such a pause each.
    async fn received(bytes: usize, times: usize, pause: Duration) -> Result<usize, axum::Error> {
        let parts = iter(0..times).then(move |_| async move {
            sleep(pause).await;
            Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; bytes]))
        });
        let body = Body::new(Timely::new(Body::from_stream(parts), 1 << 20, GRACE));
        Ok(to_bytes(body, usize::MAX).await?.len())
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_drip_are_given_up_and_slow_ones_are_not() {
        let second = Duration::from_secs(1);
        assert!(received(1, 20, second).await.is_err());
        assert!(received(1, 1, second * 11).await.is_err());
        assert_eq!(received(1, 9, second).await.unwrap(), 9);
        assert_eq!(received(1200, 100, second).await.unwrap(), 120_000);
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_are_too_long_are_refused() {
        assert!(received(1 << 19, 2, Duration::ZERO).await.is_ok());
        assert!(received(1 << 19, 3, Duration::ZERO).await.is_err());
    }
}
