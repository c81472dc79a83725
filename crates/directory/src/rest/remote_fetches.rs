//! `/loadfiles`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use convite_core::remote_fetch::{LoadId, LoadSummary};
use convite_core::{ContentHash, PeerId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extractors::{Json, Paging, PathPart, Query};
use super::openapi::problems;
use super::pages::page;
use crate::Service;
use crate::answer::HandlerResult;
use crate::service::Caller;

/// `POST /loadfiles`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoadBody {
    /// Content hash of the file.
    pub hash: ContentHash,
    /// The peer that fetches the file.
    pub peer: PeerId,
    /// The name to use, one of the file's names; the most common if absent or unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 255)]
    pub name: String,
}

/// The response to a load request.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(super) struct LoadMade {
    /// Id of the load, for queries about it.
    pub load: LoadId,
}

page! {
    /// A page of loads, newest first.
    LoadsPage: /** The loads. */ loads, LoadSummary;
}

problems!(
    LoadRefused,
    caller,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    TooLarge,
    UnsupportedMediaType
);

/// Requests a remote download: one of the caller's peers, or one that allows it, fetches a file and
/// shares it in the same space.
///
/// Repeating the request while the download is open returns the same download.
#[utoipa::path(
    post, path = "/loadfiles", operation_id = "loadFile", tag = "files",
    request_body = LoadBody,
    responses((status = 202, description = "The request was accepted", body = LoadMade), LoadRefused),
)]
pub(super) async fn load(
    state: State<Arc<Service>>,
    caller: Caller,
    body: Json<LoadBody>,
) -> HandlerResult<(StatusCode, Body<LoadMade>)> {
    ask(state, caller, body).await
}

/// Same as `POST`.
#[utoipa::path(
    put, path = "/loadfiles", operation_id = "putLoadFile", tag = "files",
    request_body = LoadBody,
    responses((status = 202, description = "The request was accepted", body = LoadMade), LoadRefused),
)]
pub(super) async fn load_by_put(
    state: State<Arc<Service>>,
    caller: Caller,
    body: Json<LoadBody>,
) -> HandlerResult<(StatusCode, Body<LoadMade>)> {
    ask(state, caller, body).await
}

async fn ask(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Json(body): Json<LoadBody>,
) -> HandlerResult<(StatusCode, Body<LoadMade>)> {
    let load = service
        .request_remote_fetch(&caller, &body.peer, &body.hash, &body.name)
        .await?;
    Ok((StatusCode::ACCEPTED, Body(LoadMade { load })))
}

problems!(ListRefused, caller, InvalidArgument);

/// Lists the caller's remote downloads, newest first; they are kept for a day after their end.
#[utoipa::path(
    get, path = "/loadfiles", operation_id = "listLoads", tag = "files",
    params(Paging),
    responses((status = 200, description = "A page", body = LoadsPage), ListRefused),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> HandlerResult<Body<LoadsPage>> {
    let page = service
        .list_remote_fetches(&caller, paging.limit, paging.cursor.as_deref())
        .await?;
    Ok(Body(page.into()))
}

problems!(ReadRefused, caller, InvalidArgument, NotFound);

/// Returns the state of a remote download.
#[utoipa::path(
    get, path = "/loadfiles/{id}", operation_id = "getLoad", tag = "files",
    params(("id" = LoadId, Path)),
    responses((status = 200, description = "The remote download", body = LoadSummary), ReadRefused),
)]
pub(super) async fn read(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(id): PathPart,
) -> HandlerResult<Body<LoadSummary>> {
    Ok(Body(
        service.remote_fetch_state(&caller, id.parse()?).await?,
    ))
}
