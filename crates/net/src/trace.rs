//! OpenTelemetry spans for served and sent requests, connected across machines by `traceparent`
//! (W3C Trace Context, <https://www.w3.org/TR/trace-context/>).
//!
//! No spans are created until the program configures an exporter and calls [`enable`]. A span
//! contains the name of a route or protocol method and the result: no path, query, header or
//! address. `traceparent` of a caller is used; `tracestate` is ignored, because it is free text
//! that would reach the collector.

use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use opentelemetry::global::get_text_map_propagator;
use opentelemetry::propagation::{Extractor, Injector};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The target of exported spans, which separates them from those of the log.
pub const TARGET: &str = "otel_span";
/// The header that identifies the trace of a request.
const TRACEPARENT: &str = "traceparent";
/// gRPC codes that mean a failure of the server (OpenTelemetry semantic conventions for RPC):
/// unknown, deadline exceeded, unimplemented, internal, unavailable, data loss.
const SERVER_ERROR_CODES: [&[u8]; 6] = [b"2", b"4", b"12", b"13", b"14", b"15"];

static ENABLED: AtomicBool = AtomicBool::new(false);

/// Enables spans. Call it when an exporter is configured.
pub fn enable() {
    ENABLED.store(true, Ordering::Relaxed);
}

fn is_enabled() -> bool {
    ENABLED.load(Ordering::Relaxed)
}

/// Creates the span of a served request. `route` is a template, never text of the caller.
pub fn server_span(route: &str, headers: &HeaderMap) -> Span {
    if !is_enabled() {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: TARGET,
        "served",
        otel.name = route,
        otel.kind = "server",
        otel.status_code = Empty,
        http.response.status_code = Empty,
    );
    let caller =
        get_text_map_propagator(|propagator| propagator.extract(&TraceparentExtractor(headers)));
    // Fails if no subscriber records the span.
    let _ = span.set_parent(caller);
    span
}

/// Creates the span of a request to be sent and adds `traceparent` to its headers.
pub fn client_span<B>(request: &mut Request<B>) -> Span {
    if !is_enabled() {
        return Span::none();
    }
    let path = request.uri().path();
    // Protocol method names are safe; other paths may contain file names.
    let name = match path.strip_prefix("/convite.v1.") {
        Some(_) => path,
        None => request.method().as_str(),
    };
    let span = tracing::info_span!(
        target: TARGET,
        "sent",
        otel.name = name,
        otel.kind = "client",
        otel.status_code = Empty,
        http.response.status_code = Empty,
    );
    let context = span.context();
    let headers = request.headers_mut();
    get_text_map_propagator(|propagator| {
        propagator.inject_context(&context, &mut TraceparentInjector(headers));
    });
    span
}

/// Records the result of a served or sent request.
pub fn record_response<B>(span: &Span, response: &Response<B>) {
    if span.is_none() {
        return;
    }
    span.record("http.response.status_code", response.status().as_u16());
    let grpc = response.headers().get("grpc-status");
    let failed = grpc.is_some_and(|code| SERVER_ERROR_CODES.contains(&code.as_bytes()));
    if failed || response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

struct TraceparentExtractor<'a>(&'a HeaderMap);

impl Extractor for TraceparentExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = (key == TRACEPARENT).then(|| self.0.get(key))?;
        value.and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

struct TraceparentInjector<'a>(&'a mut HeaderMap);

impl Injector for TraceparentInjector<'_> {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            self.0.insert(HeaderName::from_static(TRACEPARENT), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_collector_nothing_is_made_and_nothing_is_sent() {
        assert!(server_span("GET /peers", &HeaderMap::new()).is_none());
        let mut request = Request::get("/peers").body(()).unwrap();
        assert!(client_span(&mut request).is_none());
        assert!(request.headers().is_empty());
    }

    #[test]
    fn of_a_callers_headers_only_the_parent_is_heeded() {
        let mut headers = HeaderMap::new();
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        headers.insert(TRACEPARENT, HeaderValue::from_static(parent));
        headers.insert("tracestate", HeaderValue::from_static("vendor=anything"));
        let caller = TraceparentExtractor(&headers);
        assert_eq!(caller.get(TRACEPARENT), Some(parent));
        assert_eq!(caller.get("tracestate"), None);
    }
}
