//! `/invites`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use convite_wire::rest::{InviteBody, InviteMade};

use super::Answer;
use super::extract::Json;
use super::openapi::problems;
use crate::Service;
use crate::service::{Caller, NewInvite};

problems!(
    InviteRefused,
    caller,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    TooLarge,
    UnsupportedMediaType
);

/// Makes an invite, as an administrator.
#[utoipa::path(
    post, path = "/invites", operation_id = "createInvite", tag = "accounts",
    request_body = InviteBody,
    responses((status = 201, description = "The invite", body = InviteMade), InviteRefused),
    security(("session" = [])),
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Json(body): Json<InviteBody>,
) -> Answer<(StatusCode, Body<InviteMade>)> {
    let new = NewInvite {
        uses: body.uses,
        expires_in: body.expires_in.map(Duration::from_secs),
        role: body.role,
        space: body.space,
    };
    let issued = service.create_invite(&caller, new).await?;
    let made = InviteMade {
        invite: issued.link.to_string(),
        expires_at: issued.expires.seconds(),
        uses: issued.uses,
    };
    Ok((StatusCode::CREATED, Body(made)))
}
