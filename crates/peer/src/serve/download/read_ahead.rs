//! Reads the contents of a response ahead of the network, into reusable buffers.

use std::sync::Arc;

use bytes::Bytes;
use convite_core::{ErrorCode, Problem};
use convite_net::task;
use tokio::sync::mpsc;

use crate::serve::context::ServeContext;
use crate::serve::download::buffers::{BufferPermit, LARGE, UploadBuffers};
use crate::serve::download::rate_limits::UploadPace;

/// Chunks read ahead of the network. Together with the chunk being read and those being sent, an
/// upload uses at most about 1.25 MiB.
const READ_AHEAD_CHUNKS: usize = 2;
/// The number of chunks that a reader reads per task on a blocking thread.
const CHUNKS_PER_TASK: usize = 8;

/// A chunk and its offset in the file or folder, or an error.
pub type Chunk = Result<(u64, Bytes), Problem>;

/// What a response consists of. The methods block, except where noted.
pub(crate) trait ReadChunks: Send + 'static {
    /// Returns the length of the next chunk, up to `most`; 0 at the end. Does not block.
    fn next_len(&mut self, most: usize) -> usize;

    /// Reads the next chunk, up to the result of [`Self::next_len`] and the size of `room`.
    fn next(&mut self, room: BufferPermit) -> Chunk;
}

/// Returns whether the error calls for a scan.
pub(crate) fn is_news(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::ContentChanged | ErrorCode::NotFound)
}

/// Reads from `reader`, a little ahead of the receiver and at most at the rate of `pace`. An error
/// is the last item. Reading stops when the receiver is dropped.
pub(crate) fn read_ahead<R: ReadChunks>(
    mut reader: R,
    pace: Option<UploadPace>,
    serving: &ServeContext,
) -> mpsc::Receiver<Chunk> {
    let (out, chunks) = mpsc::channel(READ_AHEAD_CHUNKS);
    let rescan = serving.rescan.clone();
    task::spawn("read ahead", async move {
        let buffers = Arc::new(UploadBuffers::new());
        let most = pace.as_ref().map_or(LARGE, |pace| pace.chunk().min(LARGE));
        let turns = if pace.is_some() { 1 } else { CHUNKS_PER_TASK };
        // A slow receiver must not occupy a thread: waiting is async, only reading is blocking.
        loop {
            let Ok(place) = out.clone().reserve_owned().await else {
                return;
            };
            let wanted = reader.next_len(most);
            if wanted == 0 {
                return;
            }
            if let Some(pace) = &pace {
                tokio::select! {
                    () = pace.wait(wanted) => {}
                    () = out.closed() => return,
                }
            }
            // The buffer comes last, so that none is held while waiting.
            let Some(room) = buffers.acquire(wanted).await else {
                return;
            };
            let buffers = buffers.clone();
            let turn = task::start_blocking(move || {
                let mut next = Some((place, room));
                for _ in 0..turns {
                    let Some((place, room)) = next.take() else {
                        return Some(Ok(reader));
                    };
                    let chunk = reader.next(room);
                    let failure = chunk.as_ref().err().map(|problem| problem.code);
                    let out = place.send(chunk);
                    if let Some(code) = failure {
                        return Some(Err(code));
                    }
                    let wanted = reader.next_len(most);
                    if wanted == 0 {
                        return None;
                    }
                    next = out
                        .try_reserve_owned()
                        .ok()
                        .zip(buffers.try_acquire(wanted));
                }
                Some(Ok(reader))
            });
            match turn.await {
                Ok(Some(Ok(next))) => reader = next,
                Ok(Some(Err(code))) => {
                    if is_news(code) {
                        rescan.notify_one();
                    }
                    return;
                }
                Ok(None) | Err(_) => return,
            }
        }
    });
    chunks
}
