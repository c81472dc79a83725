//! `/accounts`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use convite_core::UserName;
use convite_core::model::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extractors::Json;
use super::openapi::problems;
use crate::Service;
use crate::answer::HandlerResult;
use crate::service::ClientAddress;

/// `POST /accounts`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountBody {
    /// The code of an invite, or the whole link.
    pub invite: String,
    /// Name of the new account.
    pub user: UserName,
    /// Password of the new account: 8 to 1,024 characters.
    #[schema(min_length = 8, max_length = 1024, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$", format = Password)]
    pub password: String,
}

/// The response to the creation of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) struct AccountMade {
    /// Name of the account.
    pub user: UserName,
    /// Role of the account.
    pub role: Role,
}

problems!(
    AccountRefused,
    public,
    InvalidArgument,
    InviteInvalid,
    UserTaken,
    TooLarge,
    TooManyRequests,
    UnsupportedMediaType
);

/// Creates an account with an invite.
#[utoipa::path(
    post, path = "/accounts", operation_id = "createAccount", tag = "accounts",
    request_body = AccountBody,
    responses((status = 201, description = "The account", body = AccountMade), AccountRefused),
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    seen: ClientAddress,
    Json(body): Json<AccountBody>,
) -> HandlerResult<(StatusCode, Body<AccountMade>)> {
    let account = service
        .create_account(&body.invite, &body.user, &body.password, seen)
        .await?;
    let made = AccountMade {
        user: account.user,
        role: account.role,
    };
    Ok((StatusCode::CREATED, Body(made)))
}
