//! `/`, `/healthz` and `/readyz`: for people who look, and for whoever watches over the process.

use std::sync::Arc;

use axum::extract::State;

use super::Answer;
use super::openapi::problems;
use crate::Service;

const WELCOME: &str = "This is a Convite directory: private file sharing for a group.\n\
    To join, ask whoever runs it for an invite, then: convite join LINK\n";

/// A line for people who look.
#[utoipa::path(
    get, path = "/", operation_id = "welcome", tag = "about",
    responses((status = 200, description = "Text", body = String, content_type = "text/plain")),
)]
pub(super) async fn welcome() -> &'static str {
    WELCOME
}

/// The process answers.
#[utoipa::path(
    get, path = "/healthz", operation_id = "healthz", tag = "about",
    responses((status = 200, description = "Text", body = String, content_type = "text/plain")),
)]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

problems!(NotReady, anybody);

/// The directory can do its work.
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "about",
    responses(
        (status = 200, description = "Text", body = String, content_type = "text/plain"),
        NotReady,
    ),
)]
pub(super) async fn readyz(State(service): State<Arc<Service>>) -> Answer<&'static str> {
    service.ready().await?;
    Ok("ready\n")
}
