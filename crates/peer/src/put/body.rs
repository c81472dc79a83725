//! The request body of `UploadFile`: the chunks of the file, not copied, and its hash.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use convite_wire::chunk;
use http_body::{Body, Frame};
use tokio::sync::watch;

use super::progress::UploadProgress;
use super::reading::{SourceChunk, SourceReader};

pub(super) struct UploadBody {
    reading: SourceReader,
    /// Frames that are ready to send.
    ready: VecDeque<Bytes>,
    ended: bool,
    progress: watch::Sender<UploadProgress>,
}

impl UploadBody {
    pub(super) fn new(reading: SourceReader, progress: watch::Sender<UploadProgress>) -> Self {
        Self {
            reading,
            ready: VecDeque::with_capacity(2),
            ended: false,
            progress,
        }
    }
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(bytes) = self.ready.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.reading.parts.poll_recv(context)) {
            Some(SourceChunk::Run(offset, run)) => {
                let end = offset + run.len() as u64;
                self.progress.send_modify(|progress| progress.sent = end);
                let head = chunk::head(offset, run.len());
                self.ready.push_back(run);
                Some(Ok(Frame::data(head)))
            }
            Some(SourceChunk::End(hash)) => {
                self.ended = true;
                Some(Ok(Frame::data(chunk::end(&hash))))
            }
            None => {
                self.ended = true;
                Some(Err(io::Error::other("the file could not be read")))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.ready.is_empty()
    }
}
