//! Whether a body that is handed on moves: with neither of its ends is there any other way to tell
//! that it has gone quiet, because bytes that came before do not speak for those that do not come.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::sleep;

/// The slowest that a body may move, in bytes per second over the time that is waited.
const RATE_MIN: u64 = 1024;

/// How far a body is.
#[derive(Default)]
pub(super) struct Progress {
    bytes: AtomicU64,
    ended: AtomicBool,
    /// Whether more was asked for than its sender had sent.
    awaited: AtomicBool,
}

impl Progress {
    /// Returns once less than [`RATE_MIN`] has moved during `patience`, after once or at most twice
    /// that time. The end counts as a movement.
    pub(super) async fn stands_still(&self, patience: Duration) {
        let least = (patience.as_millis() as u64).saturating_mul(RATE_MIN) / 1000;
        let look = || {
            let ended = self.ended.load(Ordering::Relaxed);
            (self.bytes.load(Ordering::Relaxed), ended)
        };
        let mut before = look();
        loop {
            sleep(patience).await;
            let now = look();
            if now.1 == before.1 && now.0 - before.0 < least.max(1) {
                return;
            }
            before = now;
        }
    }

    /// Whether it is its sender who is waited for just now.
    pub(super) fn is_with_sender(&self) -> bool {
        self.awaited.load(Ordering::Relaxed)
    }
}

/// A body that tells how far it is.
pub(super) struct Watched<B> {
    body: B,
    progress: Arc<Progress>,
}

impl<B> Watched<B> {
    pub(super) fn new(body: B) -> (Self, Arc<Progress>) {
        let progress = Arc::<Progress>::default();
        let watched = Self {
            body,
            progress: Arc::clone(&progress),
        };
        (watched, progress)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
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
        // Who hands it on need not ask again when nothing more comes.
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
