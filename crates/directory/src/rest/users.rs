//! `/users`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use convite_core::UserName;
use convite_core::administration::AccountSummary;
use convite_core::model::Role;
use convite_wire::rest::{UserBody, UserChangeBody, UsersPage};

use super::Answer;
use super::extract::{Json, Paging, PathPart, Query};
use super::openapi::problems;
use crate::Service;
use crate::service::{Caller, Seen, UserChange};

problems!(ListRefused, caller, InvalidArgument, PermissionDenied);

/// The accounts, by name, for administrators.
#[utoipa::path(
    get, path = "/users", operation_id = "listUsers", tag = "administration",
    params(Paging),
    responses((status = 200, description = "A page", body = UsersPage), ListRefused),
    security(("session" = [])),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Answer<Body<UsersPage>> {
    let page = service
        .list_users(&caller, paging.limit, paging.cursor.as_deref())
        .await?;
    Ok(Body(UsersPage {
        users: page.items,
        next_cursor: page.next_cursor,
    }))
}

problems!(
    AddRefused,
    caller,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    UserTaken,
    TooLarge,
    UnsupportedMediaType
);

/// Makes an account, as an administrator.
#[utoipa::path(
    post, path = "/users", operation_id = "addUser", tag = "administration",
    request_body = UserBody,
    responses((status = 201, description = "The account", body = AccountSummary), AddRefused),
    security(("session" = [])),
)]
pub(super) async fn add(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Json(body): Json<UserBody>,
) -> Answer<(StatusCode, Body<AccountSummary>)> {
    let role = body.role.unwrap_or(Role::Member);
    let made = service
        .add_user(&caller, &body.user, &body.password, role, &body.spaces)
        .await?;
    Ok((StatusCode::CREATED, Body(made)))
}

problems!(
    ChangeRefused,
    caller,
    InvalidArgument,
    LastAdmin,
    NotFound,
    PermissionDenied,
    WrongCredentials,
    TooLarge,
    UnsupportedMediaType
);

/// Changes an account: an administrator anybody's, everybody the own password.
#[utoipa::path(
    patch, path = "/users/{user}", operation_id = "changeUser", tag = "administration",
    params(("user" = UserName, Path)),
    request_body = UserChangeBody,
    responses((status = 200, description = "The account", body = AccountSummary), ChangeRefused),
    security(("session" = [])),
)]
pub(super) async fn change(
    State(service): State<Arc<Service>>,
    caller: Caller,
    seen: Seen,
    PathPart(user): PathPart,
    Json(body): Json<UserChangeBody>,
) -> Answer<Body<AccountSummary>> {
    let change = UserChange {
        role: body.role,
        disabled: body.disabled,
        password: body.password.as_deref(),
        old: body.old_password.as_deref(),
    };
    let user = user.parse()?;
    let account = service.change_user(&caller, &user, change, seen).await?;
    Ok(Body(account))
}
