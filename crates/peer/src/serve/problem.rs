//! Error responses of HTTP requests.

use axum::Json;
use axum::response::{IntoResponse, Response};
use convite_core::Problem;
use convite_net::request_id;
use convite_wire::status::ProblemDocument;
use http::header::{CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

/// Returns a problem document, with the file's size for a range that cannot be satisfied.
pub(crate) fn problem_response(problem: &Problem, size: Option<u64>) -> Response {
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
