//! The response body of the gateway: verified pieces in order.
//!
//! A separate task fetches the next runs of pieces ([`RUNS_MAX`]) concurrently, and sends them to
//! the body in order. It waits while the reader takes nothing, and ends when the reader
//! disconnects.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use convite_core::{ErrorCode, PieceIndex, Problem};
use convite_net::task;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::limits::TransferSlot;
use super::prepare::{PieceSource, PreparedTransfer};
use super::provider::Piece;
use super::{Gateway, RUN_BYTES, RUNS_MAX};

/// Number of chunks buffered between the task and the body.
const CHUNKS_BUFFERED: usize = 4;
/// Chunk size with a rate limit, in bytes.
const LIMITED_CHUNK_BYTES: usize = 64 << 10;

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
    /// Returns a body with the bytes of `range`, which must be within the file, once the first
    /// piece has arrived.
    ///
    /// # Errors
    /// Returns `unavailable` or `corrupt_contents` if no provider sends the bytes; `not_found` or
    /// another error of the lookup if the reader has lost the permission.
    pub async fn stream(self, range: Range<u64>) -> Result<GatewayBody, Problem> {
        let Self { source, slot } = self;
        let piece_size = source.hashes.geometry().piece_size();
        let piece = |offset: u64| (offset / piece_size) as PieceIndex;
        let wanted = if range.is_empty() {
            0..0
        } else {
            piece(range.start)..piece(range.end - 1) + 1
        };
        let gateway = Arc::clone(&source.gateway);
        let mut runs = Runs {
            source,
            wanted,
            in_progress: VecDeque::new(),
        };
        let first = runs.next().await?;
        let (out, chunks) = mpsc::channel(CHUNKS_BUFFERED);
        let left = range.end - range.start;
        task::spawn(
            "gateway",
            run_transfer(gateway, slot, runs, first, range, out).in_current_span(),
        );
        Ok(GatewayBody { chunks, left })
    }
}

/// The runs of pieces that are being fetched, in order.
struct Runs {
    source: Arc<PieceSource>,
    /// The pieces that are not requested yet.
    wanted: Range<PieceIndex>,
    in_progress: VecDeque<Run>,
}

struct Run {
    /// Has capacity for all pieces of the run.
    pieces: mpsc::Receiver<Piece>,
    fetching: AbortOnDropHandle<Result<(), Problem>>,
}

impl Runs {
    fn begin(&mut self) {
        let piece_size = self.source.hashes.geometry().piece_size();
        let length = (RUN_BYTES / piece_size).max(1) as PieceIndex;
        while self.in_progress.len() < RUNS_MAX && !self.wanted.is_empty() {
            let end = self
                .wanted
                .start
                .saturating_add(length)
                .min(self.wanted.end);
            let run = self.wanted.start..end;
            self.wanted.start = end;
            let (out, pieces) = mpsc::channel(run.len());
            let source = Arc::clone(&self.source);
            let fetching = async move { source.fetch(run, out).await };
            let fetching = task::spawn("gateway fetch", fetching.in_current_span());
            self.in_progress.push_back(Run {
                pieces,
                fetching: AbortOnDropHandle::new(fetching),
            });
        }
    }

    /// Returns the next piece; `None` after the last.
    async fn next(&mut self) -> Result<Option<Piece>, Problem> {
        loop {
            self.begin();
            let Some(run) = self.in_progress.front_mut() else {
                return Ok(None);
            };
            if let Some(piece) = run.pieces.recv().await {
                return Ok(Some(piece));
            }
            let ended = (&mut run.fetching).await;
            ended.map_err(|e| Problem::new(ErrorCode::Internal, format!("gateway: {e}")))??;
            self.in_progress.pop_front();
        }
    }
}

/// Sends pieces to the body until all are sent, the reader disconnects, or no provider is left.
async fn run_transfer(
    gateway: Arc<Gateway>,
    slot: TransferSlot,
    runs: Runs,
    first: Option<Piece>,
    range: Range<u64>,
    out: mpsc::Sender<Bytes>,
) {
    let shutdown = async {
        gateway.shutdown.cancelled().await;
        sleep(convite_net::DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        () = out.closed() => {}
        () = shutdown => {}
        ended = send(&gateway, runs, first, range, &out) => if let Err(problem) = ended {
            tracing::warn!(code = %problem.code, "a gateway transfer failed: {problem}");
        }
    }
    drop(slot);
}

async fn send(
    gateway: &Gateway,
    mut runs: Runs,
    first: Option<Piece>,
    range: Range<u64>,
    out: &mpsc::Sender<Bytes>,
) -> Result<(), Problem> {
    let geometry = runs.source.hashes.geometry();
    let mut next = first;
    while let Some(piece) = next {
        let mut offset = geometry.piece_range(piece.index).start;
        for mut run in piece.runs {
            let end = offset + run.len() as u64;
            let before = range.start.saturating_sub(offset).min(run.len() as u64);
            let after = end.saturating_sub(range.end).min(run.len() as u64);
            run.truncate(run.len() - after as usize);
            let mut run = run.split_off((before as usize).min(run.len()));
            while !run.is_empty() {
                let at_once = gateway
                    .rate_limiter
                    .as_ref()
                    .map_or(run.len(), |_| LIMITED_CHUNK_BYTES.min(run.len()));
                let chunk = run.split_to(at_once);
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
            offset = end;
        }
        next = runs.next().await?;
    }
    Ok(())
}
