//! Receiving a run of pieces: the stream is taken apart, each piece is hashed as it comes, checked,
//! and written whole where it belongs.
//!
//! The file's bytes are not copied on the way: what HTTP/2 delivers is hashed and written from
//! where it lies. At most two pieces of a request are in memory: one being written, one coming.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use convite_core::{ContentHash, PieceHasher, PieceHashes, PieceIndex, Problem};
use convite_swarm::{Event, Failure, RequestId};
use convite_wire::chunk::{ChunkData, ChunkParser};
use convite_wire::convert::hash_bytes;
use convite_wire::status::from_status;
use convite_wire::v1::{ByteRange, DownloadFileRequest};
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Full};
use prost::Message;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt;

use super::connection::{Connection, failure};

/// Parts of a piece below this many bytes are gathered, so that a sender of tiny frames cannot
/// make a piece cost many times its size.
const GATHER: usize = 8 << 10;

/// What a receiving task tells the engine.
pub(crate) enum News {
    /// For the plan.
    Plan(Event),
    /// The request failed, and with it the connection.
    Broken(RequestId, Failure),
    /// The disk did not take a piece.
    Disk(io::Error),
}

/// One request for a run of pieces.
pub(crate) struct Receive {
    pub(crate) request: RequestId,
    pub(crate) run: Range<PieceIndex>,
    pub(crate) connection: Connection,
    pub(crate) hash: ContentHash,
    pub(crate) hashes: Arc<PieceHashes>,
    pub(crate) file: Arc<File>,
    /// One writer at a time: the kernel locks a file for each write, and a second writer would
    /// only spin on that lock.
    pub(crate) writer: Arc<Semaphore>,
    pub(crate) news: mpsc::Sender<News>,
}

impl Receive {
    /// Runs until the run of pieces has come or something goes wrong.
    pub(crate) async fn run(self) {
        let request = self.request;
        let news = self.news.clone();
        let last = match self.receive().await {
            Ok(()) => News::Plan(Event::Ended(request)),
            Err(End::Broken(failure)) => News::Broken(request, failure),
            Err(End::Corrupt(piece)) => News::Plan(Event::Corrupt(request, piece)),
            Err(End::Disk(error)) => News::Disk(error),
        };
        // Nobody listens any more if the download has ended.
        let _ = news.send(last).await;
    }

    async fn receive(self) -> Result<(), End> {
        let bytes = self.hashes.geometry().run_range(self.run.clone());
        let response = self.ask(&bytes).await?;
        if let Some(status) = Status::from_header_map(response.headers()) {
            return Err(refusal(&status));
        }
        if response.status() != http::StatusCode::OK {
            return Err(End::Broken(Failure::Unreachable));
        }
        let mut body = response.into_body();
        let mut parser = ChunkParser::default();
        let mut pieces = Pieces::new(&self, bytes);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| End::Broken(Failure::Unreachable))?;
            match frame.into_data() {
                Ok(data) => {
                    let mut chunks = Vec::with_capacity(2);
                    parser
                        .feed(data, |chunk| chunks.push(chunk))
                        .map_err(|_| End::Broken(Failure::Dishonest))?;
                    let received = chunks.iter().map(|chunk| chunk.data.len() as u64).sum();
                    self.tell(Event::Received(self.request, received)).await?;
                    for chunk in chunks {
                        pieces.take(chunk).await?;
                    }
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    match Status::from_header_map(&trailers) {
                        Some(status) if status.code() == tonic::Code::Ok => {}
                        Some(status) => return Err(refusal(&status)),
                        None => return Err(End::Broken(Failure::Unreachable)),
                    }
                }
            }
        }
        pieces.finish().await?;
        if parser.is_between_messages() {
            Ok(())
        } else {
            Err(End::Broken(Failure::Unreachable))
        }
    }

    async fn ask(&self, bytes: &Range<u64>) -> Result<http::Response<hyper::body::Incoming>, End> {
        let message = DownloadFileRequest {
            hash: hash_bytes(&self.hash),
            ranges: vec![ByteRange {
                offset: bytes.start,
                length: bytes.end - bytes.start,
            }],
        };
        let mut framed = vec![0];
        framed.extend_from_slice(&(message.encoded_len() as u32).to_be_bytes());
        framed.extend_from_slice(&message.encode_to_vec());
        let mut bearer = HeaderValue::from_bytes(self.connection.bearer.as_bytes())
            .map_err(|_| End::Broken(Failure::Refused))?;
        bearer.set_sensitive(true);
        let request = Request::post(format!(
            "{}convite.v1.Peer/DownloadFile",
            self.connection.origin
        ))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header(header::AUTHORIZATION, bearer)
        .body(Body::new(Full::new(Bytes::from(framed))))
        .map_err(|_| End::Broken(Failure::Unreachable))?;
        self.connection
            .http2
            .clone()
            .oneshot(request)
            .await
            .map_err(|_| End::Broken(Failure::Unreachable))
    }

    async fn tell(&self, event: Event) -> Result<(), End> {
        // The engine is gone: so is the reason to go on.
        self.news
            .send(News::Plan(event))
            .await
            .map_err(|_| End::Broken(Failure::Unreachable))
    }
}

enum End {
    Broken(Failure),
    Corrupt(PieceIndex),
    Disk(io::Error),
}

fn refusal(status: &Status) -> End {
    let problem: Problem = from_status(status);
    tracing::debug!(code = %problem.code, "a provider refused: {problem}");
    End::Broken(failure(&problem))
}

/// The pieces of a run on their way in.
struct Pieces<'a> {
    receive: &'a Receive,
    /// Where the next byte belongs; to the end of the run.
    awaited: Range<u64>,
    index: PieceIndex,
    hasher: PieceHasher,
    parts: Vec<Bytes>,
    /// Small parts, not yet in `parts`.
    gathered: BytesMut,
    writing: Option<(PieceIndex, JoinHandle<io::Result<()>>)>,
}

impl<'a> Pieces<'a> {
    fn new(receive: &'a Receive, bytes: Range<u64>) -> Self {
        let index = receive.run.start;
        Self {
            receive,
            awaited: bytes,
            index,
            hasher: PieceHasher::new(&receive.hashes.geometry(), index),
            parts: Vec::new(),
            gathered: BytesMut::new(),
            writing: None,
        }
    }

    async fn take(&mut self, chunk: ChunkData) -> Result<(), End> {
        let geometry = self.receive.hashes.geometry();
        let mut data = chunk.data;
        if chunk.offset != self.awaited.start
            || data.len() as u64 > self.awaited.end - self.awaited.start
        {
            return Err(End::Broken(Failure::Dishonest));
        }
        while !data.is_empty() {
            let left = geometry.piece_range(self.index).end - self.awaited.start;
            let part = data.split_to((data.len() as u64).min(left) as usize);
            self.awaited.start += part.len() as u64;
            self.hasher.update(&part);
            self.gather(part);
            if self.awaited.start == geometry.piece_range(self.index).end {
                self.piece_came().await?;
            }
        }
        Ok(())
    }

    fn gather(&mut self, part: Bytes) {
        if part.len() < GATHER {
            self.gathered.extend_from_slice(&part);
            return;
        }
        if !self.gathered.is_empty() {
            self.parts.push(self.gathered.split().freeze());
        }
        self.parts.push(part);
    }

    async fn piece_came(&mut self) -> Result<(), End> {
        let hashes = &self.receive.hashes;
        let index = self.index;
        self.index += 1;
        let next = PieceHasher::new(
            &hashes.geometry(),
            self.index.min(hashes.geometry().piece_count() - 1),
        );
        let hash = std::mem::replace(&mut self.hasher, next).finish();
        if !self.gathered.is_empty() {
            self.parts.push(self.gathered.split().freeze());
        }
        let parts = std::mem::take(&mut self.parts);
        if !hashes.matches(index, &hash) {
            return Err(End::Corrupt(index));
        }
        self.written().await?;
        let file = self.receive.file.clone();
        let offset = hashes.geometry().piece_range(index).start;
        // The semaphore is never closed.
        let turn = self.receive.writer.clone().acquire_owned().await;
        let writing = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            write_parts(&file, &parts, offset)
        });
        self.writing = Some((index, writing));
        Ok(())
    }

    /// Waits for the piece that is being written, and reports it.
    async fn written(&mut self) -> Result<(), End> {
        let Some((index, writing)) = self.writing.take() else {
            return Ok(());
        };
        writing
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(End::Disk)?;
        let verified = Event::Verified(self.receive.request, index);
        self.receive.tell(verified).await
    }

    async fn finish(mut self) -> Result<(), End> {
        self.written().await?;
        if self.awaited.is_empty() {
            Ok(())
        } else {
            Err(End::Broken(Failure::Unreachable))
        }
    }
}

/// Writes the parts of a piece in one go, as far as the system takes them.
#[cfg(unix)]
fn write_parts(file: &File, parts: &[Bytes], mut offset: u64) -> io::Result<()> {
    /// What Linux takes at once (UIO_MAXIOV).
    const AT_ONCE: usize = 1024;
    let mut slices: Vec<io::IoSlice<'_>> =
        parts.iter().map(|part| io::IoSlice::new(part)).collect();
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        let at_once = rest.len().min(AT_ONCE);
        let written = match rustix::io::pwritev(file, &rest[..at_once], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => written,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        offset += written as u64;
        io::IoSlice::advance_slices(&mut rest, written);
    }
    Ok(())
}

#[cfg(windows)]
fn write_parts(file: &File, parts: &[Bytes], mut offset: u64) -> io::Result<()> {
    for part in parts {
        let mut rest = &part[..];
        while !rest.is_empty() {
            let written = std::os::windows::fs::FileExt::seek_write(file, rest, offset)?;
            offset += written as u64;
            rest = &rest[written..];
        }
    }
    Ok(())
}
