//! The REST door: decode, call, encode. Every failure is a problem document (RFC 9457), those of
//! the router included.

mod accounts;
mod extract;
mod files;
mod health;
mod index;
mod invites;
mod peers;
mod search;
mod sessions;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use convite_core::{ErrorCode, Problem};
use convite_wire::status::ProblemDocument;

use crate::{Service, grpc, observe};

/// A problem on its way out through this door.
pub struct Refusal(pub Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = observe::outward(self.0);
        let mut response = document(ProblemDocument::from(&problem));
        if let Some(pause) = problem.retry_after {
            let seconds = HeaderValue::from(pause.as_secs());
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

fn document(document: ProblemDocument) -> Response {
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

/// A handler's answer.
type Answer<T> = Result<T, Refusal>;

/// All paths of this door; whatever has no path here falls to the last handler.
pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/", get(health::welcome))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/login", post(sessions::login))
        .route("/logout", post(sessions::logout))
        .route("/accounts", post(accounts::create))
        .route("/invites", post(invites::create))
        .route("/peers", get(peers::list).post(peers::register))
        .route("/peers/{id}", delete(peers::leave))
        .route("/peers/{id}/heartbeat", post(peers::heartbeat))
        .route(
            "/index",
            get(index::list).put(index::publish).post(index::publish),
        )
        .route("/search", get(search::search))
        .route("/files/{hash}", get(files::locate))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(service)
}

async fn not_found(request: Request) -> Response {
    if observe::is_grpc(&request) {
        return grpc::no_such_service();
    }
    Refusal(
        Problem::not_found("there is nothing at this path")
            .hint("the paths are /login, /logout, /accounts, /invites, /peers, /index, /search and /files/{hash}"),
    )
    .into_response()
}

async fn method_not_allowed() -> Response {
    let problem = Problem::new(
        ErrorCode::InvalidArgument,
        "this path does not take that method",
    )
    .hint("the answer's `allow` header names those that it takes");
    document(ProblemDocument {
        status: StatusCode::METHOD_NOT_ALLOWED.as_u16(),
        ..ProblemDocument::from(&problem)
    })
}
