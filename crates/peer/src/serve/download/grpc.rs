//! The gRPC service `Peer`. `DownloadFile` is encoded by hand, so that file bytes go from the read
//! to the socket without a copy (see [`convite_wire::chunk`]). The wire format is standard gRPC.

use std::net::IpAddr;
use std::ops::Range;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{Buf, Bytes};
use convite_core::{ContentHash, ErrorCode, Problem};
use convite_net::ConnectionInfo;
use convite_wire::status::to_status;
use convite_wire::v1::{
    AvailabilityReply, AvailabilityRequest, DownloadFileRequest, GetPiecesReply, GetPiecesRequest,
};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use prost::Message;

use crate::serve::context::ServeContext;
use crate::serve::download::file_body::{BodyEncoding, FileBody};
use crate::serve::download::{availability, contents, files};

/// The largest request in bytes.
const REQUEST_MAX: usize = 64 << 10;
/// The maximum number of ranges in a request.
const RANGES_MAX: usize = 4096;

/// Handles `DownloadFile`.
pub async fn download_file(State(serving): State<ServeContext>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let remote = parts.extensions.get::<ConnectionInfo>();
    let remote = remote.map(|connection| connection.remote.ip());
    match download(&serving, &parts.headers, remote, body).await {
        Ok(response) => response,
        Err(problem) => to_status(&problem).into_http(),
    }
}

async fn download(
    serving: &ServeContext,
    headers: &HeaderMap,
    remote: Option<IpAddr>,
    body: Body,
) -> Result<Response, Problem> {
    let ticket = serving.gate.reader_ticket(headers, None)?;
    let body = Limited::new(body, REQUEST_MAX)
        .collect()
        .await
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                Problem::new(
                    ErrorCode::TooLarge,
                    format!("the request is larger than {REQUEST_MAX} bytes"),
                )
            } else {
                Problem::new(ErrorCode::Unavailable, "the request is incomplete")
            }
        })?;
    let request = decode(body.to_bytes())?;
    let hash = ContentHash::from_slice(&request.hash)?;
    if request.ranges.len() > RANGES_MAX {
        return Err(Problem::invalid(format!(
            "more than {RANGES_MAX} ranges in one request"
        )));
    }
    let source = contents::find(serving, &ticket, &hash)?;
    let ranges = ranges(&request, source.size())?;
    // Ranges may overlap, but their sum must not overflow.
    let len = ranges
        .iter()
        .try_fold(0u64, |sum, range| sum.checked_add(range.end - range.start))
        .ok_or_else(|| Problem::invalid("the sum of the ranges is too large"))?;
    source.check(&ranges)?;
    let upload = serving
        .uploads
        .begin(
            source.name(),
            hash,
            source.size(),
            ticket.user.clone(),
            remote,
        )
        .await?;
    let content = source.open(serving).await?;
    content.promise(serving, hash, &ranges);
    let chunks = content.read_ahead(ranges, upload.pace(), serving);
    let body = FileBody::new(chunks, len, BodyEncoding::Grpc, upload);
    Response::builder()
        .header(CONTENT_TYPE, "application/grpc")
        .body(Body::new(body))
        .map_err(|e| Problem::new(ErrorCode::Internal, format!("cannot answer: {e}")))
}

/// Decodes the only message of a unary request (gRPC over HTTP/2, "Requests").
fn decode(mut body: Bytes) -> Result<DownloadFileRequest, Problem> {
    let malformed = || Problem::invalid("the request is not one uncompressed gRPC message");
    if body.len() < 5 {
        return Err(malformed());
    }
    let compressed = body.get_u8();
    let len = body.get_u32() as usize;
    if compressed != 0 || len != body.len() {
        return Err(malformed());
    }
    DownloadFileRequest::decode(body).map_err(|_| malformed())
}

fn ranges(request: &DownloadFileRequest, size: u64) -> Result<Vec<Range<u64>>, Problem> {
    if request.ranges.is_empty() {
        return Ok(std::iter::once(0..size).collect());
    }
    let outside = || {
        Problem::new(
            ErrorCode::RangeNotSatisfiable,
            "a range is outside the file or folder",
        )
        .hint(format!("it has {size} bytes, numbered from 0"))
    };
    request
        .ranges
        .iter()
        .map(|range| {
            let end = match range.length {
                0 => Some(size),
                length => range.offset.checked_add(length),
            };
            let end = end.filter(|end| *end <= size).ok_or_else(outside)?;
            if range.offset > end {
                return Err(outside());
            }
            Ok(range.offset..end)
        })
        .collect()
}

/// Handles `GetPieces`.
pub async fn get_pieces(
    State(serving): State<ServeContext>,
    request: Request,
) -> http::Response<tonic::body::Body> {
    let service = tower::service_fn(move |request: tonic::Request<GetPiecesRequest>| {
        let serving = serving.clone();
        async move {
            let reply = pieces(&serving, request).await;
            reply.map_err(|problem| to_status(&problem))
        }
    });
    let codec = convite_wire::codec::CountingCodec::<GetPiecesReply, GetPiecesRequest>::default();
    tonic::server::Grpc::new(codec)
        .apply_max_message_size_config(Some(REQUEST_MAX), None)
        .unary(service, request)
        .await
}

async fn pieces(
    serving: &ServeContext,
    request: tonic::Request<GetPiecesRequest>,
) -> Result<tonic::Response<GetPiecesReply>, Problem> {
    let headers = request.metadata().clone().into_headers();
    let ticket = serving.gate.reader_ticket(&headers, None)?;
    let hash = ContentHash::from_slice(&request.get_ref().hash)?;
    let pieces = files::pieces(serving, &ticket, hash).await?;
    Ok(tonic::Response::new(GetPiecesReply {
        file_size: pieces.geometry().file_size(),
        piece_size: pieces.geometry().piece_size(),
        piece_hashes: Bytes::copy_from_slice(pieces.as_slice().as_flattened()),
    }))
}

/// Handles `Availability`.
pub async fn availability(
    State(serving): State<ServeContext>,
    request: Request,
) -> http::Response<tonic::body::Body> {
    let service = tower::service_fn(move |request: tonic::Request<AvailabilityRequest>| {
        let serving = serving.clone();
        async move {
            let messages = availability::subscribe(&serving, &request).await;
            let reply = messages.map(tonic::Response::new);
            reply.map_err(|problem| to_status(&problem))
        }
    });
    let codec =
        convite_wire::codec::CountingCodec::<AvailabilityReply, AvailabilityRequest>::default();
    tonic::server::Grpc::new(codec)
        .apply_max_message_size_config(Some(REQUEST_MAX), None)
        .server_streaming(service, request)
        .await
}
