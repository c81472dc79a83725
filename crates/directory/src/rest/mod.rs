//! The REST API: decode, call, encode. Every error is a problem document (RFC 9457), including
//! those of the router. This file lists the routes and adds them to the OpenAPI description.

mod accounts;
mod audit;
mod contents;
mod decode_errors;
mod docs;
mod events;
mod extractors;
mod files;
mod folders;
mod health;
mod index;
mod invites;
mod links;
mod metrics;
mod openapi;
mod pages;
mod parameters;
mod peers;
mod qr;
mod remote_fetches;
mod routes;
mod search;
mod sessions;
mod spaces;
mod uploads;
mod users;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use convite_core::{ErrorCode, Problem};
use utoipa_axum::routes;

use self::parameters::KnownParameters;
use self::routes::Routes;
use crate::answer::{self, ProblemResponse};
use crate::operations::{self, Operation, operations};
use crate::{Service, web};

pub(crate) use self::routes::RouteOperations;

/// Adds the handlers of each operation.
macro_rules! add_routes {
    ($(
        $name:ident($access:ident, $cost:ident, $audit:expr) {
            $(grpc $module:ident::$method:ident($request:ty) -> $reply:ident;)?
            $(grpc_stream $stream_module:ident::$stream_method:ident($stream_request:ty) -> $stream_reply:ident;)?
            $(rest $($handler:ident)::+;)*
        }
    )*) => {
        Routes::new()$($(.add(Operation::$name, routes!($($handler)::+)))*)*
    };
}

/// Returns all routes, each with its operation.
fn routes() -> Routes {
    let (path, file) = web::files();
    operations!(add_routes).add_undescribed(Operation::ShowPage, path, file)
}

/// Returns the operation of each route.
pub(crate) fn route_operations() -> RouteOperations {
    let (_, _, operations) = routes().split();
    operations
}

/// Returns the REST router; the fallback handler answers requests for unknown paths.
pub(crate) fn router(service: Arc<Service>) -> Router {
    let (router, description, _) = routes().split();
    let parameters = Arc::new(KnownParameters::of(description));
    router
        .route_layer(from_fn_with_state(parameters, parameters::check))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(service)
}

/// Returns the routes of an operation, as `GET /search`, in alphabetical order.
pub fn routes_of(operation: Operation) -> Vec<String> {
    route_operations().of(operation)
}

/// Returns docs/operations.md.
pub fn operations_page() -> String {
    let routes = route_operations();
    operations::page(|operation| routes.of(operation))
}

/// Returns the complete API description as JSON, with a trailing newline.
pub fn openapi_json() -> String {
    let (_, description, _) = routes().split();
    // Serialization fails only for maps with non-string keys; there are none.
    let mut json = openapi::add_common_parts(description)
        .to_pretty_json()
        .unwrap_or_default();
    json.push('\n');
    json
}

/// Returns this description.
#[utoipa::path(
    get, path = "/openapi.json", operation_id = "describe", tag = "about",
    responses((status = 200, description = "This description", body = Object)),
)]
async fn describe() -> impl IntoResponse {
    static JSON: LazyLock<String> = LazyLock::new(openapi_json);
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], JSON.as_str())
}

/// Returns the router of the monitoring listener, which requires no session.
pub(crate) fn monitoring(service: Arc<Service>) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::page))
        .with_state(service)
}

async fn not_found(request: Request) -> Response {
    if answer::is_grpc(&request) {
        return answer::no_such_service();
    }
    ProblemResponse(
        Problem::not_found("there is nothing at this path")
            .hint("see the paths in /docs or /openapi.json"),
    )
    .into_response()
}

async fn method_not_allowed() -> ProblemResponse {
    Problem::new(
        ErrorCode::MethodNotAllowed,
        "this path does not support that method",
    )
    .hint("the `allow` header of this response lists the supported methods")
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described() {
        let (_, description, operations) = routes().split();
        for operation in Operation::ALL.iter().copied() {
            for route in operations.of(operation) {
                let (_, path) = route.split_once(' ').unwrap();
                let is_described = description.paths.paths.contains_key(path);
                assert!(is_described || path == "/web/{*path}", "{route}");
            }
        }
    }
}
