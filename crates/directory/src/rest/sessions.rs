//! `/login`, `/logout`, `/sessions` and `/me`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use convite_core::{Terms, UserName};
use convite_wire::rest::{LoginBody, MeBody, SessionBody, SessionsPage};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Answer;
use super::extract::{Json, PathPart, Query};
use super::openapi::problems;
use crate::Service;
use crate::credentials::SessionCookie;
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
///
/// With `cookie` the session is kept by the browser, as `__Host-convite` (`convite` without TLS), and
/// taken from there where a request has no `authorization`; `GET /me` puts off its end there too.
#[utoipa::path(
    post, path = "/login", operation_id = "login", tag = "sessions",
    request_body = LoginBody,
    responses((status = 200, description = "A session", body = SessionBody), LoginRefused),
)]
pub(super) async fn login(
    State(service): State<Arc<Service>>,
    seen: Seen,
    Json(body): Json<LoginBody>,
) -> Answer<(HeaderMap, Body<SessionBody>)> {
    let peer = body.peer.map(|peer| Endpoint {
        id: peer.id,
        port: peer.port,
        addresses: peer.addresses,
        signing_request: Vec::new(),
        transient: false,
        terms: Terms::default(),
    });
    let session = service
        .login_with_peer(&body.user, &body.password, peer, seen)
        .await?;
    let mut fields = HeaderMap::new();
    if body.cookie {
        let cookie = SessionCookie::of(service.is_encrypted());
        let kept = cookie.keep(&session.token, service.session_lifetime());
        fields.extend(kept.map(|kept| (header::SET_COOKIE, kept)));
    }
    let session = SessionBody {
        token: (!body.cookie).then_some(session.token),
        expires_at: session.expires.seconds(),
        user: session.user,
        role: session.role,
        directories: service.directories(),
    };
    Ok((fields, Body(session)))
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
    headers: HeaderMap,
) -> Answer<(StatusCode, HeaderMap)> {
    service.logout(&caller).await?;
    let cookie = SessionCookie::of(service.is_encrypted());
    let mut fields = HeaderMap::new();
    if cookie.token(&headers).is_some() {
        let forgotten = cookie.forget();
        fields.extend(forgotten.map(|forgotten| (header::SET_COOKIE, forgotten)));
    }
    Ok((StatusCode::NO_CONTENT, fields))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Whose; without it one's own, and for administrators everybody's.
    #[param(value_type = Option<UserName>, nullable = false)]
    user: Option<String>,
    /// The most on a page; 100 by default.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
}

problems!(
    ListRefused,
    caller,
    InvalidArgument,
    NotFound,
    PermissionDenied
);

/// The sessions that are alive, by id: one's own; an administrator's anybody's.
#[utoipa::path(
    get, path = "/sessions", operation_id = "listSessions", tag = "sessions",
    params(ListQuery),
    responses((status = 200, description = "A page", body = SessionsPage), ListRefused),
    security(("session" = [])),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Answer<Body<SessionsPage>> {
    let user = query.user.map(|user| user.parse()).transpose()?;
    let cursor = query.cursor.as_deref();
    let page = service
        .list_sessions(&caller, user.as_ref(), query.limit, cursor)
        .await?;
    Ok(Body(SessionsPage {
        sessions: page.items,
        next_cursor: page.next_cursor,
    }))
}

problems!(RevokeRefused, caller, InvalidArgument, NotFound);

/// Ends a session, one's own or as an administrator; its peers go offline.
#[utoipa::path(
    delete, path = "/sessions/{id}", operation_id = "revokeSession", tag = "sessions",
    params(("id" = String, Path)),
    responses((status = 204, description = "It has ended"), RevokeRefused),
    security(("session" = [])),
)]
pub(super) async fn revoke(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(id): PathPart,
) -> Answer<StatusCode> {
    service.revoke_session(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

problems!(MeRefused, caller);

/// Who the session that asks stands for.
#[utoipa::path(
    get, path = "/me", operation_id = "whoAmI", tag = "sessions",
    responses((status = 200, description = "The account", body = MeBody), MeRefused),
    security(("session" = [])),
)]
pub(super) async fn me(
    State(service): State<Arc<Service>>,
    caller: Caller,
    headers: HeaderMap,
) -> Answer<(HeaderMap, Body<MeBody>)> {
    let me = service.me(&caller).await?;
    let cookie = SessionCookie::of(service.is_encrypted());
    let mut fields = HeaderMap::new();
    if !headers.contains_key(header::AUTHORIZATION)
        && let Some(token) = cookie.token(&headers)
    {
        // The browser is to keep it for as long as it is good.
        let kept = cookie.keep(token, service.session_lifetime());
        fields.extend(kept.map(|kept| (header::SET_COOKIE, kept)));
    }
    let me = MeBody {
        user: me.user,
        role: me.role,
        spaces: me.spaces,
        expires_at: me.expires.seconds(),
        link: me.link.to_string(),
    };
    Ok((fields, Body(me)))
}
