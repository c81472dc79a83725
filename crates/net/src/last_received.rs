//! Tracks when a connection last received something. A vanished host or a stopped process does not
//! break a connection for minutes, so only the lack of received bytes shows it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The time when the other end of a connection last sent something. Clones share their state.
#[derive(Clone)]
pub struct LastReceived {
    shared: Arc<Shared>,
}

struct Shared {
    began: Instant,
    /// Milliseconds after `began`, plus one; 0 if nothing was received.
    last: AtomicU64,
    first: Notify,
}

impl LastReceived {
    fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                began: Instant::now(),
                last: AtomicU64::new(0),
                first: Notify::new(),
            }),
        }
    }

    fn record(&self) {
        let passed = self.shared.began.elapsed().as_millis() as u64;
        if self.shared.last.swap(passed + 1, Ordering::AcqRel) == 0 {
            self.shared.first.notify_waiters();
        }
    }

    /// Returns the time of the last received bytes, to the millisecond, or `None` if there were
    /// none.
    pub fn time(&self) -> Option<Instant> {
        let last = self.shared.last.load(Ordering::Acquire);
        let passed = last.checked_sub(1)?;
        Some(self.shared.began + Duration::from_millis(passed))
    }

    /// Waits for the first received bytes.
    pub(crate) async fn wait_first(&self) {
        let mut first = std::pin::pin!(self.shared.first.notified());
        // Registers before checking, so that no notification is missed.
        first.as_mut().enable();
        if self.time().is_none() {
            first.await;
        }
    }
}

/// A stream that records when it receives bytes.
pub(crate) struct ReceiveTrackedStream<S> {
    stream: S,
    received: LastReceived,
}

impl<S> ReceiveTrackedStream<S> {
    pub(crate) fn new(stream: S) -> (Self, LastReceived) {
        let received = LastReceived::new();
        let tracked = received.clone();
        (Self { stream, received }, tracked)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReceiveTrackedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            this.received.record();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReceiveTrackedStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
