//! The response body of the gateway: verified bytes in order.
//!
//! A separate task reads them and sends them to the body. It waits while the reader takes nothing,
//! and ends when the reader disconnects.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use convite_core::{ErrorCode, Problem};
use convite_net::task;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::Instrument;

use super::Gateway;
use super::prepare::{PreparedTransfer, Source, problem};

/// Number of chunks buffered between the task and the body.
const CHUNKS_BUFFERED: usize = 4;
/// Chunk size in bytes, so that the rate limit and the timeout of the reader apply evenly.
const CHUNK_BYTES: usize = 64 << 10;

/// A verified part of a file, with a known length; ends with an error if it cannot be fetched
/// completely.
pub struct GatewayBody {
    chunks: mpsc::Receiver<Bytes>,
    left: u64,
}

impl Body for GatewayBody {
    type Data = Bytes;
    type Error = Problem;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let frame = match ready!(self.chunks.poll_recv(cx)) {
            Some(chunk) => {
                self.left -= chunk.len() as u64;
                Ok(Frame::data(chunk))
            }
            None => Err(Problem::new(
                ErrorCode::Unavailable,
                "no source of this file is left",
            )),
        };
        Poll::Ready(Some(frame))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl PreparedTransfer {
    /// Returns the body.
    pub fn body(self) -> GatewayBody {
        let left = self.length;
        let (out, chunks) = mpsc::channel(CHUNKS_BUFFERED);
        task::spawn("gateway", run_transfer(self, out).in_current_span());
        GatewayBody { chunks, left }
    }
}

/// Sends the bytes to the body until all are sent, the reader disconnects, or no provider is left.
async fn run_transfer(transfer: PreparedTransfer, out: mpsc::Sender<Bytes>) {
    let PreparedTransfer {
        gateway,
        slot,
        source,
        ..
    } = transfer;
    let shutdown = async {
        gateway.shutdown.cancelled().await;
        sleep(convite_net::DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        () = out.closed() => {}
        () = shutdown => {}
        ended = send(&gateway, source, &out) => if let Err(problem) = ended {
            tracing::warn!(code = %problem.code, "a gateway transfer failed: {problem}");
        }
    }
    drop(slot);
}

async fn send(
    gateway: &Gateway,
    mut source: Source,
    out: &mpsc::Sender<Bytes>,
) -> Result<(), Problem> {
    let mut next = source.first.take();
    while let Some(mut bytes) = next {
        while !bytes.is_empty() {
            let chunk = bytes.split_to(CHUNK_BYTES.min(bytes.len()));
            if let Some(limiter) = &gateway.rate_limiter {
                limiter.wait(chunk.len()).await;
            }
            match timeout(gateway.config.reader_timeout, out.send(chunk)).await {
                Ok(Ok(())) => {}
                // The reader has disconnected.
                Ok(Err(_)) => return Ok(()),
                Err(_) => {
                    return Err(Problem::new(
                        ErrorCode::Unavailable,
                        "the reader has stalled",
                    ));
                }
            }
        }
        next = source.reader.next().await.map_err(problem)?;
    }
    Ok(())
}
