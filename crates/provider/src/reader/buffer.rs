//! The verified pieces of a reader's window.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use convite_core::PieceIndex;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::ReadError;
use crate::sink::{PieceBuffer, PieceSink, PieceWrite};

/// Holds the pieces of the window that have arrived.
#[derive(Default)]
pub(super) struct ReadBuffer {
    state: Mutex<State>,
    /// Notifies the reader; there is only one.
    changed: Notify,
}

#[derive(Default)]
struct State {
    window: Range<PieceIndex>,
    pieces: BTreeMap<PieceIndex, Bytes>,
    failed: Option<ReadError>,
}

impl ReadBuffer {
    /// Sets the window and drops the pieces outside it. Returns the previous window.
    pub(super) fn set_window(&self, window: Range<PieceIndex>) -> Range<PieceIndex> {
        let mut state = self.state.lock();
        state.pieces.retain(|piece, _| window.contains(piece));
        std::mem::replace(&mut state.window, window)
    }

    /// Ends the reading: pieces that have arrived can still be read, unless the reader was refused.
    pub(super) fn fail(&self, error: ReadError) {
        let mut state = self.state.lock();
        if matches!(error, ReadError::Refused(_)) {
            state.window = 0..0;
            state.pieces.clear();
        }
        state.failed = Some(error);
        drop(state);
        self.changed.notify_one();
    }

    /// Returns a piece, or `None` if it may still arrive.
    ///
    /// # Errors
    /// Returns the reason why it will not arrive.
    pub(super) fn get(&self, piece: PieceIndex) -> Result<Option<Bytes>, ReadError> {
        let state = self.state.lock();
        match (state.pieces.get(&piece), &state.failed) {
            (Some(bytes), _) => Ok(Some(bytes.clone())),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Ok(None),
        }
    }

    /// Waits for a piece.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(super) async fn wait_for(&self, piece: PieceIndex) -> Result<Bytes, ReadError> {
        loop {
            if let Some(bytes) = self.get(piece)? {
                return Ok(bytes);
            }
            self.changed.notified().await;
        }
    }
}

impl PieceSink for ReadBuffer {
    type Buffer = ArrivingPiece;

    fn buffer(&self, range: &Range<u64>) -> ArrivingPiece {
        // Fits, because a piece has a bounded size.
        ArrivingPiece(BytesMut::with_capacity((range.end - range.start) as usize))
    }

    async fn write(self: Arc<Self>, piece: PieceIndex, buffer: ArrivingPiece) -> PieceWrite {
        let mut state = self.state.lock();
        if state.window.contains(&piece) {
            state.pieces.insert(piece, buffer.0.freeze());
            drop(state);
            self.changed.notify_one();
        }
        PieceWrite::Done(Ok(()))
    }

    fn holds(&self, piece: PieceIndex) -> bool {
        self.state.lock().pieces.contains_key(&piece)
    }
}

/// A piece that is being received, copied into memory of its exact size: slices of network buffers
/// could keep many times that memory.
pub(super) struct ArrivingPiece(BytesMut);

impl PieceBuffer for ArrivingPiece {
    fn push(&mut self, part: Bytes) {
        self.0.extend_from_slice(&part);
    }
}

#[cfg(test)]
mod tests {
    use convite_core::Problem;

    use super::*;

    async fn write(buffer: &Arc<ReadBuffer>, piece: PieceIndex) {
        let mut arriving = buffer.buffer(&(0..1));
        arriving.push(Bytes::from_static(b"x"));
        buffer.clone().write(piece, arriving).await;
    }

    #[tokio::test]
    async fn only_pieces_of_the_window_are_kept() {
        let buffer = Arc::<ReadBuffer>::default();
        assert_eq!(buffer.set_window(3..6), 0..0);
        for piece in 0..9 {
            write(&buffer, piece).await;
        }
        let held = |buffer: &ReadBuffer| -> Vec<_> {
            (0..9).filter(|piece| buffer.holds(*piece)).collect()
        };
        assert_eq!(held(&buffer), [3, 4, 5]);
        assert_eq!(buffer.set_window(5..8), 3..6);
        assert_eq!(held(&buffer), [5]);
    }

    #[tokio::test]
    async fn pieces_that_arrived_are_read_before_the_error_unless_it_is_a_refusal() {
        let buffer = Arc::<ReadBuffer>::default();
        buffer.set_window(0..4);
        write(&buffer, 0).await;
        buffer.fail(ReadError::AllDishonest);
        assert!(buffer.wait_for(0).await.is_ok());
        assert!(matches!(
            buffer.wait_for(1).await,
            Err(ReadError::AllDishonest)
        ));
        buffer.fail(ReadError::Refused(Problem::not_found("gone")));
        assert!(matches!(
            buffer.wait_for(0).await,
            Err(ReadError::Refused(_))
        ));
    }
}
