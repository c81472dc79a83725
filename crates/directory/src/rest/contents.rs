//! `/files/{hash}/content`: file contents for browsers and curl.
//!
//! Responses follow RFC 9110 for a resource that never changes: the `ETag` is the hash, single
//! ranges and conditional requests are supported, and a request for several ranges gets the whole
//! file.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE, REFERRER_POLICY,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, response};
use axum::response::{IntoResponse, Response};
use convite_core::{ContentHash, ErrorCode, Problem};
use convite_wire::attachment::{
    CONTENT_POLICY, content_type, disposition, is_harmless, matches_any,
};
use convite_wire::range::{Asked, asked};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extractors::{PathPart, Query};
use super::openapi::problems;
use crate::Service;
use crate::answer::{HandlerResult, ProblemResponse};
use crate::service::{Caller, ClientAddress, Contents, LinkPermit, PageToken};

/// A short-lived token for a single purpose.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub(super) struct TokenMade {
    /// To be sent as the query parameter `token`.
    pub token: String,
    /// Expiry time in seconds since 1970.
    pub expires_at: i64,
}

/// `Retry-After` if no provider answers.
const RETRY_AFTER: Duration = Duration::from_secs(2);

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ContentQuery {
    /// Displays the file instead of saving it, if its type is safe to display.
    #[serde(default)]
    inline: bool,
    /// The token from `POST /files/{hash}/token`, instead of a session.
    #[param(nullable = false)]
    token: Option<String>,
    /// The name that the file is offered under. Not given, or none of its names: the most common
    /// one.
    #[param(nullable = false)]
    name: Option<String>,
}

problems!(
    ReadRefused,
    caller,
    InvalidArgument,
    PermissionDenied,
    NotFound,
    RangeNotSatisfiable,
    TooLarge,
    CorruptContents
);

/// Returns the contents of a file, verified in transit: for browsers and curl. Supports single
/// ranges.
#[utoipa::path(
    get, path = "/files/{hash}/content", operation_id = "readFile", tag = "files",
    params(
        ("hash" = ContentHash, Path),
        ContentQuery,
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
    caller: HandlerResult<Caller>,
    seen: ClientAddress,
    PathPart(hash): PathPart,
    Query(parameters): Query<ContentQuery>,
    method: Method,
    headers: HeaderMap,
) -> HandlerResult<Response> {
    let hash = hash.parse()?;
    let caller = match &parameters.token {
        Some(token) => service.content_token_caller(token, &hash, seen).await?,
        None => caller?,
    };
    let contents = service.contents(&caller, &hash, parameters.name).await?;
    let reading = ContentRequest {
        hash,
        inline: parameters.inline,
        method,
        headers,
        pass: None,
    };
    Ok(reading.answer(contents).await)
}

problems!(
    TokenRefused,
    caller,
    InvalidArgument,
    PermissionDenied,
    NotFound
);

/// Returns a token that gives read access to one file for an hour, as the parameter `token`: for
/// browser downloads, which send no headers. The token expires with the session.
#[utoipa::path(
    post, path = "/files/{hash}/token", operation_id = "createReadToken", tag = "files",
    params(("hash" = ContentHash, Path)),
    responses((status = 201, description = "The token", body = TokenMade), TokenRefused),
)]
pub(super) async fn token(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(hash): PathPart,
) -> HandlerResult<(StatusCode, axum::Json<TokenMade>)> {
    let made = service.content_token(&caller, &hash.parse()?).await?;
    Ok((StatusCode::CREATED, axum::Json(token_made(made))))
}

/// Converts a token to its response body.
pub(super) fn token_made(made: PageToken) -> TokenMade {
    TokenMade {
        token: made.token,
        expires_at: made.expires.seconds(),
    }
}

/// A request for a file.
pub(super) struct ContentRequest {
    pub hash: ContentHash,
    pub inline: bool,
    pub method: Method,
    pub headers: HeaderMap,
    /// Spent when the transfer begins; `None` for a request with a session.
    pub pass: Option<LinkPermit>,
}

impl ContentRequest {
    pub(super) async fn answer(self, contents: Contents) -> Response {
        let claimed = contents.size();
        self.try_answer(contents)
            .await
            .unwrap_or_else(|problem| refusal(problem, claimed))
    }

    async fn try_answer(&self, contents: Contents) -> Result<Response, Problem> {
        let etag = format!("\"{}\"", self.hash);
        let response = Response::builder()
            .header(ETAG, &etag)
            .header(ACCEPT_RANGES, "bytes")
            // The contents of a hash never change, but the permission to read them can.
            .header(CACHE_CONTROL, self.caching())
            .header(VARY, "authorization, cookie, convite-page-key")
            .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
            .header(REFERRER_POLICY, "no-referrer")
            .header(CONTENT_SECURITY_POLICY, CONTENT_POLICY);
        if self
            .text(&IF_NONE_MATCH)
            .is_some_and(|tags| matches_any(tags, &etag))
        {
            return finish(response.status(StatusCode::NOT_MODIFIED), Body::empty());
        }
        let name = contents.name();
        let kind = content_type(&name);
        let inline = self.inline && is_harmless(&kind);
        let response = response
            .header(CONTENT_TYPE, kind)
            .header(CONTENT_DISPOSITION, disposition(&name, inline));
        if self.method == Method::HEAD {
            // Ranges are defined only for GET (RFC 9110, section 14.2).
            let response = response.header(CONTENT_LENGTH, contents.size());
            return finish(response, Body::empty());
        }
        // If the condition fails, the whole file is sent. Only our ETag can match: a date is no
        // strong validator.
        let wants_range = self.text(&IF_RANGE).is_none_or(|tag| tag == etag);
        let range = self.text(&RANGE).filter(|_| wants_range);
        let opened = contents.open(|size| part(range, size)).await?;
        let size = opened.size();
        let (response, range) = match asked(range, size) {
            Ok(Asked::Whole) => (response, 0..size),
            Ok(Asked::Part(part)) => {
                let value = format!("bytes {}-{}/{size}", part.start, part.end - 1);
                let response = response.status(StatusCode::PARTIAL_CONTENT);
                (response.header(CONTENT_RANGE, value), part)
            }
            Err(problem) => return Ok(refusal(problem, size)),
        };
        if let Some(pass) = &self.pass {
            pass.spend(range.start == 0).await?;
        }
        let response = response.header(CONTENT_LENGTH, range.end - range.start);
        finish(response, Body::new(opened.body()))
    }

    /// Returns the `Cache-Control` value; the response to a link is not stored.
    fn caching(&self) -> &'static str {
        match self.pass {
            Some(_) => "private, no-store",
            None => "private, max-age=31536000, immutable",
        }
    }

    fn text(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Returns the requested part of a file; empty if the range is not satisfiable.
fn part(range: Option<&str>, size: u64) -> Range<u64> {
    match asked(range, size) {
        Ok(Asked::Whole) => 0..size,
        Ok(Asked::Part(part)) => part,
        Err(_) => 0..0,
    }
}

fn finish(response: response::Builder, body: Body) -> Result<Response, Problem> {
    response.body(body).map_err(|e| {
        Problem::new(
            ErrorCode::Internal,
            format!("cannot build the response: {e}"),
        )
    })
}

/// Returns a problem document with the headers for file requests.
fn refusal(problem: Problem, size: u64) -> Response {
    let code = problem.code;
    let problem = match code {
        ErrorCode::Unavailable => problem.retry_after(RETRY_AFTER),
        _ => problem,
    };
    let mut response = ProblemResponse(problem).into_response();
    if code == ErrorCode::RangeNotSatisfiable
        && let Ok(value) = HeaderValue::try_from(format!("bytes */{size}"))
    {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
    response
}
