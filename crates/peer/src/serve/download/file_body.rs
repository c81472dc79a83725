//! The response body: the chunks of a file as they are read, in one of two encodings.

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

use crate::serve::download::read_ahead::Chunk;
use crate::serve::download::uploads::Upload;

/// The encoding of the chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEncoding {
    /// Plain bytes. An error aborts the body.
    Http,
    /// `FileChunk` messages and a status in the trailers. An error ends the body early with its
    /// status.
    Grpc,
}

/// A response body with a known number of file bytes.
pub struct FileBody {
    chunks: mpsc::Receiver<Chunk>,
    dress: BodyEncoding,
    /// Frames that are ready to send.
    ready: VecDeque<Frame<Bytes>>,
    remaining: u64,
    ended: bool,
    upload: Upload,
    /// A chunk that was received before the response began.
    first: Option<Chunk>,
}

impl FileBody {
    /// Creates a body of the `len` bytes received through `chunks`.
    pub fn new(
        chunks: mpsc::Receiver<Chunk>,
        len: u64,
        dress: BodyEncoding,
        upload: Upload,
    ) -> Self {
        Self {
            chunks,
            dress,
            ready: VecDeque::with_capacity(2),
            remaining: len,
            ended: false,
            upload,
            first: None,
        }
    }

    /// Adds a chunk that was already received, as the first one.
    pub fn with_first_chunk(mut self, first: Option<Chunk>) -> Self {
        self.first = first;
        self
    }

    fn end(&mut self, result: Result<(), Problem>) -> Poll<Option<Result<Frame<Bytes>, Problem>>> {
        self.ended = true;
        match (self.dress, result) {
            (BodyEncoding::Http, Ok(())) => Poll::Ready(None),
            (BodyEncoding::Http, Err(problem)) => Poll::Ready(Some(Err(problem))),
            (BodyEncoding::Grpc, result) => {
                let status = match result {
                    Ok(()) => tonic::Status::ok(""),
                    Err(problem) => to_status(&problem),
                };
                let mut trailers = HeaderMap::new();
                // If the message is not valid in a header, send only the code, which always is.
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
        let next = match self.first.take() {
            Some(first) => Some(first),
            None => ready!(self.chunks.poll_recv(context)),
        };
        match next {
            Some(Ok((offset, data))) => {
                let len = data.len() as u64;
                self.remaining = self.remaining.saturating_sub(len);
                self.upload.sent(len);
                if self.dress == BodyEncoding::Grpc {
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
        let nothing_left = self.ended || (self.dress == BodyEncoding::Http && self.remaining == 0);
        nothing_left && self.ready.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.dress {
            BodyEncoding::Http => SizeHint::with_exact(self.remaining),
            BodyEncoding::Grpc => SizeHint::default(),
        }
    }
}
