//! `/login` and `/logout`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use axum::http::StatusCode;
use convite_wire::rest::{LoginBody, SessionBody};

use super::Answer;
use super::extract::Json;
use super::openapi::problems;
use crate::Service;
use crate::service::{Caller, Endpoint, Seen};

problems!(
    LoginRefused,
    anybody,
    InvalidArgument,
    WrongCredentials,
    PermissionDenied,
    PeerTaken,
    TooLarge,
    TooManyRequests,
    UnsupportedMediaType
);

/// Logs in; with `peer` registers that peer too, or does neither.
#[utoipa::path(
    post, path = "/login", operation_id = "login", tag = "sessions",
    request_body = LoginBody,
    responses((status = 200, description = "A session", body = SessionBody), LoginRefused),
)]
pub(super) async fn login(
    State(service): State<Arc<Service>>,
    seen: Seen,
    Json(body): Json<LoginBody>,
) -> Answer<Body<SessionBody>> {
    let peer = body.peer.map(|peer| Endpoint {
        id: peer.id,
        port: peer.port,
        addresses: peer.addresses,
        signing_request: Vec::new(),
        transient: false,
    });
    let session = service
        .login_with_peer(&body.user, &body.password, peer, seen)
        .await?;
    Ok(Body(SessionBody {
        token: session.token,
        expires_at: session.expires.seconds(),
        user: session.user,
        role: session.role,
        directories: service.directories(),
    }))
}

problems!(LogoutRefused, caller);

/// Ends the session; its peers go offline.
#[utoipa::path(
    post, path = "/logout", operation_id = "logout", tag = "sessions",
    responses((status = 204, description = "The session has ended"), LogoutRefused),
    security(("session" = [])),
)]
pub(super) async fn logout(
    State(service): State<Arc<Service>>,
    caller: Caller,
) -> Answer<StatusCode> {
    service.logout(&caller).await?;
    Ok(StatusCode::NO_CONTENT)
}
