//! The sink of a folder's pieces: its target.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use convite_core::PieceIndex;
use convite_net::task;
use convite_provider::{PieceBuffer, PieceSink, PieceWrite};
use tokio::sync::Semaphore;

use crate::folder_target::FolderTarget;

/// Concurrent writes: creating many small files keeps more than one core busy.
const WRITES_MAX: u32 = 4;
/// Parts of a piece below this many bytes are copied together, so that a sender of tiny frames cannot
/// make a piece cost many times its size.
const SMALL_PART: usize = 8 << 10;

/// Writes verified pieces into a target.
pub(super) struct FolderSink {
    target: Arc<FolderTarget>,
    /// Permits to write.
    turns: Arc<Semaphore>,
}

impl FolderSink {
    pub(super) fn new(target: Arc<FolderTarget>) -> Self {
        Self {
            target,
            turns: Arc::new(Semaphore::new(WRITES_MAX as usize)),
        }
    }

    /// Waits until no write is in progress. A write continues when the task that requested it is gone.
    pub(super) async fn wait_idle(&self) {
        // The semaphore is never closed.
        let _ = self.turns.acquire_many(WRITES_MAX).await;
    }
}

impl PieceSink for FolderSink {
    type Buffer = PieceParts;

    fn buffer(&self, _: &Range<u64>) -> PieceParts {
        PieceParts::default()
    }

    async fn write(self: Arc<Self>, piece: PieceIndex, buffer: PieceParts) -> PieceWrite {
        // The semaphore is never closed.
        let turn = self.turns.clone().acquire_owned().await;
        let target = self.target.clone();
        PieceWrite::Running(task::start_blocking(move || {
            let _turn = turn;
            target.write_piece(piece, buffer.into_parts())
        }))
    }
}

/// The parts of a piece as they arrived; small ones are copied together.
#[derive(Default)]
pub(super) struct PieceParts {
    parts: Vec<Bytes>,
    small: BytesMut,
}

impl PieceParts {
    fn into_parts(mut self) -> Vec<Bytes> {
        if !self.small.is_empty() {
            self.parts.push(self.small.freeze());
        }
        self.parts
    }
}

impl PieceBuffer for PieceParts {
    fn push(&mut self, part: Bytes) {
        if part.len() < SMALL_PART {
            self.small.extend_from_slice(&part);
            return;
        }
        if !self.small.is_empty() {
            self.parts.push(self.small.split().freeze());
        }
        self.parts.push(part);
    }
}
