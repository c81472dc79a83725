//! Responses to unknown paths and methods: a problem document, or a gRPC status for a gRPC call.

use axum::extract::Request;
use axum::response::Response;
use convite_core::{ErrorCode, Problem};
use http::header::CONTENT_TYPE;

use crate::serve::problem::problem_response;

/// Handles paths without a route.
pub(crate) async fn not_found(request: Request) -> Response {
    let kind = request.headers().get(CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return tonic::Status::unimplemented("this peer has no such service or method").into_http();
    }
    let problem = Problem::not_found("there is nothing at this path")
        .hint("files are at /files/HASH and /files/PATH");
    problem_response(&problem, None)
}

/// Handles methods that the path does not support. The router adds the `Allow` field.
pub(crate) async fn method_not_allowed() -> Response {
    let problem = Problem::new(
        ErrorCode::MethodNotAllowed,
        "this path does not support that method",
    )
    .hint("the `allow` header of this response lists the supported methods");
    problem_response(&problem, None)
}
