//! `BeginUpload` and `UploadFile`: a file for the inbox over gRPC. The stream is taken apart by hand,
//! so that the file's bytes go from the socket to the disk by reference (see [`convite_wire::chunk`]).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use convite_core::{ErrorCode, Problem};
use convite_metrics::catalogue::RECEIVED_BYTES;
use convite_wire::chunk::{ChunkData, ChunkParser};
use convite_wire::convert::hash_bytes;
use convite_wire::status::to_status;
use convite_wire::upload_ticket::UploadTicket;
use convite_wire::v1::{BeginUploadReply, BeginUploadRequest, UploadFileReply};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Full};
use prost::Message;

use super::Serving;
use super::patience::Patience;
use crate::inbox::{Inbox, Received, Upload};

/// Names the upload that a stream goes on with.
const UPLOAD: HeaderName = HeaderName::from_static("convite-upload");
/// The largest request to begin an upload, in bytes.
const REQUEST_MAX: usize = 64 << 10;

/// The inbox, and who wants to put something there.
///
/// # Errors
/// Those of the ticket; `permission_denied` if there is no inbox.
pub(super) fn admit(
    serving: &Serving,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<(Arc<Inbox>, UploadTicket), Problem> {
    let ticket = serving.gate.upload_ticket(headers, query)?;
    let inbox = serving.inbox.clone().ok_or_else(|| {
        Problem::new(ErrorCode::PermissionDenied, "this peer takes no uploads")
            .hint("its owner lets others with `--allow-uploads`")
    })?;
    Ok((inbox, ticket))
}

/// Answers `BeginUpload`.
pub async fn begin_upload(
    State(serving): State<Serving>,
    request: Request,
) -> http::Response<tonic::body::Body> {
    let service = tower::service_fn(move |request: tonic::Request<BeginUploadRequest>| {
        let serving = serving.clone();
        async move {
            let begun = begin(&serving, request).await;
            begun.map_err(|problem| to_status(&problem))
        }
    });
    let codec = tonic_prost::ProstCodec::<BeginUploadReply, BeginUploadRequest>::default();
    tonic::server::Grpc::new(codec)
        .apply_max_message_size_config(Some(REQUEST_MAX), None)
        .unary(service, request)
        .await
}

async fn begin(
    serving: &Serving,
    request: tonic::Request<BeginUploadRequest>,
) -> Result<tonic::Response<BeginUploadReply>, Problem> {
    let headers = request.metadata().clone().into_headers();
    let (inbox, ticket) = admit(serving, &headers, None)?;
    let file = request.into_inner();
    let begun = tokio::task::spawn_blocking(move || {
        inbox.begin(&ticket, &file.name, file.size, file.modified_ns, file.anew)
    });
    let begun = begun
        .await
        .map_err(|_| Problem::new(ErrorCode::Internal, "a task of the peer failed"))??;
    Ok(tonic::Response::new(BeginUploadReply {
        upload: begun.upload,
        piece_hashes: Bytes::from(begun.held.as_flattened().to_vec()),
        done: begun.done.as_ref().map(reply),
    }))
}

/// Answers `UploadFile`.
pub async fn upload_file(State(serving): State<Serving>, request: Request) -> Response {
    let answered = match receive(&serving, request).await {
        Ok(received) => answer(&received),
        Err(problem) => Err(problem),
    };
    answered.unwrap_or_else(|problem| to_status(&problem).into_http())
}

async fn receive(serving: &Serving, request: Request) -> Result<Received, Problem> {
    let (parts, body) = request.into_parts();
    let (inbox, ticket) = admit(serving, &parts.headers, None)?;
    let id = parts.headers.get(UPLOAD).and_then(|id| id.to_str().ok());
    let id = id.ok_or_else(|| {
        Problem::invalid("the metadata has no 'convite-upload'")
            .hint("begin with `BeginUpload`, and send the id that it answers")
    })?;
    let mut stream = Stream {
        body,
        parser: ChunkParser::of_upload(),
        chunks: Vec::new(),
        patience: Patience::default(),
    };
    // Where it begins decides what is kept of an earlier attempt.
    let first = stream.next(serving).await?;
    let offset = first.first().map_or(0, |chunk| chunk.offset);
    let mut upload = inbox.resume(&ticket, id, offset).await?;
    take(serving, &mut upload, first).await?;
    loop {
        let chunks = stream.next(serving).await?;
        if chunks.is_empty() {
            break;
        }
        take(serving, &mut upload, chunks).await?;
    }
    let hash = stream.parser.hash().ok_or_else(|| {
        Problem::new(
            ErrorCode::Unavailable,
            "the upload broke off before its hash",
        )
        .hint("send it again: what came is kept for a day")
    })?;
    upload.finish(Some(hash)).await
}

async fn take(
    serving: &Serving,
    upload: &mut Upload,
    chunks: Vec<ChunkData>,
) -> Result<(), Problem> {
    for chunk in chunks {
        if chunk.offset != upload.received() && !chunk.data.is_empty() {
            return Err(Problem::invalid("the chunks are not in order"));
        }
        let bytes = chunk.data.len() as f64;
        upload.take(chunk.data).await?;
        serving.counted.add(&RECEIVED_BYTES, &[], bytes);
    }
    Ok(())
}

/// What a sender is told who lost the patience.
pub(super) fn too_slow() -> Problem {
    Problem::new(
        ErrorCode::Unavailable,
        "the upload stalled, or came too slowly",
    )
    .hint("send it again when the network is better")
}

/// The messages of a request, taken apart.
struct Stream {
    body: Body,
    parser: ChunkParser,
    chunks: Vec<ChunkData>,
    patience: Patience,
}

impl Stream {
    /// The next chunks; none at the end of the stream.
    async fn next(&mut self, serving: &Serving) -> Result<Vec<ChunkData>, Problem> {
        let broken = || Problem::new(ErrorCode::Unavailable, "the upload broke off");
        while self.chunks.is_empty() {
            let frame = tokio::select! {
                frame = self.patience.wait(self.body.frame()) => frame,
                () = serving.stop.cancelled() => {
                    return Err(Problem::new(ErrorCode::Unavailable, "this peer is leaving"));
                }
            };
            let Some(frame) = frame.ok_or_else(too_slow)? else {
                return match self.parser.is_between_messages() {
                    true => Ok(Vec::new()),
                    false => Err(broken()),
                };
            };
            if let Ok(data) = frame.map_err(|_| broken())?.into_data() {
                self.patience.earn(data.len());
                let chunks = &mut self.chunks;
                self.parser.feed(data, |chunk| chunks.push(chunk))?;
            }
        }
        Ok(std::mem::take(&mut self.chunks))
    }
}

fn reply(received: &Received) -> UploadFileReply {
    UploadFileReply {
        path: received.path.clone(),
        hash: hash_bytes(&received.hash),
        size: received.size,
    }
}

/// One message and an `OK` (gRPC over HTTP/2, "Responses").
fn answer(received: &Received) -> Result<Response, Problem> {
    let message = reply(received);
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(message.encoded_len() as u32);
    framed.put_slice(&message.encode_to_vec());
    let trailers = HeaderMap::from_iter([(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    let trailers = async move { Some(Ok(trailers)) };
    let body = Full::new(framed.freeze()).with_trailers(trailers);
    Response::builder()
        .header(CONTENT_TYPE, "application/grpc")
        .body(Body::new(body))
        .map_err(|e| Problem::new(ErrorCode::Internal, format!("cannot answer: {e}")))
}
