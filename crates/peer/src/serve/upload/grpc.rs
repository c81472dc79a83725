//! `BeginUpload` and `UploadFile`: uploads to the inbox over gRPC. The stream is parsed by hand, so
//! that file bytes go from the socket to the disk without a copy (see [`convite_wire::chunk`]).

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use convite_core::{ErrorCode, Problem};
use convite_metrics::catalogue::RECEIVED_BYTES;
use convite_net::min_rate::RateBudget;
use convite_net::task::blocking;
use convite_wire::chunk::{ChunkData, ChunkParser};
use convite_wire::convert::hash_bytes;
use convite_wire::status::to_status;
use convite_wire::upload_ticket::UploadTicket;
use convite_wire::v1::{BeginUploadReply, BeginUploadRequest, UploadFileReply};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Full};
use prost::Message;

use crate::inbox::{Inbox, InboxUpload, ReceivedFile};
use crate::serve::context::ServeContext;
use crate::serve::middleware::body_rate::UPLOAD_RATE;

/// The id of the upload that a stream belongs to.
const UPLOAD: HeaderName = HeaderName::from_static("convite-upload");
/// The largest `BeginUpload` request in bytes.
const REQUEST_MAX: usize = 64 << 10;

/// Returns the inbox and the caller's upload ticket.
///
/// # Errors
/// Returns the errors of the ticket check, and `permission_denied` if there is no inbox.
pub(crate) fn authorize_upload(
    serving: &ServeContext,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<(Arc<Inbox>, UploadTicket), Problem> {
    let ticket = serving.gate.upload_ticket(headers, query)?;
    let inbox = serving.inbox.clone().ok_or_else(|| {
        Problem::new(
            ErrorCode::PermissionDenied,
            "this peer does not accept uploads",
        )
        .hint("its owner can allow uploads with `--allow-uploads`")
    })?;
    Ok((inbox, ticket))
}

/// Handles `BeginUpload`.
pub async fn begin_upload(
    State(serving): State<ServeContext>,
    request: Request,
) -> http::Response<tonic::body::Body> {
    let service = tower::service_fn(move |request: tonic::Request<BeginUploadRequest>| {
        let serving = serving.clone();
        async move {
            let begun = begin(&serving, request).await;
            begun.map_err(|problem| to_status(&problem))
        }
    });
    let codec =
        convite_wire::codec::CountingCodec::<BeginUploadReply, BeginUploadRequest>::default();
    tonic::server::Grpc::new(codec)
        .apply_max_message_size_config(Some(REQUEST_MAX), None)
        .unary(service, request)
        .await
}

async fn begin(
    serving: &ServeContext,
    request: tonic::Request<BeginUploadRequest>,
) -> Result<tonic::Response<BeginUploadReply>, Problem> {
    let headers = request.metadata().clone().into_headers();
    let (inbox, ticket) = authorize_upload(serving, &headers, None)?;
    let file = request.into_inner();
    let begun =
        blocking(move || inbox.begin(&ticket, &file.name, file.size, file.modified_ns, file.anew))
            .await?;
    Ok(tonic::Response::new(BeginUploadReply {
        upload: begun.upload,
        piece_hashes: Bytes::from(begun.held.as_flattened().to_vec()),
        done: begun.done.as_ref().map(reply),
    }))
}

/// Handles `UploadFile`.
pub async fn upload_file(State(serving): State<ServeContext>, request: Request) -> Response {
    let answered = match receive(&serving, request).await {
        Ok(received) => answer(&received),
        Err(problem) => Err(problem),
    };
    answered.unwrap_or_else(|problem| to_status(&problem).into_http())
}

async fn receive(serving: &ServeContext, request: Request) -> Result<ReceivedFile, Problem> {
    let (parts, body) = request.into_parts();
    let (inbox, ticket) = authorize_upload(serving, &parts.headers, None)?;
    let id = parts.headers.get(UPLOAD).and_then(|id| id.to_str().ok());
    let id = id.ok_or_else(|| {
        Problem::invalid("the metadata has no 'convite-upload'")
            .hint("call `BeginUpload` first and send the id that it returns")
    })?;
    let mut stream = UploadStream {
        body,
        parser: ChunkParser::of_upload(),
        chunks: Vec::new(),
        budget: RateBudget::new(UPLOAD_RATE),
    };
    // The first offset determines how much of an earlier attempt is kept.
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
        Problem::new(ErrorCode::Unavailable, "the upload ended before its hash")
            .hint("send it again; the received part is kept for a day")
    })?;
    upload.finish(Some(hash)).await
}

async fn take(
    serving: &ServeContext,
    upload: &mut InboxUpload,
    chunks: Vec<ChunkData>,
) -> Result<(), Problem> {
    for chunk in chunks {
        if chunk.offset != upload.received() && !chunk.data.is_empty() {
            return Err(Problem::invalid("the chunks are not in order"));
        }
        let bytes = chunk.data.len() as f64;
        upload.take(chunk.data).await?;
        serving.metrics.add(&RECEIVED_BYTES, &[], bytes);
    }
    Ok(())
}

/// Returns the error for a sender that exceeded the time limit.
pub(crate) fn too_slow() -> Problem {
    Problem::new(ErrorCode::Unavailable, "the upload stalled or was too slow")
        .hint("send it again when the network is faster")
}

/// The messages of a request, decoded.
struct UploadStream {
    body: Body,
    parser: ChunkParser,
    chunks: Vec<ChunkData>,
    budget: RateBudget,
}

impl UploadStream {
    /// Returns the next chunks; none at the end of the stream.
    async fn next(&mut self, serving: &ServeContext) -> Result<Vec<ChunkData>, Problem> {
        let broken = || Problem::new(ErrorCode::Unavailable, "the upload was interrupted");
        while self.chunks.is_empty() {
            let frame = tokio::select! {
                frame = self.budget.wait(self.body.frame()) => frame,
                () = serving.stop.cancelled() => {
                    return Err(Problem::new(ErrorCode::Unavailable, "this peer is shutting down"));
                }
            };
            let Some(frame) = frame.ok_or_else(too_slow)? else {
                return if self.parser.is_between_messages() {
                    Ok(Vec::new())
                } else {
                    Err(broken())
                };
            };
            if let Ok(data) = frame.map_err(|_| broken())?.into_data() {
                self.budget.earn(data.len());
                let chunks = &mut self.chunks;
                self.parser.feed(data, |chunk| chunks.push(chunk))?;
            }
        }
        Ok(std::mem::take(&mut self.chunks))
    }
}

fn reply(received: &ReceivedFile) -> UploadFileReply {
    UploadFileReply {
        path: received.path.clone(),
        hash: hash_bytes(&received.hash),
        size: received.size,
    }
}

/// Encodes one message and an `OK` (gRPC over HTTP/2, "Responses").
fn answer(received: &ReceivedFile) -> Result<Response, Problem> {
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
