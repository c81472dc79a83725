//! `/healthz` and `/readyz`: for whoever watches over the process.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use super::openapi::problems;
use crate::Service;

/// The process answers.
#[utoipa::path(
    get, path = "/healthz", operation_id = "healthz", tag = "about",
    responses((status = 200, description = "Text", body = String, content_type = "text/plain")),
)]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

problems!(NotReady, anybody);

/// What was checked.
#[derive(Serialize, ToSchema)]
pub(super) struct Ready {
    /// Of each check, what is so.
    checks: BTreeMap<String, String>,
}

/// The directory can do its work; if not, the problem names the checks that failed.
#[utoipa::path(
    get, path = "/readyz", operation_id = "readyz", tag = "about",
    responses((status = 200, description = "What was checked", body = Ready), NotReady),
)]
pub(super) async fn readyz(State(service): State<Arc<Service>>) -> Answer<axum::Json<Ready>> {
    let checks = service.readiness().await.ready()?;
    let checks = checks.into_iter();
    Ok(axum::Json(Ready {
        checks: checks
            .map(|(name, so)| (name.to_owned(), so.to_owned()))
            .collect(),
    }))
}
