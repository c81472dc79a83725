//! `/invites`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use convite_core::SpaceName;
use convite_core::administration::InviteSummary;
use convite_core::model::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extractors::{Json, Paging, PathPart, Query};
use super::openapi::problems;
use super::pages::page;
use super::qr;
use crate::Service;
use crate::answer::HandlerResult;
use crate::service::{Caller, NewInvite};

/// `POST /invites`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct InviteBody {
    /// Number of uses; 1 if absent.
    #[schema(minimum = 1, maximum = 100_000)]
    pub uses: Option<u32>,
    /// Lifetime in seconds, from a minute to 366 days; 7 days if absent.
    #[schema(minimum = 60, maximum = 31_622_400)]
    pub expires_in: Option<u64>,
    /// Role of the accounts created with it; `member` if absent.
    pub role: Option<Role>,
    /// The space that accounts created with it join.
    pub space: Option<SpaceName>,
    /// Whether the response includes a QR code of the web address.
    pub qr: bool,
}

/// The response to the creation of an invite.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub(super) struct InviteMade {
    /// The invite link.
    pub invite: String,
    /// The page for joining with a browser. The code is in the fragment, which browsers do not
    /// send.
    #[serde(default)]
    pub web: String,
    /// QR code of the web address as an SVG document, if requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qr: Option<String>,
    /// Expiry time in seconds since 1970.
    pub expires_at: i64,
    /// Number of uses.
    pub uses: u32,
}

page! {
    /// `GET /invites`.
    InvitesPage: /** The invites, sorted by id. */ invites, InviteSummary;
}

problems!(
    InviteRefused,
    caller,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Quota,
    TooLarge,
    UnsupportedMediaType
);

/// Creates an invite, as an administrator.
#[utoipa::path(
    post, path = "/invites", operation_id = "createInvite", tag = "accounts",
    request_body = InviteBody,
    responses((status = 201, description = "The invite", body = InviteMade), InviteRefused),
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Json(body): Json<InviteBody>,
) -> HandlerResult<(StatusCode, Body<InviteMade>)> {
    let new = NewInvite {
        uses: body.uses,
        expires_in: body.expires_in.map(Duration::from_secs),
        role: body.role,
        space: body.space,
    };
    let issued = service.create_invite(&caller, new).await?;
    let web = issued.link.web();
    let qr = if body.qr { Some(qr::svg(&web)?) } else { None };
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

/// Lists the usable invites by id, for administrators.
#[utoipa::path(
    get, path = "/invites", operation_id = "listInvites", tag = "accounts",
    params(Paging),
    responses((status = 200, description = "A page", body = InvitesPage), ListRefused),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(paging): Query<Paging>,
) -> HandlerResult<Body<InvitesPage>> {
    let page = service
        .list_invites(&caller, paging.limit, paging.cursor.as_deref())
        .await?;
    Ok(Body(page.into()))
}

problems!(
    RevokeRefused,
    caller,
    InvalidArgument,
    NotFound,
    PermissionDenied
);

/// Revokes an invite, as an administrator.
#[utoipa::path(
    delete, path = "/invites/{id}", operation_id = "revokeInvite", tag = "accounts",
    params(("id" = String, Path)),
    responses((status = 204, description = "The invite is revoked"), RevokeRefused),
)]
pub(super) async fn revoke(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(id): PathPart,
) -> HandlerResult<StatusCode> {
    service.revoke_invite(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
