//! The peer's HTTP and gRPC API: file contents for callers with tickets, and uploads to the inbox.
//!
//! The handlers depend only on a catalogue, a cache and the directory's ticket key, so they can be
//! tested without a directory.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use self::context::ServeContext;
use self::middleware::{body_rate, fallback, observe, origin_check};

pub mod context;
pub mod download;
pub mod middleware;
pub(crate) mod problem;
pub mod upload;

/// Returns the routes of files and uploads.
pub(crate) fn routes(context: ServeContext) -> Router {
    Router::new()
        .route("/files/{*what}", get(download::http::get_file))
        .route(
            "/upload",
            // Bounded by the space in the inbox, and never held in memory.
            post(upload::form::post_upload).layer(DefaultBodyLimit::disable()),
        )
        .route("/healthz", get(|| async { "ok\n" }))
        .route(
            "/convite.v1.Peer/DownloadFile",
            post(download::grpc::download_file),
        )
        .route(
            "/convite.v1.Peer/GetFolder",
            post(download::manifests::get_folder),
        )
        .route(
            "/convite.v1.Peer/GetPieces",
            post(download::grpc::get_pieces),
        )
        .route(
            "/convite.v1.Peer/ReportPiece",
            post(download::reports::report_piece),
        )
        .route(
            "/convite.v1.Peer/Availability",
            post(download::grpc::availability),
        )
        .route(
            "/convite.v1.Peer/BeginUpload",
            post(upload::grpc::begin_upload),
        )
        .route(
            "/convite.v1.Peer/UploadFile",
            post(upload::grpc::upload_file),
        )
        .with_state(context)
}

/// Adds the checks of all requests to `routes`.
pub(crate) fn with_middleware(routes: Router, context: &ServeContext) -> Router {
    let (hosts, metrics) = (context.hosts.clone(), context.metrics.clone());
    // The routes are inside the layers, so that origin checks apply to all responses.
    routes
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .fallback(fallback::not_found)
        .layer(from_fn(body_rate::bound_time))
        .layer(from_fn_with_state(hosts, origin_check::check_origin))
        .layer(from_fn_with_state(metrics, observe::observe))
}
