//! Responses of both APIs to a [`Problem`], and the check which API a request uses.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use convite_core::{ErrorCode, Problem};
use convite_net::request_id;
use convite_wire::status::{ProblemDocument, to_status};
use tonic::Status;

/// A problem as a REST response.
pub struct ProblemResponse(pub Problem);

/// The result of a REST handler.
pub(crate) type HandlerResult<T> = Result<T, ProblemResponse>;

impl From<Problem> for ProblemResponse {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for ProblemResponse {
    fn into_response(self) -> Response {
        let problem = redact_internal(self.0);
        let mut response = document(ProblemDocument::from(&problem));
        if let Some(pause) = problem.retry_after {
            let seconds = HeaderValue::from(pause.as_secs());
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

fn document(mut document: ProblemDocument) -> Response {
    document.request_id = request_id::current().map(|id| id.as_str().to_owned());
    let status = StatusCode::from_u16(document.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, axum::Json(document)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"convite\""),
        );
    }
    response
}

/// Logs an internal problem, and removes its details from the response.
fn redact_internal(problem: Problem) -> Problem {
    if problem.code != ErrorCode::Internal {
        return problem;
    }
    tracing::error!(error = %problem, "request failed");
    internal()
}

fn internal() -> Problem {
    Problem::new(ErrorCode::Internal, "the directory failed").hint("its log has the cause")
}

/// Returns the problem of a request that exceeded its time limit.
pub(crate) fn timed_out() -> Problem {
    Problem::new(ErrorCode::Unavailable, "the directory took too long").hint("try again")
}

/// Returns whether a request uses gRPC.
pub(crate) fn is_grpc(request: &Request) -> bool {
    is_grpc_type(request.headers().get(header::CONTENT_TYPE))
}

/// Returns whether a content type is that of gRPC.
pub(crate) fn is_grpc_type(content_type: Option<&HeaderValue>) -> bool {
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Returns a problem as the response of either API.
pub(crate) fn refuse(via_grpc: bool, problem: Problem) -> Response {
    if via_grpc {
        status_response(grpc_status(problem))
    } else {
        ProblemResponse(problem).into_response()
    }
}

/// Converts a problem to a gRPC status.
pub(crate) fn grpc_status(problem: Problem) -> Status {
    to_status(&redact_internal(problem))
}

/// Returns the response to a call of an unknown gRPC service.
pub(crate) fn no_such_service() -> Response {
    status_response(Status::unimplemented("this server has no such service"))
}

/// Converts an HTTP status of the router or the middleware to a gRPC response.
pub(crate) fn grpc_response(status: StatusCode) -> Response {
    let problem = match status {
        StatusCode::SERVICE_UNAVAILABLE => timed_out(),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            return status_response(Status::unimplemented("this server has no such method"));
        }
        _ => internal(),
    };
    status_response(to_status(&problem))
}

fn status_response(status: Status) -> Response {
    let (parts, ()) = status.into_http::<()>().into_parts();
    Response::from_parts(parts, Body::empty())
}
