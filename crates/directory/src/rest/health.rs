//! `/healthz` and `/readyz`: health checks.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::openapi::problems;
use crate::Service;
use crate::answer::HandlerResult;

/// Returns 200 while the process answers.
#[utoipa::path(
    get, path = "/healthz", operation_id = "healthz", tag = "about",
    responses((status = 200, description = "Text", body = String, content_type = "text/plain")),
)]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

problems!(NotReady, public);

/// The passed checks.
#[derive(Serialize, ToSchema)]
pub(super) struct Ready {
    /// The state of each check.
    checks: BTreeMap<String, String>,
}

/// Returns 200 if the directory is ready; otherwise the problem names the failed checks.
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "about",
    responses((status = 200, description = "The passed checks", body = Ready), NotReady),
)]
pub(super) async fn readyz(
    State(service): State<Arc<Service>>,
) -> HandlerResult<axum::Json<Ready>> {
    let checks = service.readiness().await.ready()?;
    let checks = checks.into_iter();
    Ok(axum::Json(Ready {
        checks: checks
            .map(|(name, so)| (name.to_owned(), so.to_owned()))
            .collect(),
    }))
}
