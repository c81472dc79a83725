//! A span around each request. Only paths are logged: queries and headers hold tickets.

use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use convite_net::Connection;
use tracing::Instrument;

/// Runs a request in a span of its own and notes how it was answered.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let connection = request.extensions().get::<Connection>();
    let remote = connection.map(|connection| tracing::field::display(connection.remote));
    let path = request.uri().path();
    let span = tracing::info_span!("request", method = %request.method(), path, remote);
    async move {
        let began = Instant::now();
        let response = next.run(request).await;
        let status = response.status().as_u16();
        tracing::debug!(status, took = ?began.elapsed(), "answered");
        response
    }
    .instrument(span)
    .await
}
