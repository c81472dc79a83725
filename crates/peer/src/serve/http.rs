//! `GET`/`HEAD /files/…`: contents by hash or by path, for browsers, curl and scripts.
//!
//! `Repr-Digest` is not sent: BLAKE3 is not in the IANA registry of hash algorithms for HTTP
//! digest fields (RFC 9530, section 7.2), and another algorithm would mean another reading of the
//! file. The `ETag` is the content hash.

use std::net::IpAddr;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use convite_core::{ContentHash, ErrorCode, Problem, SafePath};
use convite_net::{Connection, request_id};
use convite_wire::attachment::{CONTENT_POLICY, content_type, disposition, matches_any};
use convite_wire::pieces::PiecesBody;
use convite_wire::range::{Asked, asked};
use convite_wire::status::ProblemDocument;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::body::{Dress, FileBody};
use super::{Serving, files};

/// Answers `/files/HASH`, `/files/HASH/pieces` and `/files/PATH`.
pub async fn get_file(
    State(serving): State<Serving>,
    Path(what): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    let remote = extensions.get::<Connection>();
    let remote = remote.map(|connection| connection.remote.ip());
    let answer = answer(&serving, &what, &method, uri.query(), &headers, remote).await;
    answer.unwrap_or_else(|problem| problem_response(&problem, None))
}

async fn answer(
    serving: &Serving,
    what: &str,
    method: &Method,
    query: Option<&str>,
    headers: &HeaderMap,
    remote: Option<IpAddr>,
) -> Result<Response, Problem> {
    let ticket = serving.gate.ticket(headers, query)?;
    if let Some(hash) = what.strip_suffix("/pieces").and_then(|h| h.parse().ok()) {
        ticket.opens(&hash)?;
        return pieces(serving, hash).await;
    }
    let hash = match what.parse::<ContentHash>() {
        Ok(hash) => hash,
        Err(_) => {
            let path: SafePath = what.parse()?;
            let served = serving.catalogue.by_path(&path);
            // To a bearer of another file's ticket, a path that is there and one that is not
            // look alike.
            served.map_or_else(|| ContentHash::from_bytes([0; 32]), |served| served.hash)
        }
    };
    ticket.opens(&hash)?;
    let source = files::find(serving, &hash)?;
    let size = source.size();
    let name = source.name().to_owned();
    let etag = format!("\"{hash}\"");

    let mut response = Response::builder()
        .header(ETAG, &etag)
        .header(ACCEPT_RANGES, "bytes")
        .header(CACHE_CONTROL, "private, no-cache")
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff");
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if text(IF_NONE_MATCH).is_some_and(|tags| matches_any(tags, &etag)) {
        return finish(response.status(StatusCode::NOT_MODIFIED), Body::empty());
    }
    // Ranges are defined for GET alone, but of a partial file a HEAD can ask for nothing else; a
    // condition that does not hold asks for the whole. Only our ETag can match: a date is no
    // strong validator.
    let may_range = method == Method::GET || matches!(source, files::Source::Partial(_));
    let wants_range = may_range && text(IF_RANGE).is_none_or(|tag| tag == etag);
    let range = match asked(text(RANGE).filter(|_| wants_range), size) {
        Ok(Asked::Whole) => 0..size,
        Ok(Asked::Part(part)) => {
            let value = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            response = response
                .status(StatusCode::PARTIAL_CONTENT)
                .header(CONTENT_RANGE, value);
            part
        }
        Err(problem) => return Ok(problem_response(&problem, Some(size))),
    };
    if let Err(problem) = source.check(std::slice::from_ref(&range)) {
        return Ok(problem_response(&problem, Some(size)));
    }
    let len = range.end - range.start;
    response = response
        .header(CONTENT_LENGTH, len)
        .header(CONTENT_TYPE, content_type(&name))
        .header(CONTENT_DISPOSITION, disposition(&name, false))
        .header(CONTENT_SECURITY_POLICY, CONTENT_POLICY);
    if method == Method::HEAD {
        source.open(serving).await?;
        return finish(response, Body::empty());
    }
    let upload = serving
        .uploads
        .begin(&name, hash, size, ticket.user, remote)
        .await?;
    let geometry = source.geometry();
    let file = source.open(serving).await?;
    if let Some(geometry) = geometry {
        let promised = std::slice::from_ref(&range);
        serving.promises.note(hash, &geometry, promised);
    }
    let chunks = files::read_ahead(file, vec![range], upload.pace(), serving);
    let body = FileBody::new(chunks, len, Dress::Http, upload);
    finish(response, Body::new(body))
}

async fn pieces(serving: &Serving, hash: ContentHash) -> Result<Response, Problem> {
    let pieces = files::pieces(serving, hash).await?;
    Ok(Json(PiecesBody::new(&pieces)).into_response())
}

fn finish(response: http::response::Builder, body: Body) -> Result<Response, Problem> {
    response
        .body(body)
        .map_err(|e| Problem::new(ErrorCode::Internal, format!("cannot answer: {e}")))
}

/// A problem document; with the file's size for a range that it cannot satisfy.
pub(super) fn problem_response(problem: &Problem, size: Option<u64>) -> Response {
    let status = StatusCode::from_u16(problem.code.http_status())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let document = ProblemDocument {
        request_id: request_id::current().map(|id| id.as_str().to_owned()),
        ..ProblemDocument::from(problem)
    };
    let mut response = (status, Json(document)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
    }
    if let Some(value) = size.and_then(|size| format!("bytes */{size}").parse().ok()) {
        headers.insert(CONTENT_RANGE, value);
    }
    response
}
