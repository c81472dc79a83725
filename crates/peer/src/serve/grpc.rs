//! The gRPC service `Peer`. `DownloadFile` is built by hand, so that the file's bytes go from the
//! read to the socket uncopied (see [`convite_wire::chunk`]); on the wire it is like any other.

use std::net::IpAddr;
use std::ops::Range;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{Buf, Bytes};
use convite_core::{ContentHash, ErrorCode, Problem};
use convite_net::Connection;
use convite_wire::status::to_status;
use convite_wire::v1::{
    AvailabilityReply, AvailabilityRequest, DownloadFileRequest, GetPiecesReply, GetPiecesRequest,
};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use prost::Message;

use super::body::{Dress, FileBody};
use super::{Serving, availability, files};

/// The largest request, in bytes.
const REQUEST_MAX: usize = 64 << 10;
/// The most ranges in one request.
const RANGES_MAX: usize = 4096;

/// Answers `DownloadFile`.
pub async fn download_file(State(serving): State<Serving>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let remote = parts.extensions.get::<Connection>();
    let remote = remote.map(|connection| connection.remote.ip());
    match download(&serving, &parts.headers, remote, body).await {
        Ok(response) => response,
        Err(problem) => to_status(&problem).into_http(),
    }
}

async fn download(
    serving: &Serving,
    headers: &HeaderMap,
    remote: Option<IpAddr>,
    body: Body,
) -> Result<Response, Problem> {
    let ticket = serving.gate.ticket(headers, None)?;
    let body = Limited::new(body, REQUEST_MAX)
        .collect()
        .await
        .map_err(|error| match error.is::<LengthLimitError>() {
            true => Problem::new(
                ErrorCode::TooLarge,
                format!("the request did not come whole within {REQUEST_MAX} bytes"),
            ),
            false => Problem::new(ErrorCode::Unavailable, "the request did not come whole"),
        })?;
    let request = decode(body.to_bytes())?;
    let hash = ContentHash::from_slice(&request.hash)?;
    ticket.opens(&hash)?;
    if request.ranges.len() > RANGES_MAX {
        return Err(Problem::invalid(format!(
            "more than {RANGES_MAX} ranges in one request"
        )));
    }
    let source = files::find(serving, &hash)?;
    let ranges = ranges(&request, source.size())?;
    // Ranges may overlap; their sum may not overflow.
    let len = ranges
        .iter()
        .try_fold(0u64, |sum, range| sum.checked_add(range.end - range.start))
        .ok_or_else(|| Problem::invalid("the ranges are too large together"))?;
    source.check(&ranges)?;
    let upload = serving
        .uploads
        .begin(source.name(), hash, source.size(), ticket.user, remote)
        .await?;
    let geometry = source.geometry();
    let file = source.open(serving).await?;
    if let Some(geometry) = geometry {
        serving.promises.note(hash, &geometry, &ranges);
    }
    let chunks = files::read_ahead(file, ranges, upload.pace(), serving);
    let body = FileBody::new(chunks, len, Dress::Grpc, upload);
    Response::builder()
        .header(CONTENT_TYPE, "application/grpc")
        .body(Body::new(body))
        .map_err(|e| Problem::new(ErrorCode::Internal, format!("cannot answer: {e}")))
}

/// Takes the one message out of a unary request (gRPC over HTTP/2, "Requests").
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
            "a range lies outside the file",
        )
        .hint(format!("the file has {size} bytes, numbered from 0"))
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

/// Answers `GetPieces`.
pub async fn get_pieces(
    State(serving): State<Serving>,
    request: Request,
) -> http::Response<tonic::body::Body> {
    let service = tower::service_fn(move |request: tonic::Request<GetPiecesRequest>| {
        let serving = serving.clone();
        async move {
            let reply = pieces(&serving, request).await;
            reply.map_err(|problem| to_status(&problem))
        }
    });
    let codec = tonic_prost::ProstCodec::<GetPiecesReply, GetPiecesRequest>::default();
    tonic::server::Grpc::new(codec)
        .apply_max_message_size_config(Some(REQUEST_MAX), None)
        .unary(service, request)
        .await
}

async fn pieces(
    serving: &Serving,
    request: tonic::Request<GetPiecesRequest>,
) -> Result<tonic::Response<GetPiecesReply>, Problem> {
    let headers = request.metadata().clone().into_headers();
    let ticket = serving.gate.ticket(&headers, None)?;
    let hash = ContentHash::from_slice(&request.get_ref().hash)?;
    ticket.opens(&hash)?;
    let pieces = files::pieces(serving, hash).await?;
    Ok(tonic::Response::new(GetPiecesReply {
        file_size: pieces.geometry().file_size(),
        piece_size: pieces.geometry().piece_size(),
        piece_hashes: Bytes::copy_from_slice(pieces.as_slice().as_flattened()),
    }))
}

/// Answers `Availability`.
pub async fn availability(
    State(serving): State<Serving>,
    request: Request,
) -> http::Response<tonic::body::Body> {
    let service = tower::service_fn(move |request: tonic::Request<AvailabilityRequest>| {
        let messages = availability::subscribe(&serving, &request);
        let reply = messages.map(tonic::Response::new);
        std::future::ready(reply.map_err(|problem| to_status(&problem)))
    });
    let codec = tonic_prost::ProstCodec::<AvailabilityReply, AvailabilityRequest>::default();
    tonic::server::Grpc::new(codec)
        .apply_max_message_size_config(Some(REQUEST_MAX), None)
        .server_streaming(service, request)
        .await
}
