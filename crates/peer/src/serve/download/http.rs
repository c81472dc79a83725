//! `GET`/`HEAD /files/…`: file contents by hash or path, for browsers, curl and scripts.
//!
//! `Repr-Digest` is not sent: BLAKE3 is not in the IANA registry of hash algorithms for HTTP digest
//! fields (RFC 9530, section 7.2), and another algorithm would require reading the file twice. The
//! `ETag` is the content hash.

use std::net::IpAddr;
use std::ops::Range;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use convite_core::{ContentHash, ErrorCode, Problem, SafePath};
use convite_net::ConnectionInfo;
use convite_wire::attachment::{CONTENT_POLICY, content_type, disposition, matches_any};
use convite_wire::pieces::PiecesBody;
use convite_wire::range::{Asked, asked};
use convite_wire::reader_ticket::ReaderTicket;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{Extensions, HeaderMap, HeaderName, Method, StatusCode, Uri};

use crate::serve::context::ServeContext;
use crate::serve::download::file_body::{BodyEncoding, FileBody};
use crate::serve::download::files;
use crate::serve::download::read_ahead::read_ahead;
use crate::serve::download::uploads::Upload;
use crate::serve::problem::problem_response;
use crate::sharing::catalogue::IndexedFile;

/// Handles `/files/HASH`, `/files/HASH/pieces` and `/files/PATH`. PATH begins with the name of its
/// share, or is a path that exists in exactly one share.
pub async fn get_file(
    State(serving): State<ServeContext>,
    Path(what): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    extensions: Extensions,
) -> Response {
    let remote = extensions.get::<ConnectionInfo>();
    let remote = remote.map(|connection| connection.remote.ip());
    let answer = answer(&serving, &what, &method, uri.query(), &headers, remote).await;
    answer.unwrap_or_else(|problem| problem_response(&problem, None))
}

async fn answer(
    serving: &ServeContext,
    what: &str,
    method: &Method,
    query: Option<&str>,
    headers: &HeaderMap,
    remote: Option<IpAddr>,
) -> Result<Response, Problem> {
    let ticket = serving.gate.reader_ticket(headers, query)?;
    if let Some(hash) = what.strip_suffix("/pieces").and_then(|h| h.parse().ok()) {
        return pieces(serving, &ticket, hash).await;
    }
    let hash = requested_hash(serving, &ticket, what)?;
    let source = files::find(serving, &ticket, &hash)?;
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
    // Ranges are defined only for GET, but a HEAD request for a partial file needs them as well. If
    // the `If-Range` condition fails, the whole file is requested. Only an `ETag` can match: a date
    // is not a strong validator.
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
        .begin(&name, hash, size, ticket.user.clone(), remote)
        .await?;
    let body = read_body(serving, source, hash, range, upload).await?;
    finish(response, Body::new(body))
}

/// Returns the content hash that a path names, among the files that the reader may read.
///
/// # Errors
/// Returns `not_found` if there is no such file, with the text for an unknown hash.
fn requested_hash(
    serving: &ServeContext,
    reader: &ReaderTicket,
    what: &str,
) -> Result<ContentHash, Problem> {
    if let Ok(hash) = what.parse() {
        return Ok(hash);
    }
    let path: SafePath = what.parse()?;
    let catalogue = &serving.catalogue;
    let may_read = |file: &IndexedFile| reader.may_read(file.space.as_deref());
    let named = catalogue.by_path(&path).filter(|file| may_read(file));
    let served = named.or_else(|| catalogue.by_path_in_any_share(&path, may_read));
    let served = served.ok_or_else(files::not_shared)?;
    Ok(served.hash)
}

/// Opens a file and begins to read `range` of it.
async fn read_body(
    serving: &ServeContext,
    source: files::Source,
    hash: ContentHash,
    range: Range<u64>,
    upload: Upload,
) -> Result<FileBody, Problem> {
    let geometry = source.geometry();
    let len = range.end - range.start;
    let file = source.open(serving).await?;
    if let Some(geometry) = geometry {
        let promised = std::slice::from_ref(&range);
        serving.promises.note(hash, &geometry, promised);
    }
    let mut chunks = read_ahead(file.reader(vec![range]), upload.pace(), serving);
    // A file that cannot be read gets an error response instead of an aborted body.
    let first = match len {
        0 => None,
        _ => chunks.recv().await.transpose()?.map(Ok),
    };
    Ok(FileBody::new(chunks, len, BodyEncoding::Http, upload).with_first_chunk(first))
}

async fn pieces(
    serving: &ServeContext,
    reader: &ReaderTicket,
    hash: ContentHash,
) -> Result<Response, Problem> {
    let pieces = files::pieces(serving, reader, hash).await?;
    Ok(Json(PiecesBody::new(&pieces)).into_response())
}

fn finish(response: http::response::Builder, body: Body) -> Result<Response, Problem> {
    response
        .body(body)
        .map_err(|e| Problem::new(ErrorCode::Internal, format!("cannot answer: {e}")))
}
