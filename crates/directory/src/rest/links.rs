//! `/files/{hash}/link` makes a link; `/d/{token}` is one.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use convite_core::ContentHash;
use convite_wire::rest::{LinkBody, LinkMade};

use super::contents::Reading;
use super::extract::{Json, PathPart};
use super::openapi::problems;
use super::{Answer, Refusal};
use crate::service::{Caller, Seen};
use crate::{Service, web};

problems!(
    CreateRefused,
    caller,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    TooLarge,
    UnsupportedMediaType
);

/// Makes a link to a file, for one who needs no account; it opens what its maker sees.
#[utoipa::path(
    post, path = "/files/{hash}/link", operation_id = "createLink", tag = "files",
    params(("hash" = ContentHash, Path)),
    request_body = LinkBody,
    responses((status = 201, description = "The link", body = LinkMade), CreateRefused),
    security(("session" = [])),
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(hash): PathPart,
    Json(body): Json<LinkBody>,
) -> Answer<(StatusCode, Body<LinkMade>)> {
    let (hash, lifetime) = (hash.parse()?, body.expires_in.map(Duration::from_secs));
    let issued = service
        .create_link(&caller, &hash, lifetime, body.uses)
        .await?;
    let made = LinkMade {
        path: issued.path,
        url: issued.url,
        expires_at: issued.expires.seconds(),
    };
    Ok((StatusCode::CREATED, Body(made)))
}

problems!(
    ReadRefused,
    anybody,
    InvalidArgument,
    NotFound,
    TooManyRequests,
    RangeNotSatisfiable,
    TooLarge,
    CorruptContents
);

/// The file that a link opens, as an attachment. Single ranges are served.
///
/// A use belongs to the network that began it: for ten minutes all of the file may be asked for
/// again from there, and its later parts until the link is over. To a browser (`Accept: text/html`) a link
/// that gives nothing says so on a small page.
#[utoipa::path(
    get, path = "/d/{token}", operation_id = "readLinked", tag = "files",
    params(
        ("token" = String, Path),
        ("Range" = Option<String>, Header, description = "Which bytes, as RFC 9110 says", example = "bytes=0-999"),
        ("If-Range" = Option<String>, Header, description = "The `ETag` that the range belongs to"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of what is there already"),
    ),
    responses(
        (status = 200, description = "The file; a body that breaks off before its `Content-Length` is not all of it",
            body = Vec<u8>, content_type = "*/*"),
        (status = 206, description = "The range", body = Vec<u8>, content_type = "*/*"),
        (status = 304, description = "It is there already"),
        ReadRefused,
    ),
)]
pub(super) async fn read(
    State(service): State<Arc<Service>>,
    seen: Seen,
    PathPart(token): PathPart,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let answer = match service.linked(&token, seen).await {
        Ok(linked) => {
            let reading = Reading {
                hash: linked.hash,
                inline: false,
                method,
                headers: headers.clone(),
                pass: Some(linked.pass),
            };
            reading.answer(linked.contents).await
        }
        Err(problem) => Refusal(problem).into_response(),
    };
    web::in_words(answer, &headers)
}
