//! A request body with a minimum rate and a maximum length.
//!
//! Only the time spent waiting for the sender counts, not the directory's own processing time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use convite_core::{ErrorCode, Problem};
use convite_net::min_rate::{BodyError, MinimumRate, MinimumRateBody};
use convite_wire::status::to_status;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;

/// Minimum rate of a body after the grace period, in bytes per second.
const RATE_MIN: u64 = 1024;

/// Maximum number of bytes that are read and discarded after an early response.
const LINGER: u64 = 1 << 20;
/// Maximum time for reading and discarding the rest of a body.
const LINGER_FOR: Duration = Duration::from_secs(2);

/// A body with a minimum rate and a maximum length.
pub(super) struct BoundedBody {
    body: MinimumRateBody<Body>,
    /// Whether the body has ended.
    ended: bool,
    /// Maximum length in bytes.
    max: u64,
    received: u64,
}

impl BoundedBody {
    /// Limits `body` to `max` bytes, and to `grace` plus the time that its bytes take at 1 KiB/s.
    pub(super) fn new(body: Body, max: u64, grace: Duration) -> Self {
        let policy = MinimumRate {
            rate: Some(RATE_MIN),
            grace,
            saved_max: Duration::MAX,
        };
        Self {
            ended: body.is_end_stream(),
            body: MinimumRateBody::new(body, policy),
            max,
            received: 0,
        }
    }
}

/// Wraps a problem so that the decoders of both APIs find its status in the chain of causes.
fn failure(problem: &Problem) -> axum::Error {
    axum::Error::new(to_status(problem))
}

impl http_body::Body for BoundedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let me = &mut *self;
        let frame = ready!(Pin::new(&mut me.body).poll_frame(cx));
        me.ended = matches!(frame, None | Some(Err(BodyError::Inner(_))));
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
        Poll::Ready(frame.map(|frame| {
            frame.map_err(|error| match error {
                BodyError::Inner(error) => error,
                BodyError::TooSlow => failure(&Problem::new(
                    ErrorCode::Unavailable,
                    "the request body arrived too slowly",
                )),
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for BoundedBody {
    /// Reads some more of the body. Closing a connection with unread data resets it, and the client
    /// loses the response that says why (RFC 9112, section 9.6).
    fn drop(&mut self) {
        let left = self.body.size_hint().lower();
        if self.ended || self.body.is_end_stream() || left > LINGER {
            return;
        }
        let mut body = std::mem::take(self.body.inner_mut());
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
    use tokio::time::sleep;
    use tokio_stream::{StreamExt, iter};

    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    /// Sends `bytes` bytes `times` times, with a pause before each.
    async fn received(bytes: usize, times: usize, pause: Duration) -> Result<usize, axum::Error> {
        let parts = iter(0..times).then(move |_| async move {
            sleep(pause).await;
            Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; bytes]))
        });
        let body = Body::new(BoundedBody::new(Body::from_stream(parts), 1 << 20, GRACE));
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
