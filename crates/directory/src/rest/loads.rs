//! `/loadfiles`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use convite_core::loads::{LoadId, LoadSummary};
use convite_wire::rest::{LoadBody, LoadMade, LoadsPage};

use super::Answer;
use super::extract::{Json, Paging, PathPart, Query};
use super::openapi::problems;
use crate::Service;
use crate::service::Caller;

problems!(
    LoadRefused,
    caller,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    TooLarge,
    UnsupportedMediaType
);

/// Has a peer fetch a file and share it where it is shared: one's own, or one that allows it.
///
/// The same asked for again, while it is not over, is the same load.
#[utoipa::path(
    post, path = "/loadfiles", operation_id = "loadFile", tag = "files",
    request_body = LoadBody,
    responses((status = 202, description = "The peer is asked", body = LoadMade), LoadRefused),
    security(("session" = [])),
)]
pub(super) async fn load(
    state: State<Arc<Service>>,
    caller: Caller,
    body: Json<LoadBody>,
) -> Answer<(StatusCode, Body<LoadMade>)> {
    ask(state, caller, body).await
}

/// The same as `POST`.
#[utoipa::path(
    put, path = "/loadfiles", operation_id = "putLoadFile", tag = "files",
    request_body = LoadBody,
    responses((status = 202, description = "The peer is asked", body = LoadMade), LoadRefused),
    security(("session" = [])),
)]
pub(super) async fn load_by_put(
    state: State<Arc<Service>>,
    caller: Caller,
    body: Json<LoadBody>,
) -> Answer<(StatusCode, Body<LoadMade>)> {
    ask(state, caller, body).await
}

async fn ask(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Json(body): Json<LoadBody>,
) -> Answer<(StatusCode, Body<LoadMade>)> {
    let load = service.load_file(&caller, &body.peer, &body.hash).await?;
    Ok((StatusCode::ACCEPTED, Body(LoadMade { load })))
}

problems!(ListRefused, caller, InvalidArgument);

/// What one has had peers load, newest first, until a day after it was over.
#[utoipa::path(
    get, path = "/loadfiles", operation_id = "listLoads", tag = "files",
    params(Paging),
    responses((status = 200, description = "A page", body = LoadsPage), ListRefused),
    security(("session" = [])),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Answer<Body<LoadsPage>> {
    let page = service
        .list_loads(&caller, paging.limit, paging.cursor.as_deref())
        .await?;
    Ok(Body(LoadsPage {
        loads: page.items,
        next_cursor: page.next_cursor,
    }))
}

problems!(ReadRefused, caller, InvalidArgument, NotFound);

/// How one of these stands.
#[utoipa::path(
    get, path = "/loadfiles/{id}", operation_id = "getLoad", tag = "files",
    params(("id" = LoadId, Path)),
    responses((status = 200, description = "The load", body = LoadSummary), ReadRefused),
    security(("session" = [])),
)]
pub(super) async fn read(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(id): PathPart,
) -> Answer<Body<LoadSummary>> {
    Ok(Body(service.load_summary(&caller, id.parse()?).await?))
}
