//! Receives the pieces of a request from a provider: decodes the stream and passes its chunks to
//! `pieces`, which verifies and writes them.

use bytes::Bytes;
use convite_swarm::Event;
use convite_wire::chunk::ChunkParser;
use convite_wire::convert::hash_bytes;
use convite_wire::status::from_status;
use convite_wire::v1::{ByteRange, DownloadFileRequest};
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Full};
use prost::Message;
use tonic::Status;
use tonic::body::Body;
use tower::ServiceExt;

use crate::connection::{Connection, Grpc};
use crate::content::Content;
use crate::loss::Loss;
use crate::pieces::{CONNECTION_CLOSED, PieceAssembler, PieceRequest, ReceiveError};
use crate::sink::PieceSink;
use crate::task_event::TaskEvent;

impl<C: Content, S: PieceSink> PieceRequest<C, S> {
    /// Runs on `connection` until the pieces are received or an error occurs.
    pub(crate) async fn run(self, connection: Connection) {
        let request = self.request;
        let events = self.events.clone();
        let last = match self.receive(&connection).await {
            Ok(()) => TaskEvent::Plan(Event::Ended(request)),
            Err(ReceiveError::Broken(loss)) => TaskEvent::Broken(request, loss),
            Err(ReceiveError::Corrupt(piece)) => TaskEvent::Plan(Event::Corrupt(request, piece)),
            Err(ReceiveError::Sink(error)) => TaskEvent::SinkFailed(error),
        };
        // The send fails if the transfer has ended.
        let _ = events.send(last).await;
    }

    async fn receive(self, connection: &Connection) -> Result<(), ReceiveError> {
        let prepared = self.content.prepare(connection, &self.pieces).await;
        prepared.map_err(ReceiveError::Broken)?;
        let ranges = self.ranges();
        if ranges.is_empty() {
            return PieceAssembler::new(&self).finish().await;
        }
        match connection {
            Connection::Grpc(grpc) => self.receive_chunks(grpc, ranges).await,
            Connection::Http1(provider) => provider.receive(&self, ranges).await,
        }
    }

    async fn receive_chunks(
        &self,
        grpc: &Grpc,
        ranges: Vec<ByteRange>,
    ) -> Result<(), ReceiveError> {
        let response = self.ask(grpc, ranges).await?;
        if let Some(status) = Status::from_header_map(response.headers()) {
            return Err(refusal(&status));
        }
        if response.status() != http::StatusCode::OK {
            let how = format!("it responded with status {}", response.status());
            return Err(ReceiveError::Broken(Loss::disconnected(&how)));
        }
        let mut body = response.into_body();
        let mut parser = ChunkParser::default();
        let mut pieces = PieceAssembler::new(self);
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|_| ReceiveError::Broken(Loss::disconnected(CONNECTION_CLOSED)))?;
            match frame.into_data() {
                Ok(data) => {
                    let mut chunks = Vec::with_capacity(2);
                    parser
                        .feed(data, |chunk| chunks.push(chunk))
                        .map_err(|_| ReceiveError::Broken(Loss::wrong_data()))?;
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
                        None => {
                            return Err(ReceiveError::Broken(Loss::disconnected(
                                CONNECTION_CLOSED,
                            )));
                        }
                    }
                }
            }
        }
        pieces.finish().await?;
        if parser.is_between_messages() {
            Ok(())
        } else {
            Err(ReceiveError::Broken(Loss::disconnected(CONNECTION_CLOSED)))
        }
    }

    async fn ask(
        &self,
        grpc: &Grpc,
        ranges: Vec<ByteRange>,
    ) -> Result<http::Response<hyper::body::Incoming>, ReceiveError> {
        let message = DownloadFileRequest {
            hash: hash_bytes(&self.content.hash()),
            ranges,
        };
        let mut framed = vec![0];
        framed.extend_from_slice(&(message.encoded_len() as u32).to_be_bytes());
        framed.extend_from_slice(&message.encode_to_vec());
        let mut bearer = HeaderValue::from_bytes(grpc.bearer.as_bytes())
            .map_err(|_| ReceiveError::Broken(Loss::disconnected("the ticket is damaged")))?;
        bearer.set_sensitive(true);
        let request = Request::post(format!("{}convite.v1.Peer/DownloadFile", grpc.origin))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .header(header::AUTHORIZATION, bearer)
            .body(Body::new(Full::new(Bytes::from(framed))))
            .map_err(|_| ReceiveError::Broken(Loss::disconnected(CONNECTION_CLOSED)))?;
        let http2 = grpc.http2.clone();
        let response = http2.oneshot(request).await;
        response.map_err(|_| ReceiveError::Broken(Loss::disconnected(CONNECTION_CLOSED)))
    }
}

fn refusal(status: &Status) -> ReceiveError {
    let problem = from_status(status);
    tracing::debug!(code = %problem.code, "a source refused a request: {problem}");
    ReceiveError::Broken(Loss::from_provider(problem))
}
