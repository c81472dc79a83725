//! Receiving pieces: the stream is taken apart, each piece is hashed as it comes, checked,
//! and written whole where it belongs.
//!
//! The file's bytes are hashed where HTTP/2 delivers them, and gathered for the disk (`contents`).
//! At most two pieces of a request are in memory: one being written, one coming.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use std::vec;

use bytes::Bytes;
use convite_core::model::Provider;
use convite_core::{ContentHash, PieceHasher, PieceHashes, PieceIndex, Problem};
use convite_swarm::{Event, Failure, ProviderId, RequestId};
use convite_wire::chunk::{ChunkData, ChunkParser};
use convite_wire::convert::hash_bytes;
use convite_wire::status::from_status;
use convite_wire::v1::{ByteRange, DownloadFileRequest};
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Full};
use prost::Message;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt;

use super::connection::{Connection, Grpc, failure};
use super::limit::RateLimit;
use crate::contents::{Contents, Gathered};

/// What a receiving task tells the engine.
pub(crate) enum News {
    /// For the plan.
    Plan(Event),
    /// The request failed, and with it the connection.
    Broken(RequestId, Failure),
    /// The disk did not take a piece.
    Disk(io::Error),
    /// A provider is gone, though nothing was asked of it just now.
    Gone(ProviderId, Failure),
    /// The directory names providers.
    Providers(Vec<Provider>),
}

/// One request for pieces.
pub(crate) struct Receive {
    pub(crate) request: RequestId,
    pub(crate) pieces: Vec<PieceIndex>,
    pub(crate) connection: Connection,
    pub(crate) hash: ContentHash,
    pub(crate) hashes: Arc<PieceHashes>,
    pub(crate) contents: Arc<Contents>,
    /// How fast all requests together may receive.
    pub(crate) limit: Option<Arc<RateLimit>>,
    pub(crate) news: mpsc::Sender<News>,
}

impl Receive {
    /// Runs until the pieces have come or something goes wrong.
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
        match &self.connection {
            Connection::Grpc(grpc) => self.receive_chunks(grpc).await,
            Connection::Http1(ranges) => ranges.receive(&self).await,
        }
    }

    async fn receive_chunks(&self, grpc: &Grpc) -> Result<(), End> {
        let response = self.ask(grpc).await?;
        if let Some(status) = Status::from_header_map(response.headers()) {
            return Err(refusal(&status));
        }
        if response.status() != http::StatusCode::OK {
            return Err(End::Broken(Failure::Unreachable));
        }
        let mut body = response.into_body();
        let mut parser = ChunkParser::default();
        let mut pieces = Pieces::new(self);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| End::Broken(Failure::Unreachable))?;
            match frame.into_data() {
                Ok(data) => {
                    let mut chunks = Vec::with_capacity(2);
                    parser
                        .feed(data, |chunk| chunks.push(chunk))
                        .map_err(|_| End::Broken(Failure::Dishonest))?;
                    let received = chunks.iter().map(|chunk| chunk.data.len() as u64).sum();
                    self.note(received).await?;
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

    async fn ask(&self, grpc: &Grpc) -> Result<http::Response<hyper::body::Incoming>, End> {
        let message = DownloadFileRequest {
            hash: hash_bytes(&self.hash),
            ranges: self.ranges(),
        };
        let mut framed = vec![0];
        framed.extend_from_slice(&(message.encoded_len() as u32).to_be_bytes());
        framed.extend_from_slice(&message.encode_to_vec());
        let mut bearer = HeaderValue::from_bytes(grpc.bearer.as_bytes())
            .map_err(|_| End::Broken(Failure::Refused))?;
        bearer.set_sensitive(true);
        let request = Request::post(format!("{}convite.v1.Peer/DownloadFile", grpc.origin))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(header::AUTHORIZATION, bearer)
            .body(Body::new(Full::new(Bytes::from(framed))))
            .map_err(|_| End::Broken(Failure::Unreachable))?;
        let http2 = grpc.http2.clone();
        let response = http2.oneshot(request).await;
        response.map_err(|_| End::Broken(Failure::Unreachable))
    }

    /// The pieces as byte ranges in the order asked, neighbours joined.
    pub(super) fn ranges(&self) -> Vec<ByteRange> {
        let geometry = self.hashes.geometry();
        let mut ranges: Vec<ByteRange> = Vec::new();
        for index in &self.pieces {
            let bytes = geometry.piece_range(*index);
            match ranges.last_mut() {
                Some(last) if last.offset + last.length == bytes.start => {
                    last.length = bytes.end - last.offset;
                }
                _ => ranges.push(ByteRange {
                    offset: bytes.start,
                    length: bytes.end - bytes.start,
                }),
            }
        }
        ranges
    }

    /// Reports bytes that came, and holds back the next if they came too fast.
    pub(super) async fn note(&self, bytes: u64) -> Result<(), End> {
        self.tell(Event::Received(self.request, bytes)).await?;
        if let Some(limit) = &self.limit {
            let mut wait = limit.take(bytes);
            while wait > Duration::ZERO {
                let part = wait.min(Duration::from_secs(1));
                tokio::time::sleep(part).await;
                wait -= part;
                // The provider is not to be taken for one that stalls.
                self.tell(Event::Received(self.request, 0)).await?;
            }
        }
        Ok(())
    }

    async fn tell(&self, event: Event) -> Result<(), End> {
        // The engine is gone: so is the reason to go on.
        self.news
            .send(News::Plan(event))
            .await
            .map_err(|_| End::Broken(Failure::Unreachable))
    }
}

/// Why a request ended before its pieces had come.
pub(super) enum End {
    Broken(Failure),
    Corrupt(PieceIndex),
    Disk(io::Error),
}

fn refusal(status: &Status) -> End {
    let problem: Problem = from_status(status);
    tracing::debug!(code = %problem.code, "a provider refused: {problem}");
    End::Broken(failure(&problem))
}

/// The pieces of a request on their way in.
pub(super) struct Pieces<'a> {
    receive: &'a Receive,
    /// The pieces after the one that is coming.
    next: vec::IntoIter<PieceIndex>,
    /// The piece that is coming; none after the last.
    coming: Option<Coming>,
    writing: Option<(PieceIndex, JoinHandle<io::Result<()>>)>,
}

struct Coming {
    index: PieceIndex,
    /// Its bytes that have not come.
    awaited: Range<u64>,
    hasher: PieceHasher,
    gathered: Gathered,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(receive: &'a Receive) -> Self {
        let mut pieces = Self {
            receive,
            next: receive.pieces.clone().into_iter(),
            coming: None,
            writing: None,
        };
        pieces.await_next();
        pieces
    }

    fn await_next(&mut self) {
        let geometry = self.receive.hashes.geometry();
        self.coming = self.next.next().map(|index| {
            let range = geometry.piece_range(index);
            Coming {
                index,
                hasher: PieceHasher::new(&geometry, index),
                gathered: self.receive.contents.gather(&range),
                awaited: range,
            }
        });
    }

    pub(super) async fn take(&mut self, chunk: ChunkData) -> Result<(), End> {
        let (mut data, mut offset) = (chunk.data, chunk.offset);
        while !data.is_empty() {
            // More than was asked for, or something else.
            let Some(coming) = self.coming.as_mut().filter(|c| c.awaited.start == offset) else {
                return Err(End::Broken(Failure::Dishonest));
            };
            let left = coming.awaited.end - offset;
            let part = data.split_to((data.len() as u64).min(left) as usize);
            offset += part.len() as u64;
            coming.awaited.start = offset;
            coming.hasher.update(&part);
            coming.gathered.push(part);
            if coming.awaited.is_empty() {
                self.piece_came().await?;
            }
        }
        Ok(())
    }

    async fn piece_came(&mut self) -> Result<(), End> {
        let Some(piece) = self.coming.take() else {
            return Ok(());
        };
        let (index, gathered) = (piece.index, piece.gathered.finish());
        self.await_next();
        let hashes = &self.receive.hashes;
        if !hashes.matches(index, &piece.hasher.finish()) {
            return Err(End::Corrupt(index));
        }
        self.written().await?;
        let writing = self.receive.contents.clone().writing(gathered).await;
        self.writing = Some((index, tokio::task::spawn_blocking(writing)));
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

    pub(super) async fn finish(mut self) -> Result<(), End> {
        self.written().await?;
        if self.coming.is_none() {
            Ok(())
        } else {
            Err(End::Broken(Failure::Unreachable))
        }
    }
}
