//! Traces: a span for each request that is answered or sent, joined across machines by the callers'
//! `traceparent` (W3C Trace Context, <https://www.w3.org/TR/trace-context/>).
//!
//! Nothing of it exists until a program that sends its spans somewhere calls [`switch_on`]. A span
//! has the name of a route or a method of the protocol and how it ended: no path, no query, no
//! header, no address. Of what a caller sends, `traceparent` is heeded and `tracestate` is not: it
//! is free text, and would be passed on to the collector.

use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use opentelemetry::global::get_text_map_propagator;
use opentelemetry::propagation::{Extractor, Injector};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// What spans for a collector are told from those of the log by.
pub const TARGET: &str = "otel_span";
/// Whose trace a request belongs to.
const TRACEPARENT: &str = "traceparent";
/// Codes of gRPC that say that the server failed, not its caller (OpenTelemetry's semantic conventions
/// for RPC): unknown, deadline exceeded, unimplemented, internal, unavailable, data loss.
const FAILURES: [&[u8]; 6] = [b"2", b"4", b"12", b"13", b"14", b"15"];

static ON: AtomicBool = AtomicBool::new(false);

/// Has spans made from now on: there is a collector.
pub fn switch_on() {
    ON.store(true, Ordering::Relaxed);
}

fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// The span of a request that is answered here by `route`: a template, never what a caller wrote.
pub fn served(route: &str, headers: &HeaderMap) -> Span {
    if !is_on() {
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
    let caller = get_text_map_propagator(|propagator| propagator.extract(&Caller(headers)));
    // Fails for a span that nobody wants.
    let _ = span.set_parent(caller);
    span
}

/// The span of a request that is sent, with `traceparent` in its headers.
pub fn sent<B>(request: &mut Request<B>) -> Span {
    if !is_on() {
        return Span::none();
    }
    let path = request.uri().path();
    // Calls are named in the protocol; another path may have a file's name in it.
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
        propagator.inject_context(&context, &mut Passed(headers));
    });
    span
}

/// Notes how a request of either kind ended.
pub fn answered<B>(span: &Span, response: &Response<B>) {
    if span.is_none() {
        return;
    }
    span.record("http.response.status_code", response.status().as_u16());
    let grpc = response.headers().get("grpc-status");
    let failed = grpc.is_some_and(|code| FAILURES.contains(&code.as_bytes()));
    if failed || response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

struct Caller<'a>(&'a HeaderMap);

impl Extractor for Caller<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = (key == TRACEPARENT).then(|| self.0.get(key))?;
        value.and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

struct Passed<'a>(&'a mut HeaderMap);

impl Injector for Passed<'_> {
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
        assert!(served("GET /peers", &HeaderMap::new()).is_none());
        let mut request = Request::get("/peers").body(()).unwrap();
        assert!(sent(&mut request).is_none());
        assert!(request.headers().is_empty());
    }

    #[test]
    fn of_a_callers_headers_only_the_parent_is_heeded() {
        let mut headers = HeaderMap::new();
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        headers.insert(TRACEPARENT, HeaderValue::from_static(parent));
        headers.insert("tracestate", HeaderValue::from_static("vendor=anything"));
        let caller = Caller(&headers);
        assert_eq!(caller.get(TRACEPARENT), Some(parent));
        assert_eq!(caller.get("tracestate"), None);
    }
}
