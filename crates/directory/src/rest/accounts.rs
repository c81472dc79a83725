//! `/accounts`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use convite_wire::rest::{AccountBody, AccountMade};

use super::Answer;
use super::extract::Json;
use super::openapi::problems;
use crate::Service;
use crate::service::Seen;

problems!(
    AccountRefused,
    anybody,
    InvalidArgument,
    InviteInvalid,
    UserTaken,
    TooLarge,
    TooManyRequests,
    UnsupportedMediaType
);

/// Makes an account with an invite.
#[utoipa::path(
    post, path = "/accounts", operation_id = "createAccount", tag = "accounts",
    request_body = AccountBody,
    responses((status = 201, description = "The account", body = AccountMade), AccountRefused),
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    seen: Seen,
    Json(body): Json<AccountBody>,
) -> Answer<(StatusCode, Body<AccountMade>)> {
    let account = service
        .create_account(&body.invite, &body.user, &body.password, seen)
        .await?;
    let made = AccountMade {
        user: account.user,
        role: account.role,
    };
    Ok((StatusCode::CREATED, Body(made)))
}
