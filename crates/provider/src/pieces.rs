//! The pieces of a request: each is hashed while it arrives, verified, and written to the sink.
//!
//! At most two pieces of a request are in memory: one being written, one being received.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use std::vec;

use convite_core::PieceIndex;
use convite_swarm::{Event, RequestId};
use convite_wire::chunk::ChunkData;
use convite_wire::v1::ByteRange;
use tokio::sync::mpsc;

use crate::content::{Content, PieceVerifier};
use crate::loss::Loss;
use crate::rate_limit::RateLimit;
use crate::sink::{PieceBuffer, PieceSink, PieceWrite};
use crate::task_event::TaskEvent;

/// The error when a connection ends in the middle of a response.
pub(crate) const CONNECTION_CLOSED: &str = "it closed the connection";

/// A request for pieces.
pub(crate) struct PieceRequest<C, S> {
    pub(crate) request: RequestId,
    /// The pieces in the order to send them.
    pub(crate) pieces: Vec<PieceIndex>,
    pub(crate) content: Arc<C>,
    pub(crate) sink: Arc<S>,
    /// The rate limit for all requests together.
    pub(crate) limit: Option<Arc<RateLimit>>,
    /// Receives the events of the request; the last one is its end.
    pub(crate) events: mpsc::Sender<TaskEvent>,
}

impl<C: Content, S: PieceSink> PieceRequest<C, S> {
    /// Returns the requested pieces as byte ranges in the same order, adjacent ones merged.
    pub(crate) fn ranges(&self) -> Vec<ByteRange> {
        let mut ranges: Vec<ByteRange> = Vec::new();
        for index in &self.pieces {
            let bytes = self.content.piece_range(*index);
            match ranges.last_mut() {
                Some(last) if last.offset + last.length == bytes.start => {
                    last.length = bytes.end - last.offset;
                }
                // A length of 0 would mean the rest of the content.
                _ if bytes.is_empty() => {}
                _ => ranges.push(ByteRange {
                    offset: bytes.start,
                    length: bytes.end - bytes.start,
                }),
            }
        }
        ranges
    }

    /// Reports received bytes, and waits if they exceed the rate limit.
    pub(crate) async fn note(&self, bytes: u64) -> Result<(), ReceiveError> {
        self.tell(Event::Received(self.request, bytes)).await?;
        if let Some(limit) = &self.limit {
            let mut wait = limit.take(bytes);
            while wait > Duration::ZERO {
                let part = wait.min(Duration::from_secs(1));
                tokio::time::sleep(part).await;
                wait -= part;
                // Otherwise the plan would treat the provider as stalled.
                self.tell(Event::Received(self.request, 0)).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn tell(&self, event: Event) -> Result<(), ReceiveError> {
        // The send fails if the transfer has ended.
        self.events
            .send(TaskEvent::Plan(event))
            .await
            .map_err(|_| ReceiveError::Broken(Loss::disconnected(CONNECTION_CLOSED)))
    }
}

/// The reason why a request ended early.
pub(crate) enum ReceiveError {
    Broken(Loss),
    Corrupt(PieceIndex),
    Sink(io::Error),
}

/// The pieces of a request, while they are received.
pub(crate) struct PieceAssembler<'a, C: Content, S: PieceSink> {
    receive: &'a PieceRequest<C, S>,
    /// The pieces after the current one.
    next: vec::IntoIter<PieceIndex>,
    /// The current piece; `None` after the last.
    coming: Option<CurrentPiece<C::Verifier, S::Buffer>>,
    writing: Option<(PieceIndex, PieceWrite)>,
}

struct CurrentPiece<V, B> {
    index: PieceIndex,
    /// The range of bytes that are still missing.
    awaited: Range<u64>,
    verifier: V,
    gathered: B,
}

impl<'a, C: Content, S: PieceSink> PieceAssembler<'a, C, S> {
    pub(crate) fn new(receive: &'a PieceRequest<C, S>) -> Self {
        let mut pieces = Self {
            receive,
            next: receive.pieces.clone().into_iter(),
            coming: None,
            writing: None,
        };
        pieces.await_next();
        pieces
    }

    fn await_next(&mut self) {
        self.coming = self.next.next().map(|index| {
            let range = self.receive.content.piece_range(index);
            CurrentPiece {
                index,
                verifier: self.receive.content.verifier(index),
                gathered: self.receive.sink.buffer(&range),
                awaited: range,
            }
        });
    }

    pub(crate) async fn take(&mut self, chunk: ChunkData) -> Result<(), ReceiveError> {
        self.complete_pieces().await?;
        let (mut data, mut offset) = (chunk.data, chunk.offset);
        while !data.is_empty() {
            // More than requested, or something else.
            let Some(coming) = self.coming.as_mut().filter(|c| c.awaited.start == offset) else {
                return Err(ReceiveError::Broken(Loss::wrong_data()));
            };
            let left = coming.awaited.end - offset;
            let part = data.split_to((data.len() as u64).min(left) as usize);
            offset += part.len() as u64;
            coming.awaited.start = offset;
            coming.verifier.update(&part);
            coming.gathered.push(part);
            self.complete_pieces().await?;
        }
        Ok(())
    }

    /// Ends the current piece and those after it that have all their bytes.
    async fn complete_pieces(&mut self) -> Result<(), ReceiveError> {
        let is_complete = |piece: &CurrentPiece<_, _>| piece.awaited.is_empty();
        while self.coming.as_ref().is_some_and(is_complete) {
            self.piece_came().await?;
        }
        Ok(())
    }

    async fn piece_came(&mut self) -> Result<(), ReceiveError> {
        let Some(piece) = self.coming.take() else {
            return Ok(());
        };
        let (index, gathered) = (piece.index, piece.gathered);
        self.await_next();
        if !piece.verifier.matches() {
            return Err(ReceiveError::Corrupt(index));
        }
        self.written().await?;
        let writing = self.receive.sink.clone().write(index, gathered).await;
        self.writing = Some((index, writing));
        Ok(())
    }

    /// Waits for the piece that is being written, and reports it.
    async fn written(&mut self) -> Result<(), ReceiveError> {
        let Some((index, writing)) = self.writing.take() else {
            return Ok(());
        };
        writing.finished().await.map_err(ReceiveError::Sink)?;
        let verified = Event::Verified(self.receive.request, index);
        self.receive.tell(verified).await
    }

    pub(crate) async fn finish(mut self) -> Result<(), ReceiveError> {
        self.complete_pieces().await?;
        self.written().await?;
        if self.coming.is_none() {
            Ok(())
        } else {
            Err(ReceiveError::Broken(Loss::disconnected(CONNECTION_CLOSED)))
        }
    }
}
