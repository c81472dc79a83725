//! The destination of verified pieces.

use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use convite_core::PieceIndex;
use tokio::task::JoinHandle;

/// The destination of verified pieces: a file, memory, or several files. Shared by all requests of
/// a download.
pub trait PieceSink: Send + Sync + 'static {
    /// The memory of a piece while it is received.
    type Buffer: PieceBuffer;

    /// Returns an empty buffer for the piece at `range`, in bytes of the file.
    fn buffer(&self, range: &Range<u64>) -> Self::Buffer;

    /// Starts to write a verified piece. Waits while too many writes are in progress. A piece may
    /// be written twice, if it was requested from two providers.
    fn write(
        self: Arc<Self>,
        piece: PieceIndex,
        buffer: Self::Buffer,
    ) -> impl Future<Output = PieceWrite> + Send;

    /// Returns whether the sink has a piece that was written. A sink for a reader drops the pieces
    /// outside its window.
    fn holds(&self, _piece: PieceIndex) -> bool {
        true
    }
}

/// The memory of a piece while it is received.
pub trait PieceBuffer: Send {
    /// Appends received bytes. They are not verified yet.
    fn push(&mut self, part: Bytes);
}

/// A write of a piece. If it is dropped, the write continues.
pub enum PieceWrite {
    /// The write has ended.
    Done(io::Result<()>),
    /// The write runs in a task.
    Running(JoinHandle<io::Result<()>>),
}

impl PieceWrite {
    /// Waits for the end of the write.
    ///
    /// # Errors
    /// Returns the error of the write.
    pub async fn finished(self) -> io::Result<()> {
        match self {
            Self::Done(result) => result,
            Self::Running(writing) => writing
                .await
                .unwrap_or_else(|error| Err(io::Error::other(error))),
        }
    }
}
