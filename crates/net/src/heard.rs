//! When a connection was last heard of. A host that vanished, or a process that stands still, breaks
//! no connection for minutes; only its silence tells.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

/// When the other end of a connection last sent something. Clones look at the same connection.
#[derive(Clone)]
pub struct Heard {
    shared: Arc<Shared>,
}

struct Shared {
    began: Instant,
    /// In milliseconds after `began`, and one more; 0 for never.
    last: AtomicU64,
    first: Notify,
}

impl Heard {
    fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                began: Instant::now(),
                last: AtomicU64::new(0),
                first: Notify::new(),
            }),
        }
    }

    fn note(&self) {
        let passed = self.shared.began.elapsed().as_millis() as u64;
        if self.shared.last.swap(passed + 1, Ordering::AcqRel) == 0 {
            self.shared.first.notify_waiters();
        }
    }

    /// When something came last, to the millisecond; none if nothing ever did.
    pub fn last(&self) -> Option<Instant> {
        let last = self.shared.last.load(Ordering::Acquire);
        let passed = last.checked_sub(1)?;
        Some(self.shared.began + Duration::from_millis(passed))
    }

    /// Waits for the first sign of life.
    pub(crate) async fn first(&self) {
        let mut first = std::pin::pin!(self.shared.first.notified());
        // Listens before it looks, so that nothing slips through in between.
        first.as_mut().enable();
        if self.last().is_none() {
            first.await;
        }
    }
}

/// A stream that keeps note of what comes in.
pub(crate) struct Heeded<S> {
    stream: S,
    heard: Heard,
}

impl<S> Heeded<S> {
    pub(crate) fn new(stream: S) -> (Self, Heard) {
        let heard = Heard::new();
        let noted = heard.clone();
        (Self { stream, heard }, noted)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heeded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            this.heard.note();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heeded<S> {
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
