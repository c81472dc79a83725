//! Counting requests: how many, by which door and route, how they ended, how long they took.
//!
//! A route is a template or a known method, never what a caller wrote: whoever asks for a thousand
//! paths that are not there makes one line of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::response::Response;
use convite_metrics::catalogue::{REQUEST_SECONDS, REQUESTS, REQUESTS_IN_FLIGHT};
use convite_metrics::{InFlight, Registry};
use tonic::Code;

const OTHER: &str = "other";

/// Counts for one directory.
#[derive(Clone)]
pub(crate) struct Requests {
    registry: Arc<Registry>,
    methods: Arc<HashSet<String>>,
}

/// A request that is being answered.
pub(super) struct Counted {
    door: &'static str,
    /// Where it goes, for a span or a metric.
    pub(super) route: String,
    _in_flight: InFlight,
}

impl Requests {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            methods: Arc::new(convite_wire::methods::grpc_paths()),
        }
    }

    pub(super) fn begin(&self, request: &Request, via_grpc: bool) -> Counted {
        let door = if via_grpc { "grpc" } else { "rest" };
        let route = if via_grpc {
            self.method(request.uri().path())
        } else {
            route(request)
        };
        Counted {
            door,
            route,
            _in_flight: self.registry.in_flight(&REQUESTS_IN_FLIGHT, Some(door)),
        }
    }

    fn method(&self, path: &str) -> String {
        let known = self.methods.contains(path);
        if known { path } else { OTHER }.to_owned()
    }

    pub(super) fn end(&self, counted: &Counted, response: &Response, took: Duration) {
        let Counted { door, route, .. } = counted;
        let status = match *door {
            "grpc" => grpc_status(response),
            _ => response.status().as_str().to_owned(),
        };
        self.registry.add(&REQUESTS, &[door, route, &status], 1.0);
        self.registry
            .measure(&REQUEST_SECONDS, &[door, route], took.as_secs_f64());
    }
}

/// `GET /files/{hash}`, or `other` where nothing is.
fn route(request: &Request) -> String {
    let method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        // A method is a caller's text too.
        _ => return OTHER.to_owned(),
    };
    let template = request.extensions().get::<MatchedPath>();
    template.map_or_else(
        || OTHER.to_owned(),
        |template| format!("{method} {}", template.as_str()),
    )
}

/// What a call that failed has in its headers. One that succeeded, and a stream, say it at the end.
fn grpc_status(response: &Response) -> String {
    let code = response.headers().get("grpc-status");
    let code = code.map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()));
    format!("{code:?}")
}
