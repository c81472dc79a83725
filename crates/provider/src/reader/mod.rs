//! Reading a content in order, while it is received.
//!
//! A [`ContentReader`] returns the bytes of a range, which a [`Transfer`] in the sequential mode of
//! `swarm` receives from several providers at once. The pieces at the reader's position and after
//! it form the window. Only they are requested, so a reader that takes nothing stops the transfer,
//! and memory is bounded ([`ReaderConfig::window`]). The reader may move to another range at any
//! time.
//!
//! A task runs the transfer (`drive`) and moves the window. Verified pieces wait in `buffer`. The
//! task ends when the reader is dropped, when the transfer fails, and when every piece is in the
//! buffer.

mod buffer;
mod drive;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use convite_core::model::LocatedFile;
use convite_core::{PeerId, PieceIndex, PieceLayout, Problem};
use convite_net::{random, task};
use convite_swarm::{Download, DownloadLimits, PieceSet};
use tokio::sync::watch;
use tracing::Instrument;

use crate::content::Content;
use crate::transfer::{ProviderLookup, Transfer, TransferConfig};
use buffer::ReadBuffer;

/// The parameters of a [`ContentReader`].
pub struct ReaderConfig<C> {
    /// What is read.
    pub content: Arc<C>,
    /// The pieces of the content.
    pub layout: PieceLayout,
    /// Size of the window in bytes; it has at least one piece.
    ///
    /// The reader uses at most twice this memory, because a piece may be received from two
    /// providers, and one piece that was returned last. The connections to providers have buffers
    /// of their own (HTTP/2 flow control).
    pub window: u64,
    /// The timeouts, and the number of providers.
    pub limits: DownloadLimits,
    /// The last answer of the directory: the result of the first query.
    pub located: LocatedFile,
    /// The further queries, repeated after [`DownloadLimits::locate_interval`]. If one is refused,
    /// the reader ends at once.
    pub lookup: ProviderLookup,
    /// Verifies the certificates of providers; `None` for plaintext.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

/// The reason why the bytes at a reader's position cannot be read.
#[derive(Debug, Clone)]
pub enum ReadError {
    /// No provider sent them within the time limits. Contains the last error of each lost provider.
    NoProviders(Vec<(PeerId, Problem)>),
    /// Every provider sent wrong data.
    AllDishonest,
    /// The directory refused a query: the reader may no longer read the content, or no peer shares
    /// it.
    Refused(Problem),
    /// The task of the reader failed.
    Failed,
}

/// Reads a range of a content. Every byte that it returns is verified.
pub struct ContentReader {
    layout: PieceLayout,
    /// The bytes that were not returned yet.
    range: Range<u64>,
    buffer: Arc<ReadBuffer>,
    /// The pieces of `range`, for the task.
    wanted: watch::Sender<Range<PieceIndex>>,
}

impl ContentReader {
    /// Starts to read `range`, which must be within the content. An empty range contacts no
    /// provider.
    ///
    /// # Errors
    /// Returns `internal` if the system has no random numbers.
    pub fn start<C: Content>(config: ReaderConfig<C>, range: Range<u64>) -> Result<Self, Problem> {
        let ReaderConfig {
            content,
            layout,
            window,
            limits,
            located,
            lookup,
            tls,
        } = config;
        let buffer = Arc::<ReadBuffer>::default();
        let seed = u64::from_le_bytes(random::bytes()?);
        let none = PieceSet::empty(layout.piece_count());
        let transfer = Transfer::new(TransferConfig {
            content,
            sink: buffer.clone(),
            plan: Download::new(layout.clone(), none, limits, seed),
            located,
            lookup,
            tls,
            limit: None,
            locality: false,
        });
        let (wanted, pieces) = watch::channel(layout.pieces_of(range.clone()));
        let drive = drive::Drive::new(transfer, buffer.clone(), layout.clone(), window);
        task::spawn("reader", drive.run(pieces).in_current_span());
        Ok(Self {
            layout,
            range,
            buffer,
            wanted,
        })
    }

    /// Moves to another range, which must be within the content.
    pub fn seek(&mut self, range: Range<u64>) {
        self.range = range;
        self.publish_position();
    }

    /// Waits for the next bytes, at most one piece. Returns `None` at the end of the range. It is
    /// cancel safe.
    ///
    /// # Errors
    /// Returns why the next bytes cannot be read. Bytes before them were returned. Further calls
    /// return the same error.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        let index = self.layout.pieces_of(self.range.clone()).start;
        if self.range.is_empty() {
            return Ok(None);
        }
        let bytes = tokio::select! {
            biased;
            piece = self.buffer.wait_for(index) => piece?,
            // The task has ended, and left everything in the buffer that it could.
            () = self.wanted.closed() => {
                self.buffer.get(index)?.ok_or(ReadError::Failed)?
            }
        };
        let piece = self.layout.piece_range(index);
        let end = piece.end.min(self.range.end);
        let part = (self.range.start - piece.start) as usize..(end - piece.start) as usize;
        self.range.start = end;
        self.publish_position();
        Ok(Some(bytes.slice(part)))
    }

    fn publish_position(&self) {
        let pieces = self.layout.pieces_of(self.range.clone());
        self.wanted.send_replace(pieces);
    }
}
