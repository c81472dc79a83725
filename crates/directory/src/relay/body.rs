//! The body of a relay: verified pieces in order, fetched as they are taken.
//!
//! A task of its own fetches the next runs of pieces ([`RUNS`]) side by side, and hands them to the
//! body in order; it waits while the reader takes nothing, and ends with him.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use convite_core::{ErrorCode, PieceIndex, Problem};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::limits::Slot;
use super::opening::{Opened, Source};
use super::provider::Piece;
use super::{RUN, RUNS, Relay};

/// Runs of bytes between the task and the body.
const CHUNKS: usize = 4;
/// With a limit on the rate, so many bytes go at a time.
const PACED: usize = 64 << 10;

/// A part of a file, verified, of a length known beforehand; an error if it cannot be had whole.
pub struct RelayBody {
    chunks: mpsc::Receiver<Bytes>,
    left: u64,
}

impl Body for RelayBody {
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
                "no provider of this file is left",
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

impl Opened {
    /// The bytes of `range`, which must lie within the file. Returns when the first of them are
    /// there.
    ///
    /// # Errors
    /// `unavailable` or `corrupt_contents` if no provider gives them; `not_found` and the like if
    /// the reader may not have them any more.
    pub async fn stream(self, range: Range<u64>) -> Result<RelayBody, Problem> {
        let Self { source, slot } = self;
        let piece_size = source.hashes.geometry().piece_size();
        let piece = |offset: u64| (offset / piece_size) as PieceIndex;
        let wanted = match range.is_empty() {
            true => 0..0,
            false => piece(range.start)..piece(range.end - 1) + 1,
        };
        let relay = Arc::clone(&source.relay);
        let mut runs = Runs {
            source,
            wanted,
            under_way: VecDeque::new(),
        };
        let first = runs.next().await?;
        let (out, chunks) = mpsc::channel(CHUNKS);
        let left = range.end - range.start;
        tokio::spawn(run_relay(relay, slot, runs, first, range, out).in_current_span());
        Ok(RelayBody { chunks, left })
    }
}

/// Runs of pieces that are being fetched, in order.
struct Runs {
    source: Arc<Source>,
    /// The pieces that are not asked for yet.
    wanted: Range<PieceIndex>,
    under_way: VecDeque<Run>,
}

struct Run {
    /// Has room for all of them.
    pieces: mpsc::Receiver<Piece>,
    fetching: AbortOnDropHandle<Result<(), Problem>>,
}

impl Runs {
    fn begin(&mut self) {
        let piece_size = self.source.hashes.geometry().piece_size();
        let length = (RUN / piece_size).max(1) as PieceIndex;
        while self.under_way.len() < RUNS && !self.wanted.is_empty() {
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
            let fetching = tokio::spawn(fetching.in_current_span());
            self.under_way.push_back(Run {
                pieces,
                fetching: AbortOnDropHandle::new(fetching),
            });
        }
    }

    /// The next piece; none after the last.
    async fn next(&mut self) -> Result<Option<Piece>, Problem> {
        loop {
            self.begin();
            let Some(run) = self.under_way.front_mut() else {
                return Ok(None);
            };
            if let Some(piece) = run.pieces.recv().await {
                return Ok(Some(piece));
            }
            let ended = (&mut run.fetching).await;
            ended.map_err(|e| Problem::new(ErrorCode::Internal, format!("relay: {e}")))??;
            self.under_way.pop_front();
        }
    }
}

/// Sends the pieces to the body until all are sent, the reader goes, or no provider is left.
async fn run_relay(
    relay: Arc<Relay>,
    slot: Slot,
    runs: Runs,
    first: Option<Piece>,
    range: Range<u64>,
    out: mpsc::Sender<Bytes>,
) {
    let shutdown = async {
        relay.shutdown.cancelled().await;
        sleep(convite_net::DRAIN).await;
    };
    tokio::select! {
        () = out.closed() => {}
        () = shutdown => {}
        ended = send(&relay, runs, first, range, &out) => if let Err(problem) = ended {
            tracing::warn!(code = %problem.code, "a relay broke off: {problem}");
        }
    }
    drop(slot);
}

async fn send(
    relay: &Relay,
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
                let at_once = relay
                    .pace
                    .as_ref()
                    .map_or(run.len(), |_| PACED.min(run.len()));
                let chunk = run.split_to(at_once);
                if let Some(pace) = &relay.pace {
                    pace.wait(chunk.len()).await;
                }
                match timeout(relay.config.patience, out.send(chunk)).await {
                    Ok(Ok(())) => {}
                    // The reader has gone.
                    Ok(Err(_)) => return Ok(()),
                    Err(_) => {
                        return Err(Problem::new(
                            ErrorCode::Unavailable,
                            "the reader takes nothing any more",
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
