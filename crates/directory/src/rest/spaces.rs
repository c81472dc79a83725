//! `/spaces`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use convite_core::{SpaceName, UserName};
use convite_wire::rest::{MembersPage, SpaceBody, SpacesPage};

use super::Answer;
use super::extract::{Json, Paging, PathPart, PathParts, Query};
use super::openapi::problems;
use crate::Service;
use crate::service::Caller;

problems!(ListRefused, caller, InvalidArgument);

/// The spaces by name: all for administrators, their own for others.
#[utoipa::path(
    get, path = "/spaces", operation_id = "listSpaces", tag = "administration",
    params(Paging),
    responses((status = 200, description = "A page", body = SpacesPage), ListRefused),
    security(("session" = [])),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Answer<Body<SpacesPage>> {
    let page = service
        .list_spaces(&caller, paging.limit, paging.cursor.as_deref())
        .await?;
    Ok(Body(SpacesPage {
        spaces: page.items,
        next_cursor: page.next_cursor,
    }))
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

/// Makes a space without members, as an administrator.
#[utoipa::path(
    post, path = "/spaces", operation_id = "addSpace", tag = "administration",
    request_body = SpaceBody,
    responses((status = 201, description = "It is there"), AddRefused),
    security(("session" = [])),
)]
pub(super) async fn add(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Json(body): Json<SpaceBody>,
) -> Answer<StatusCode> {
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

/// Removes a space and takes the files out that are shared there, as an administrator.
#[utoipa::path(
    delete, path = "/spaces/{space}", operation_id = "removeSpace", tag = "administration",
    params(("space" = SpaceName, Path)),
    responses((status = 204, description = "It is gone"), OneRefused),
    security(("session" = [])),
)]
pub(super) async fn remove(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(space): PathPart,
) -> Answer<StatusCode> {
    service.remove_space(&caller, &space.parse()?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The members of a space, by name, for administrators.
#[utoipa::path(
    get, path = "/spaces/{space}/members", operation_id = "listMembers", tag = "administration",
    params(("space" = SpaceName, Path), Paging),
    responses((status = 200, description = "A page", body = MembersPage), OneRefused),
    security(("session" = [])),
)]
pub(super) async fn members(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(space): PathPart,
    Query(paging): Query<Paging>,
) -> Answer<Body<MembersPage>> {
    let (space, cursor) = (space.parse()?, paging.cursor.as_deref());
    let page = service
        .list_members(&caller, &space, paging.limit, cursor)
        .await?;
    Ok(Body(MembersPage {
        members: page.items,
        next_cursor: page.next_cursor,
    }))
}

/// Lets an account into a space, as an administrator.
#[utoipa::path(
    put, path = "/spaces/{space}/members/{user}", operation_id = "addMember",
    tag = "administration",
    params(("space" = SpaceName, Path), ("user" = UserName, Path)),
    responses((status = 204, description = "It belongs to it"), OneRefused),
    security(("session" = [])),
)]
pub(super) async fn add_member(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathParts(space, user): PathParts,
) -> Answer<StatusCode> {
    let (space, user) = (space.parse()?, user.parse()?);
    service.add_member(&caller, &space, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes an account and its files out of a space, as an administrator.
#[utoipa::path(
    delete, path = "/spaces/{space}/members/{user}", operation_id = "removeMember",
    tag = "administration",
    params(("space" = SpaceName, Path), ("user" = UserName, Path)),
    responses((status = 204, description = "It belongs to it no more"), OneRefused),
    security(("session" = [])),
)]
pub(super) async fn remove_member(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathParts(space, user): PathParts,
) -> Answer<StatusCode> {
    let (space, user) = (space.parse()?, user.parse()?);
    service.remove_member(&caller, &space, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}
