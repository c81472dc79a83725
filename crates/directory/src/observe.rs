//! Middleware around every request of both APIs: request id, log span, time limit, and the response
//! to a panic in a handler.
//!
//! Only paths are logged, without the tokens of links: queries and headers contain secrets.

pub(crate) mod requests;

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use convite_core::{ErrorCode, Problem};
use convite_net::ConnectionInfo;
use convite_net::request_id::{REQUEST_ID, RequestId};
use convite_net::trace;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use self::requests::RequestMetrics;
use crate::answer::{self, ProblemResponse};
use crate::middleware::classify;
use crate::rest::RouteOperations;

/// Time limit of a call that is not long-lived.
const CALL_MAX: Duration = Duration::from_secs(30);

/// Returns the path for the log, without the token of a link.
fn loggable_path(path: &str) -> &str {
    if path.starts_with("/d/") {
        "/d/{token}"
    } else {
        path
    }
}

/// What this middleware needs.
#[derive(Clone)]
struct Observation {
    metrics: RequestMetrics,
    routes: Arc<RouteOperations>,
}

/// Wraps the router of both APIs in this middleware.
pub(crate) fn with_observation(
    apis: Router,
    metrics: RequestMetrics,
    routes: Arc<RouteOperations>,
) -> Router {
    let observation = Observation { metrics, routes };
    apis.layer(CatchPanicLayer::custom(on_panic))
        .layer(from_fn_with_state(observation, observe))
}

/// Returns the response to a panic in a handler.
fn on_panic(cause: Box<dyn Any + Send>) -> Response {
    let text = cause
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| cause.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    ProblemResponse(Problem::new(ErrorCode::Internal, format!("panic: {text}"))).into_response()
}

async fn observe(
    State(Observation { metrics, routes }): State<Observation>,
    request: Request,
    next: Next,
) -> Response {
    let id = RequestId::from_headers(request.headers());
    let connection = request.extensions().get::<ConnectionInfo>();
    let remote = connection.map(|connection| tracing::field::display(connection.remote));
    let path = request.uri().path().to_owned();
    let shown = loggable_path(&path);
    let span = tracing::info_span!("request", id = id.as_str(), method = %request.method(), path = shown, remote);
    let via_grpc = answer::is_grpc(&request);
    let counted = metrics.begin(&request, via_grpc);
    let traced = trace::server_span(&counted.route, request.headers());
    let (_, cost) = classify(&routes, &request);
    let has_no_time_limit = cost.has_no_time_limit(via_grpc);
    let answered = async move {
        let began = Instant::now();
        let answer = next.run(request);
        let mut response = if has_no_time_limit {
            answer.await
        } else {
            match tokio::time::timeout(CALL_MAX, answer).await {
                Ok(response) => response,
                Err(_) => ProblemResponse(answer::timed_out()).into_response(),
            }
        };
        if via_grpc && !answer::is_grpc_type(response.headers().get(header::CONTENT_TYPE)) {
            response = answer::grpc_response(response.status());
        }
        let took = began.elapsed();
        metrics.end(&counted, &response, took);
        let status = response.status().as_u16();
        if response.status().is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
            tracing::error!(status, ?took, "answered");
        } else {
            tracing::debug!(status, ?took, "answered");
        }
        response
    };
    // The inner one of the two spans is the one that spawned tasks inherit.
    let answered = id.clone().scope(answered).instrument(traced.clone());
    let mut response = answered.instrument(span).await;
    trace::record_response(&traced, &response);
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
        let routes = Arc::new(crate::rest::route_operations());
        let apis = Router::new()
            .route("/broken", post(broken))
            .route("/slow", post(slow))
            .route("/peers/{id}/upload", post(takes_its_time));
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, content_type)
            .body(Body::empty())
            .unwrap();
        let registry = convite_metrics::Registry::new(&[convite_metrics::catalogue::DIRECTORY]);
        with_observation(apis, RequestMetrics::new(registry), routes)
            .oneshot(request)
            .await
            .unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn panics_and_timeouts_are_reported_in_the_form_of_the_api() {
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
    async fn a_long_transfer_has_no_time_limit() {
        let response = ask("/peers/a/upload", "multipart/form-data").await;
        assert_eq!(response.status(), StatusCode::OK);
    }
}
