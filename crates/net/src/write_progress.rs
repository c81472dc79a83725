//! Detects clients that do not read their responses, at the level of the socket.
//!
//! A response whose body has ended may still be in hyper's and the kernel's buffers, so the body
//! does not show whether the client reads it. Two bounds cover both places: [`WriteProgress`]
//! detects that the kernel accepts no more bytes, and [`set_send_limits`] lets the kernel end a
//! connection whose client does not acknowledge sent bytes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::limits::Limits;

/// Sets `TCP_USER_TIMEOUT` (RFC 5482) to `limits.stall`, the time limit for unacknowledged bytes,
/// and `TCP_NOTSENT_LOWAT` to twice `limits.chunk`, the maximum number of unsent bytes in the
/// kernel. The socket becomes writable again after half of these, so that a slow client shows
/// progress.
#[cfg(any(target_os = "android", target_os = "linux"))]
pub(crate) fn set_send_limits(stream: &TcpStream, limits: &Limits) {
    let socket = socket2::SockRef::from(stream);
    // A kernel without these options behaves like other systems: only `WriteProgress` applies.
    let _ = socket.set_tcp_user_timeout(Some(limits.stall));
    if let Ok(unsent) = u32::try_from(limits.chunk.saturating_mul(2)) {
        let _ = socket.set_tcp_notsent_lowat(unsent);
    }
}

/// Other systems do not have these options: bytes in the kernel count as read.
#[cfg(not(any(target_os = "android", target_os = "linux")))]
pub(crate) fn set_send_limits(_: &TcpStream, _: &Limits) {}

/// The write progress of a connection. Clones share their state.
#[derive(Clone)]
pub(crate) struct WriteProgress {
    shared: Arc<Shared>,
}

struct Shared {
    began: Instant,
    /// Time at which the socket stopped accepting bytes, in milliseconds after `began`; [`NEVER`]
    /// if it accepts them.
    blocked: AtomicU64,
    /// Time at which it last accepted bytes again, in milliseconds after `began`.
    resumed: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl WriteProgress {
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                began: Instant::now(),
                blocked: AtomicU64::new(NEVER),
                resumed: AtomicU64::new(0),
            }),
        }
    }

    fn since(&self, moment: u64) -> Duration {
        let passed = Duration::from_millis(moment);
        self.shared.began.elapsed().saturating_sub(passed)
    }

    /// Returns how long the socket has not accepted pending bytes, or `None` if nothing is pending.
    pub(crate) fn blocked(&self) -> Option<Duration> {
        let blocked = self.shared.blocked.load(Ordering::Relaxed);
        (blocked != NEVER).then(|| self.since(blocked))
    }

    /// Returns how long ago the socket last accepted bytes after being blocked.
    pub(crate) fn resumed(&self) -> Duration {
        self.since(self.shared.resumed.load(Ordering::Relaxed))
    }

    /// Records the result of a write.
    pub(crate) fn record<T>(&self, written: &Poll<T>) {
        let now = || self.shared.began.elapsed().as_millis() as u64;
        let blocked = &self.shared.blocked;
        match (written.is_pending(), blocked.load(Ordering::Relaxed)) {
            (true, NEVER) => blocked.store(now(), Ordering::Relaxed),
            (true, _) | (false, NEVER) => {}
            (false, _) => {
                self.shared.resumed.store(now(), Ordering::Relaxed);
                blocked.store(NEVER, Ordering::Relaxed);
            }
        }
    }
}

/// A stream whose writes are tracked.
pub(crate) struct WriteTrackedStream<S> {
    stream: S,
    writes: WriteProgress,
}

impl<S> WriteTrackedStream<S> {
    pub(crate) fn new(stream: S) -> (Self, WriteProgress) {
        let writes = WriteProgress::new();
        let tracked = Self {
            stream,
            writes: writes.clone(),
        };
        (tracked, writes)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTrackedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTrackedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.writes.record(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.writes.record(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
