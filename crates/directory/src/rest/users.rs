//! `/users`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use convite_core::administration::AccountSummary;
use convite_core::model::Role;
use convite_core::{SpaceName, UserName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extractors::{Json, Paging, PathPart, Query};
use super::openapi::problems;
use super::pages::page;
use crate::Service;
use crate::answer::HandlerResult;
use crate::service::{Caller, ClientAddress, UserChange};

/// `POST /users`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserBody {
    /// Name of the account.
    pub user: UserName,
    /// Initial password: 8 to 1,024 characters.
    #[schema(min_length = 8, max_length = 1024, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$", format = Password)]
    // Never logged: this type has no `Debug`.
    pub password: String,
    /// Role of the account; `member` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The spaces that the account joins.
    #[serde(default)]
    pub spaces: Vec<SpaceName>,
}

/// `PATCH /users/{user}`: changes the given fields, all or none.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UserChangeBody {
    /// Role of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Disabling an account ends its sessions and takes its peers offline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// A new password. It ends the account's sessions, except the session of this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 8, max_length = 1024, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$", format = Password)]
    pub password: Option<String>,
    /// The current password, required to change the caller's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = Password)]
    pub old_password: Option<String>,
}

page! {
    /// `GET /users`.
    UsersPage: /** The accounts, sorted by name. */ users, AccountSummary;
}

problems!(ListRefused, caller, InvalidArgument, PermissionDenied);

/// Lists the accounts by name, for administrators.
#[utoipa::path(
    get, path = "/users", operation_id = "listUsers", tag = "administration",
    params(Paging),
    responses((status = 200, description = "A page", body = UsersPage), ListRefused),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> HandlerResult<Body<UsersPage>> {
    let page = service
        .list_users(&caller, paging.limit, paging.cursor.as_deref())
        .await?;
    Ok(Body(page.into()))
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

/// Creates an account, as an administrator.
#[utoipa::path(
    post, path = "/users", operation_id = "addUser", tag = "administration",
    request_body = UserBody,
    responses((status = 201, description = "The account", body = AccountSummary), AddRefused),
)]
pub(super) async fn add(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Json(body): Json<UserBody>,
) -> HandlerResult<(StatusCode, Body<AccountSummary>)> {
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

/// Changes an account: administrators any account, other users their own password.
#[utoipa::path(
    patch, path = "/users/{user}", operation_id = "changeUser", tag = "administration",
    params(("user" = UserName, Path)),
    request_body = UserChangeBody,
    responses((status = 200, description = "The account", body = AccountSummary), ChangeRefused),
)]
pub(super) async fn change(
    State(service): State<Arc<Service>>,
    caller: Caller,
    seen: ClientAddress,
    PathPart(user): PathPart,
    Json(body): Json<UserChangeBody>,
) -> HandlerResult<Body<AccountSummary>> {
    let change = UserChange {
        role: body.role,
        disabled: body.disabled,
        password: body.password.as_deref(),
        current_password: body.old_password.as_deref(),
    };
    let user = user.parse()?;
    let account = service.change_user(&caller, &user, change, seen).await?;
    Ok(Body(account))
}
