//! `/files/{hash}`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use convite_core::model::LocatedFile;
use convite_core::{ContentHash, Within};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Answer;
use super::extract::{PathPart, Query};
use super::openapi::problems;
use crate::Service;
use crate::service::Caller;

/// Where to look.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Place {
    /// Only as it lies in this space of yours; empty: only as everyone sees it.
    #[param(
        nullable = false,
        max_length = 64,
        pattern = "^([A-Za-z0-9][A-Za-z0-9._-]*)?$"
    )]
    space: Option<String>,
}

problems!(
    LocateRefused,
    caller,
    InvalidArgument,
    PermissionDenied,
    NotFound
);

/// A file by its hash: its names, its size, and who has it, each with a ticket.
#[utoipa::path(
    get, path = "/files/{hash}", operation_id = "locateFile", tag = "files",
    params(("hash" = ContentHash, Path), Place),
    responses((status = 200, description = "The file", body = LocatedFile), LocateRefused),
    security(("session" = [])),
)]
pub(super) async fn locate(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(hash): PathPart,
    Query(place): Query<Place>,
) -> Answer<Body<LocatedFile>> {
    let within = Within::from_sent(place.space.as_deref())?;
    let file = service.locate(&caller, &hash.parse()?, &within).await?;
    Ok(Body(file))
}
