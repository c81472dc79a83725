//! `/invites`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use convite_wire::rest::{InviteBody, InviteMade, InvitesPage};

use super::Answer;
use super::extract::{Json, Paging, PathPart, Query};
use super::openapi::problems;
use super::qr;
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
    let web = issued.link.web();
    let qr = match body.qr {
        true => Some(qr::svg(&web)?),
        false => None,
    };
    let made = InviteMade {
        invite: issued.link.to_string(),
        web,
        qr,
        expires_at: issued.expires.seconds(),
        uses: issued.uses,
    };
    Ok((StatusCode::CREATED, Body(made)))
}

problems!(ListRefused, caller, InvalidArgument, PermissionDenied);

/// The invites that can still be used, by id, for administrators.
#[utoipa::path(
    get, path = "/invites", operation_id = "listInvites", tag = "accounts",
    params(Paging),
    responses((status = 200, description = "A page", body = InvitesPage), ListRefused),
    security(("session" = [])),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> Answer<Body<InvitesPage>> {
    let page = service
        .list_invites(&caller, paging.limit, paging.cursor.as_deref())
        .await?;
    Ok(Body(InvitesPage {
        invites: page.items,
        next_cursor: page.next_cursor,
    }))
}

problems!(
    RevokeRefused,
    caller,
    InvalidArgument,
    NotFound,
    PermissionDenied
);

/// Makes an invite useless, as an administrator.
#[utoipa::path(
    delete, path = "/invites/{id}", operation_id = "revokeInvite", tag = "accounts",
    params(("id" = String, Path)),
    responses((status = 204, description = "Nobody can use it"), RevokeRefused),
    security(("session" = [])),
)]
pub(super) async fn revoke(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(id): PathPart,
) -> Answer<StatusCode> {
    service.revoke_invite(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
