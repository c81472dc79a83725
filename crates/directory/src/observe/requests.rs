//! Request metrics: number, API, route, status and duration.
//!
//! A route is a template or a known method, never text from the client, so that requests for
//! unknown paths all count under one label.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::response::Response;
use convite_metrics::catalogue::{REQUEST_SECONDS, REQUESTS, REQUESTS_IN_FLIGHT};
use convite_metrics::{InFlightGuard, Registry};
use tonic::Code;

const OTHER: &str = "other";

/// The request metrics of one directory.
#[derive(Clone)]
pub(crate) struct RequestMetrics {
    registry: Arc<Registry>,
    methods: Arc<HashSet<String>>,
}

/// A request in progress.
pub(super) struct RequestInProgress {
    api: &'static str,
    /// The route, for spans and metrics.
    pub(super) route: String,
    _in_flight: InFlightGuard,
}

impl RequestMetrics {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            methods: Arc::new(convite_wire::methods::grpc_paths()),
        }
    }

    pub(super) fn begin(&self, request: &Request, via_grpc: bool) -> RequestInProgress {
        let api = if via_grpc { "grpc" } else { "rest" };
        let route = if via_grpc {
            self.method(request.uri().path())
        } else {
            route(request)
        };
        RequestInProgress {
            api,
            route,
            _in_flight: self.registry.in_flight(&REQUESTS_IN_FLIGHT, Some(api)),
        }
    }

    fn method(&self, path: &str) -> String {
        let known = self.methods.contains(path);
        if known { path } else { OTHER }.to_owned()
    }

    pub(super) fn end(&self, counted: &RequestInProgress, response: &Response, took: Duration) {
        let RequestInProgress { api, route, .. } = counted;
        let status = match *api {
            "grpc" => grpc_status(response),
            _ => response.status().as_str().to_owned(),
        };
        self.registry.add(&REQUESTS, &[api, route, &status], 1.0);
        self.registry
            .observe(&REQUEST_SECONDS, &[api, route], took.as_secs_f64());
    }
}

/// Returns the route, for example `GET /files/{hash}`, or `other` for an unknown path.
fn route(request: &Request) -> String {
    let method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        // A method name is text from the client.
        _ => return OTHER.to_owned(),
    };
    let template = request.extensions().get::<MatchedPath>();
    template.map_or_else(
        || OTHER.to_owned(),
        |template| format!("{method} {}", template.as_str()),
    )
}

/// Returns the status of a failed call from its headers. Successful calls and streams send it in
/// trailers.
fn grpc_status(response: &Response) -> String {
    let code = response.headers().get("grpc-status");
    let code = code.map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()));
    format!("{code:?}")
}
