//! The REST door: decode, call, encode. Every failure is a problem document (RFC 9457), those of
//! the router included.

mod accounts;
mod audit;
mod contents;
mod docs;
mod events;
mod extract;
mod files;
mod health;
mod index;
mod invites;
mod links;
mod loads;
mod metrics;
mod openapi;
mod peers;
mod qr;
mod search;
mod sessions;
mod spaces;
mod uploads;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use convite_core::{ErrorCode, Problem};
use convite_net::request_id;
use convite_wire::status::ProblemDocument;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::{Service, grpc, observe, web};

pub use openapi::openapi_json;

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

fn document(mut document: ProblemDocument) -> Response {
    document.request_id = request_id::current().map(|id| id.as_str().to_owned());
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

/// All paths of this door with their descriptions: one list, so that none lacks the other.
fn described() -> OpenApiRouter<Arc<Service>> {
    OpenApiRouter::with_openapi(openapi::empty())
        .routes(routes!(web::page))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(openapi::describe))
        .routes(routes!(docs::page))
        .routes(routes!(docs::script))
        .routes(routes!(docs::style))
        .routes(routes!(sessions::login))
        .routes(routes!(sessions::logout))
        .routes(routes!(sessions::me))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::revoke))
        .routes(routes!(accounts::create))
        .routes(routes!(invites::create, invites::list))
        .routes(routes!(invites::revoke))
        .routes(routes!(users::list, users::add))
        .routes(routes!(users::change))
        .routes(routes!(spaces::list, spaces::add))
        .routes(routes!(spaces::remove))
        .routes(routes!(spaces::members))
        .routes(routes!(spaces::add_member, spaces::remove_member))
        .routes(routes!(audit::list))
        .routes(routes!(events::events))
        .routes(routes!(peers::list, peers::register))
        .routes(routes!(peers::leave))
        .routes(routes!(peers::heartbeat))
        .routes(routes!(uploads::ticket))
        .routes(routes!(uploads::upload))
        .routes(routes!(index::list, index::publish))
        .routes(routes!(search::search))
        .routes(routes!(files::locate))
        .routes(routes!(contents::read))
        .routes(routes!(links::create))
        .routes(routes!(links::read))
        .routes(routes!(loads::list, loads::load, loads::load_by_put))
        .routes(routes!(loads::read))
}

/// This door; whatever has no path here falls to the last handler.
pub(crate) fn router(service: Arc<Service>) -> Router {
    let (paths, _) = described().split_for_parts();
    paths
        .merge(web::routes())
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(service)
}

/// The paths of the listener for the monitoring, which asks nobody who they are.
pub(crate) fn monitoring(service: Arc<Service>) -> Router {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::page))
        .with_state(service)
}

async fn not_found(request: Request) -> Response {
    if observe::is_grpc(&request) {
        return grpc::no_such_service();
    }
    Refusal(
        Problem::not_found("there is nothing at this path")
            .hint("/openapi.json lists the paths, and /docs shows them"),
    )
    .into_response()
}

async fn method_not_allowed() -> Refusal {
    Problem::new(
        ErrorCode::MethodNotAllowed,
        "this path does not take that method",
    )
    .hint("the answer's `allow` header names those that it takes")
    .into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::described;

    #[test]
    fn every_path_is_described() {
        let (router, description) = described().split_for_parts();
        // axum tells its paths nowhere else.
        let shown = format!("{router:?}");
        let (_, paths) = shown.split_once("paths: {").unwrap();
        let (paths, _) = paths.split_once("} }").unwrap();
        let routed: BTreeSet<&str> = paths
            .split('"')
            .filter(|text| text.starts_with('/'))
            .collect();
        let described: BTreeSet<&str> =
            description.paths.paths.keys().map(String::as_str).collect();
        assert!(described.contains("/files/{hash}"));
        assert_eq!(routed, described);
    }
}
