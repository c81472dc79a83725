//! `/files/{hash}/link` creates a link; `/d/{token}` opens it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, LOCATION, RANGE, REFERRER_POLICY};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use convite_core::ContentHash;
use convite_wire::range::{Asked, asked};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::contents::ContentRequest;
use super::extractors::{Json, PathPart, Query};
use super::openapi::problems;
use crate::answer::{HandlerResult, ProblemResponse};
use crate::service::{Caller, ClientAddress, OpenedLink};
use crate::{Service, web};

/// `POST /files/{hash}/link`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LinkBody {
    /// Lifetime in seconds, from a minute to 30 days; an hour if absent.
    #[schema(minimum = 60, maximum = 2_592_000)]
    pub expires_in: Option<u64>,
    /// Number of uses; 1 if absent.
    #[schema(minimum = 1, maximum = 1_000)]
    pub uses: Option<u32>,
    /// The name that the file is offered under. Not given, or none of its names: the most common
    /// one.
    pub name: Option<String>,
}

/// The response to the creation of a link.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub(super) struct LinkMade {
    /// Path of the link on this server; the last part is a secret.
    pub path: String,
    /// The complete link.
    pub url: String,
    /// Expiry time in seconds since 1970.
    pub expires_at: i64,
}

/// A request for at most this many first bytes of a larger file may be a preview, which only
/// determines the file type or reads an embedded picture.
const PREVIEW_RANGE_MAX: u64 = 1 << 20;

problems!(
    CreateRefused,
    caller,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    TooLarge,
    UnsupportedMediaType
);

/// Creates a link to a file; it requires no account, and gives access with its creator's
/// permissions.
#[utoipa::path(
    post, path = "/files/{hash}/link", operation_id = "createLink", tag = "files",
    params(("hash" = ContentHash, Path)),
    request_body = LinkBody,
    responses((status = 201, description = "The link", body = LinkMade), CreateRefused),
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(hash): PathPart,
    Json(body): Json<LinkBody>,
) -> HandlerResult<(StatusCode, Body<LinkMade>)> {
    let (hash, lifetime) = (hash.parse()?, body.expires_in.map(Duration::from_secs));
    let name = body.name.as_deref().unwrap_or_default();
    let issued = service
        .create_link(&caller, &hash, name, lifetime, body.uses)
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
    public,
    InvalidArgument,
    NotFound,
    TooManyRequests,
    RangeNotSatisfiable,
    TooLarge,
    CorruptContents
);

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LinkQuery {
    /// The pass that the button on the page adds; with it, the file is returned without the page.
    #[param(nullable = false)]
    pass: Option<String>,
}

/// Returns the file of a link as an attachment; browsers and previews get a page about it.
///
/// Programs such as curl get the file immediately; single ranges are supported. Browsers (`Accept:
/// text/html`, fetch metadata), link previews of chat programs, and requests for only the first
/// bytes get a page with the name, size, sender and a button; this does not spend a use. A use
/// belongs to the network that began it: from there, the whole file can be requested again for ten
/// minutes, and later parts until the link expires.
#[utoipa::path(
    get, path = "/d/{token}", operation_id = "readLinked", tag = "files",
    params(
        ("token" = String, Path),
        LinkQuery,
        ("Range" = Option<String>, Header, description = "The requested bytes (RFC 9110)", example = "bytes=0-999"),
        ("If-Range" = Option<String>, Header, description = "The `ETag` that the range belongs to"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` of the client's copy"),
    ),
    responses(
        (status = 200, description = "The file; a body shorter than its `Content-Length` is incomplete",
            body = Vec<u8>, content_type = "*/*"),
        (status = 206, description = "The range", body = Vec<u8>, content_type = "*/*"),
        (status = 304, description = "The client's copy is current"),
        ReadRefused,
    ),
)]
pub(super) async fn read(
    State(service): State<Arc<Service>>,
    seen: ClientAddress,
    PathPart(token): PathPart,
    Query(parameters): Query<LinkQuery>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let linked = match service.linked(&token, seen).await {
        Ok(linked) => linked,
        Err(problem) => {
            return web::link_error_page(ProblemResponse(problem).into_response(), &headers);
        }
    };
    let pressed = parameters.pass.as_deref();
    let is_button_token = pressed.is_some_and(|pass| linked.pass.is_button_token(pass));
    if !is_button_token && is_preview(&linked, &headers) {
        let page = web::LinkPage {
            name: linked.contents.name(),
            size: linked.contents.size(),
            sender: linked.sender,
        };
        return page.answer(&headers);
    }
    let reading = ContentRequest {
        hash: linked.hash,
        inline: false,
        method,
        headers: headers.clone(),
        pass: Some(linked.pass),
    };
    let answer = reading.answer(linked.contents).await;
    web::link_error_page(answer, &headers)
}

/// Returns whether the client is a browser or a preview, or requests so little that it may be one.
fn is_preview(linked: &OpenedLink, headers: &HeaderMap) -> bool {
    if web::is_browser_or_preview(headers) {
        return true;
    }
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
    let size = linked.contents.size();
    let is_sample = matches!(asked(range, size), Ok(Asked::Part(part))
        if part.start == 0 && part.end < size && part.end <= PREVIEW_RANGE_MAX);
    is_sample && !linked.begun
}

problems!(
    DownloadRefused,
    public,
    InvalidArgument,
    NotFound,
    TooManyRequests
);

/// Redirects to the file of a link: the action of the button on its page.
///
/// The target serves the file to this network, with ranges, until the link expires.
#[utoipa::path(
    post, path = "/d/{token}", operation_id = "downloadLinked", tag = "files",
    params(("token" = String, Path)),
    responses((status = 303, description = "Redirect to the file"), DownloadRefused),
)]
pub(super) async fn download(
    State(service): State<Arc<Service>>,
    seen: ClientAddress,
    PathPart(token): PathPart,
    headers: HeaderMap,
) -> Response {
    match service.linked(&token, seen).await {
        Ok(linked) => {
            // Relative: the directory may be behind a proxy, under a path prefix.
            let place = format!("?pass={}", linked.pass.button_token());
            let fields = [
                (LOCATION, place),
                (CACHE_CONTROL, "no-store".to_owned()),
                (REFERRER_POLICY, "no-referrer".to_owned()),
            ];
            (StatusCode::SEE_OTHER, fields).into_response()
        }
        Err(problem) => web::link_error_page(ProblemResponse(problem).into_response(), &headers),
    }
}
