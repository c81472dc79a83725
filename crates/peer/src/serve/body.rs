//! The body of an answer: a file's chunks as they are read, in one of two dresses.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use convite_core::{ErrorCode, Problem};
use convite_wire::chunk;
use convite_wire::status::to_status;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::files::Chunk;
use super::uploads::Upload;

/// How the chunks look on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dress {
    /// The file's bytes and nothing else. An error breaks the body off.
    Http,
    /// `FileChunk` messages and a status in the trailers, which an error ends early.
    Grpc,
}

/// A body of a known number of file bytes.
pub struct FileBody {
    chunks: mpsc::Receiver<Chunk>,
    dress: Dress,
    /// Frames that are ready to go.
    ready: VecDeque<Frame<Bytes>>,
    remaining: u64,
    ended: bool,
    upload: Upload,
}

impl FileBody {
    /// A body of the `len` bytes that `chunks` will bring.
    pub fn new(chunks: mpsc::Receiver<Chunk>, len: u64, dress: Dress, upload: Upload) -> Self {
        Self {
            chunks,
            dress,
            ready: VecDeque::with_capacity(2),
            remaining: len,
            ended: false,
            upload,
        }
    }

    fn end(&mut self, result: Result<(), Problem>) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        self.ended = true;
        match (self.dress, result) {
            (Dress::Http, Ok(())) => Poll::Ready(None),
            (Dress::Http, Err(problem)) => Poll::Ready(Some(Err(problem))),
            (Dress::Grpc, result) => {
                let status = match result {
                    Ok(()) => tonic::Status::ok(""),
                    Err(problem) => to_status(&problem),
                };
                let mut trailers = HeaderMap::new();
                // A message that no header can carry leaves the number, which always fits.
                if status.add_header(&mut trailers).is_err() {
                    let code = i32::from(status.code());
                    trailers.insert("grpc-status", http::HeaderValue::from(code));
                }
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
        }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = Problem;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        if let Some(frame) = self.ready.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        if self.remaining == 0 {
            return self.end(Ok(()));
        }
        match ready!(self.chunks.poll_recv(context)) {
            Some(Ok((offset, data))) => {
                let len = data.len() as u64;
                self.remaining = self.remaining.saturating_sub(len);
                self.upload.sent(len);
                if self.dress == Dress::Grpc {
                    let head = chunk::head(offset, data.len());
                    self.ready.push_back(Frame::data(data));
                    Poll::Ready(Some(Ok(Frame::data(head))))
                } else {
                    Poll::Ready(Some(Ok(Frame::data(data))))
                }
            }
            Some(Err(problem)) => self.end(Err(problem)),
            None => self.end(Err(Problem::new(
                ErrorCode::Unavailable,
                "the peer stopped reading the file",
            ))),
        }
    }

    fn is_end_stream(&self) -> bool {
        let nothing_left = self.ended || (self.dress == Dress::Http && self.remaining == 0);
        nothing_left && self.ready.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.dress {
            Dress::Http => SizeHint::with_exact(self.remaining),
            Dress::Grpc => SizeHint::default(),
        }
    }
}
