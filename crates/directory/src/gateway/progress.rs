//! Detection of a stalled body: counts the bytes that pass through it. A rate over the whole
//! transfer would not do, because bytes received earlier would hide a stall.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::sleep;

/// Minimum rate of a body within a period, in bytes per second.
const RATE_MIN: u64 = 1024;

/// The progress of a body.
#[derive(Default)]
pub(super) struct BodyProgress {
    bytes: AtomicU64,
    ended: AtomicBool,
    /// Whether the last poll found no data from the sender.
    awaited: AtomicBool,
}

impl BodyProgress {
    /// Returns once less than [`RATE_MIN`] was transferred during `period`, after one to two
    /// times that period. The end of the body counts as progress.
    pub(super) async fn stalled(&self, period: Duration) {
        let least = (period.as_millis() as u64).saturating_mul(RATE_MIN) / 1000;
        let look = || {
            let ended = self.ended.load(Ordering::Relaxed);
            (self.bytes.load(Ordering::Relaxed), ended)
        };
        let mut before = look();
        loop {
            sleep(period).await;
            let now = look();
            if now.1 == before.1 && now.0 - before.0 < least.max(1) {
                return;
            }
            before = now;
        }
    }

    /// Returns whether the body is waiting for its sender.
    pub(super) fn waits_for_sender(&self) -> bool {
        self.awaited.load(Ordering::Relaxed)
    }
}

/// A body that records its progress.
pub(super) struct ObservedBody<B> {
    body: B,
    progress: Arc<BodyProgress>,
}

impl<B> ObservedBody<B> {
    pub(super) fn new(body: B) -> (Self, Arc<BodyProgress>) {
        let progress = Arc::<BodyProgress>::default();
        let observed = Self {
            body,
            progress: Arc::clone(&progress),
        };
        (observed, progress)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ObservedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let progress = &self.progress;
        progress
            .awaited
            .store(polled.is_pending(), Ordering::Relaxed);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let length = frame.data_ref().map_or(0, Bytes::len);
            progress.bytes.fetch_add(length as u64, Ordering::Relaxed);
        }
        // The consumer may not poll again after the last data.
        if matches!(polled, Poll::Ready(None)) || self.body.is_end_stream() {
            progress.ended.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
