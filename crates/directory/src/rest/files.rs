//! `/files/{hash}`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use convite_core::model::LocatedFile;

use super::Answer;
use super::extract::PathPart;
use crate::Service;
use crate::service::Caller;

pub(super) async fn locate(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(hash): PathPart,
) -> Answer<Body<LocatedFile>> {
    let file = service.locate(&caller, &hash.parse()?).await?;
    Ok(Body(file))
}
