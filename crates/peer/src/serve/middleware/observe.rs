//! Adds an id and a span to each request. Only paths are logged: queries and headers contain
//! tickets.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use convite_metrics::Registry;
use convite_metrics::catalogue::PEER_REQUESTS;
use convite_net::ConnectionInfo;
use convite_net::request_id::{REQUEST_ID, RequestId};
use convite_net::trace;
use tracing::Instrument;

/// Runs a request in its own span and counts its result.
///
/// The metric's label is the template of the route, never text from the caller.
pub(crate) async fn observe(
    State(counted): State<Arc<Registry>>,
    request: Request,
    next: Next,
) -> Response {
    let template = request.extensions().get::<MatchedPath>().cloned();
    let connection = request.extensions().get::<ConnectionInfo>();
    let remote = connection.map(|connection| tracing::field::display(connection.remote));
    let path = request.uri().path();
    let id = RequestId::from_headers(request.headers());
    let span =
        tracing::info_span!("request", id = id.as_str(), method = %request.method(), path, remote);
    let traced = trace::server_span(&named(&request, template.as_ref()), request.headers());
    let answered = async move {
        let began = Instant::now();
        let response = next.run(request).await;
        let status = response.status().as_u16();
        let route = template.as_ref().map_or("other", MatchedPath::as_str);
        counted.add(&PEER_REQUESTS, &[route, response.status().as_str()], 1.0);
        tracing::debug!(status, took = ?began.elapsed(), "answered");
        response
    };
    // Tasks started by the handler inherit the inner span.
    let answered = id.clone().scope(answered).instrument(traced.clone());
    let mut response = answered.instrument(span).await;
    trace::record_response(&traced, &response);
    response.headers_mut().insert(REQUEST_ID, id.value());
    response
}

/// Returns the name of a request in traces: the method of the protocol for a gRPC call, otherwise
/// HTTP method and route template.
fn named<'a>(request: &Request, template: Option<&'a MatchedPath>) -> Cow<'a, str> {
    let Some(template) = template.map(MatchedPath::as_str) else {
        return "other".into();
    };
    match *request.method() {
        Method::GET => format!("GET {template}").into(),
        Method::HEAD => format!("HEAD {template}").into(),
        _ => template.into(),
    }
}
