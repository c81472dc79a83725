//! `/files/{hash}`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use convite_core::ContentHash;
use convite_core::model::LocatedFile;

use super::Answer;
use super::extract::PathPart;
use super::openapi::problems;
use crate::Service;
use crate::service::Caller;

problems!(LocateRefused, caller, InvalidArgument, NotFound);

/// A file by its hash: its names, its size, and who has it, each with a ticket.
#[utoipa::path(
    get, path = "/files/{hash}", operation_id = "locateFile", tag = "files",
    params(("hash" = ContentHash, Path)),
    responses((status = 200, description = "The file", body = LocatedFile), LocateRefused),
    security(("session" = [])),
)]
pub(super) async fn locate(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(hash): PathPart,
) -> Answer<Body<LocatedFile>> {
    let file = service.locate(&caller, &hash.parse()?).await?;
    Ok(Body(file))
}
