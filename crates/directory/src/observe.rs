//! Around every request, through either door: an id, a span in the log, a time limit, and an
//! answer in the door's own form when a handler panics.
//!
//! Only paths are logged, without the tokens of links: queries and headers hold secrets.

pub(crate) mod requests;

use std::any::Any;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use convite_core::{ErrorCode, Problem};
use convite_net::Connection;
use convite_net::request_id::{REQUEST_ID, RequestId};
use convite_net::trace;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use self::requests::Requests;
use crate::gate::Class;
use crate::grpc;
use crate::rest::Refusal;

/// How long a call may take that is not to last.
const CALL_MAX: Duration = Duration::from_secs(30);

/// What of a problem leaves the house: of an internal one, nothing but that it is one. Logs it.
pub(crate) fn outward(problem: Problem) -> Problem {
    if problem.code != ErrorCode::Internal {
        return problem;
    }
    tracing::error!(error = %problem, "request failed");
    Problem::new(ErrorCode::Internal, "the directory failed").hint("its log has the cause")
}

/// The path as it may be logged: not with the token of a link.
pub(crate) fn shown(path: &str) -> &str {
    match path.starts_with("/d/") {
        true => "/d/{token}",
        false => path,
    }
}

/// Both doors with all of this around them.
pub(crate) fn around(doors: Router, requests: Requests) -> Router {
    doors
        .layer(CatchPanicLayer::custom(on_panic))
        .layer(from_fn_with_state(requests, observe))
}

/// What a panicking handler answers.
fn on_panic(cause: Box<dyn Any + Send>) -> Response {
    let text = cause
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| cause.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Refusal(Problem::new(ErrorCode::Internal, format!("panic: {text}"))).into_response()
}

pub(crate) fn is_grpc(request: &Request) -> bool {
    starts_grpc(request.headers().get(header::CONTENT_TYPE))
}

fn starts_grpc(content_type: Option<&HeaderValue>) -> bool {
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

async fn observe(State(requests): State<Requests>, request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let connection = request.extensions().get::<Connection>();
    let remote = connection.map(|connection| tracing::field::display(connection.remote));
    let path = request.uri().path().to_owned();
    let shown = shown(&path);
    let span = tracing::info_span!("request", id = id.as_str(), method = %request.method(), path = shown, remote);
    let via_grpc = is_grpc(&request);
    let counted = requests.begin(&request, via_grpc);
    let traced = trace::served(&counted.route, request.headers());
    let lasts = Class::lasts(&path, request.method(), via_grpc);
    let answered = async move {
        let began = Instant::now();
        let answer = next.run(request);
        let mut response = if lasts {
            answer.await
        } else {
            match tokio::time::timeout(CALL_MAX, answer).await {
                Ok(response) => response,
                Err(_) => Refusal(
                    Problem::new(ErrorCode::Unavailable, "the directory took too long")
                        .hint("try again"),
                )
                .into_response(),
            }
        };
        if via_grpc && !starts_grpc(response.headers().get(header::CONTENT_TYPE)) {
            response = grpc::translate(response.status());
        }
        let took = began.elapsed();
        requests.end(&counted, &response, took);
        let status = response.status().as_u16();
        if response.status().is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
            tracing::error!(status, ?took, "answered");
        } else {
            tracing::debug!(status, ?took, "answered");
        }
        response
    };
    // The inner of the two is the one that tasks take along.
    let answered = id.clone().scope(answered).instrument(traced.clone());
    let mut response = answered.instrument(span).await;
    trace::answered(&traced, &response);
    response.headers_mut().insert(REQUEST_ID, id.value());
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::post;
    use convite_wire::status::ProblemDocument;
    use tower::ServiceExt;

    use super::*;

    async fn broken() -> &'static str {
        panic!("the cause")
    }

    async fn slow() -> &'static str {
        std::future::pending().await
    }

    async fn takes_its_time() -> &'static str {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        "done"
    }

    async fn ask(path: &str, content_type: &str) -> Response {
        let doors = Router::new()
            .route("/broken", post(broken))
            .route("/slow", post(slow))
            .route("/peers/a/upload", post(takes_its_time));
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, content_type)
            .body(Body::empty())
            .unwrap();
        let registry = convite_metrics::Registry::new(&[convite_metrics::catalogue::DIRECTORY]);
        around(doors, Requests::new(registry))
            .oneshot(request)
            .await
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn panics_and_delays_are_answered_in_the_form_of_the_door() {
        for (path, code) in [
            ("/broken", ErrorCode::Internal),
            ("/slow", ErrorCode::Unavailable),
        ] {
            let response = ask(path, "application/json").await;
            assert!(response.headers().contains_key("x-request-id"));
            let body = axum::body::to_bytes(response.into_body(), 10_000).await;
            let document: ProblemDocument = serde_json::from_slice(&body.unwrap()).unwrap();
            assert_eq!(document.code, code.name());
            assert!(
                !document.detail.contains("the cause"),
                "{}",
                document.detail
            );

            let response = ask(path, "application/grpc").await;
            assert_eq!(response.status(), StatusCode::OK);
            let status = response.headers()["grpc-status"].to_str().unwrap();
            assert_eq!(status, code.grpc_code().to_string());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_takes_long_to_hand_on_is_not_cut_off() {
        let response = ask("/peers/a/upload", "multipart/form-data").await;
        assert_eq!(response.status(), StatusCode::OK);
    }
}
