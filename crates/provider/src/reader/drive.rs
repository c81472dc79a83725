//! The task of a reader: runs its transfer, and moves the window with it.
//!
//! The pieces that the plan takes for verified are always those in the buffer. Only this task moves
//! the window of both.

use std::ops::Range;
use std::sync::Arc;

use convite_core::{ErrorCode, PieceIndex, PieceLayout, Problem};
use convite_swarm::{DownloadOutcome, Event};
use tokio::sync::watch;

use super::ReadError;
use super::buffer::ReadBuffer;
use crate::content::Content;
use crate::transfer::{Transfer, TransferEvent};

/// A running reader.
pub(super) struct Drive<C> {
    transfer: Transfer<C, ReadBuffer>,
    buffer: Arc<ReadBuffer>,
    layout: PieceLayout,
    /// The size of the window in bytes.
    capacity: u64,
}

impl<C: Content> Drive<C> {
    pub(super) fn new(
        transfer: Transfer<C, ReadBuffer>,
        buffer: Arc<ReadBuffer>,
        layout: PieceLayout,
        capacity: u64,
    ) -> Self {
        Self {
            transfer,
            buffer,
            layout,
            capacity,
        }
    }

    /// Runs until the reader is dropped, the transfer fails, or every piece is in the buffer.
    /// `wanted` are the pieces from the reader's position to the end of its range.
    pub(super) async fn run(mut self, mut wanted: watch::Receiver<Range<PieceIndex>>) {
        // Without a window, all pieces would be requested.
        let Ok(first) = wanted
            .wait_for(|pieces| !pieces.is_empty())
            .await
            .map(|pieces| pieces.clone())
        else {
            return;
        };
        self.move_window(first);
        loop {
            tokio::select! {
                happened = self.transfer.next() => match happened {
                    TransferEvent::Finished(outcome) => {
                        self.finish(outcome);
                        break;
                    }
                    TransferEvent::LookupFailed(problem) if !is_temporary(&problem) => {
                        self.buffer.fail(ReadError::Refused(problem));
                        break;
                    }
                    _ => {}
                },
                moved = wanted.changed() => {
                    if moved.is_err() {
                        break;
                    }
                    let pieces = wanted.borrow_and_update().clone();
                    // At the end of its range, a reader needs nothing.
                    if !pieces.is_empty() {
                        self.move_window(pieces);
                    }
                }
            }
        }
        self.transfer.stop().await;
    }

    fn move_window(&mut self, wanted: Range<PieceIndex>) {
        let window = self.window(wanted);
        let previous = self.buffer.set_window(window.clone());
        let dropped = [
            previous.start..previous.end.min(window.start),
            previous.start.max(window.end)..previous.end,
        ];
        // First the window, so that the dropped pieces are not requested.
        self.transfer.apply(Event::Window(window));
        for pieces in dropped {
            if !pieces.is_empty() {
                self.transfer.apply(Event::Discarded(pieces));
            }
        }
    }

    /// Returns the first of the wanted pieces that fit into the window, at least one.
    fn window(&self, wanted: Range<PieceIndex>) -> Range<PieceIndex> {
        let mut window = wanted.start..wanted.start + 1;
        let mut bytes = self.layout.piece_len(wanted.start);
        while window.end < wanted.end {
            bytes += self.layout.piece_len(window.end);
            if bytes > self.capacity {
                break;
            }
            window.end += 1;
        }
        window
    }

    fn finish(&self, outcome: DownloadOutcome) {
        match outcome {
            // Every piece of the content is in the buffer.
            DownloadOutcome::Complete => {}
            DownloadOutcome::AllDishonest => self.buffer.fail(ReadError::AllDishonest),
            DownloadOutcome::NoProviders | DownloadOutcome::Cancelled => {
                let losses = self.transfer.losses();
                self.buffer.fail(ReadError::NoProviders(losses));
            }
        }
    }
}

/// Returns whether a query that failed with this error may succeed later.
fn is_temporary(problem: &Problem) -> bool {
    matches!(
        problem.code,
        ErrorCode::Unavailable
            | ErrorCode::Overloaded
            | ErrorCode::TooManyRequests
            | ErrorCode::Internal
    )
}
