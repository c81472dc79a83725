//! `/spaces`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use convite_core::administration::SpaceSummary;
use convite_core::{SpaceName, UserName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extractors::{Json, Paging, PathPart, PathParts, Query};
use super::openapi::problems;
use super::pages::page;
use crate::Service;
use crate::answer::HandlerResult;
use crate::service::Caller;

/// `POST /spaces`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SpaceBody {
    /// Name of the space.
    pub space: SpaceName,
}

page! {
    /// `GET /spaces`.
    SpacesPage: /** The spaces, sorted by name. */ spaces, SpaceSummary;
    /// `GET /spaces/{space}/members`.
    MembersPage: /** The members, sorted by name. */ members, UserName;
}

problems!(ListRefused, caller, InvalidArgument);

/// Lists the spaces by name: all for administrators, their own for others.
#[utoipa::path(
    get, path = "/spaces", operation_id = "listSpaces", tag = "administration",
    params(Paging),
    responses((status = 200, description = "A page", body = SpacesPage), ListRefused),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> HandlerResult<Body<SpacesPage>> {
    let page = service
        .list_spaces(&caller, paging.limit, paging.cursor.as_deref())
        .await?;
    Ok(Body(page.into()))
}

problems!(
    AddRefused,
    caller,
    InvalidArgument,
    PermissionDenied,
    SpaceTaken,
    TooLarge,
    UnsupportedMediaType
);

/// Creates a space without members, as an administrator.
#[utoipa::path(
    post, path = "/spaces", operation_id = "addSpace", tag = "administration",
    request_body = SpaceBody,
    responses((status = 201, description = "The space was created"), AddRefused),
)]
pub(super) async fn add(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Json(body): Json<SpaceBody>,
) -> HandlerResult<StatusCode> {
    service.add_space(&caller, &body.space).await?;
    Ok(StatusCode::CREATED)
}

problems!(
    OneRefused,
    caller,
    InvalidArgument,
    NotFound,
    PermissionDenied
);

/// Removes a space together with the files shared in it, as an administrator.
#[utoipa::path(
    delete, path = "/spaces/{space}", operation_id = "removeSpace", tag = "administration",
    params(("space" = SpaceName, Path)),
    responses((status = 204, description = "The space is removed"), OneRefused),
)]
pub(super) async fn remove(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(space): PathPart,
) -> HandlerResult<StatusCode> {
    service.remove_space(&caller, &space.parse()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the members of a space by name, for administrators.
#[utoipa::path(
    get, path = "/spaces/{space}/members", operation_id = "listMembers", tag = "administration",
    params(("space" = SpaceName, Path), Paging),
    responses((status = 200, description = "A page", body = MembersPage), OneRefused),
)]
pub(super) async fn members(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(space): PathPart,
    Query(paging): Query<Paging>,
) -> HandlerResult<Body<MembersPage>> {
    let (space, cursor) = (space.parse()?, paging.cursor.as_deref());
    let page = service
        .list_members(&caller, &space, paging.limit, cursor)
        .await?;
    Ok(Body(page.into()))
}

/// Adds an account to a space, as an administrator.
#[utoipa::path(
    put, path = "/spaces/{space}/members/{user}", operation_id = "addMember",
    tag = "administration",
    params(("space" = SpaceName, Path), ("user" = UserName, Path)),
    responses((status = 204, description = "The account is a member"), OneRefused),
)]
pub(super) async fn add_member(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathParts(space, user): PathParts,
) -> HandlerResult<StatusCode> {
    let (space, user) = (space.parse()?, user.parse()?);
    service.add_member(&caller, &space, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes an account and its files from a space, as an administrator.
#[utoipa::path(
    delete, path = "/spaces/{space}/members/{user}", operation_id = "removeMember",
    tag = "administration",
    params(("space" = SpaceName, Path), ("user" = UserName, Path)),
    responses((status = 204, description = "The account is no longer a member"), OneRefused),
)]
pub(super) async fn remove_member(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathParts(space, user): PathParts,
) -> HandlerResult<StatusCode> {
    let (space, user) = (space.parse()?, user.parse()?);
    service.remove_member(&caller, &space, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}
