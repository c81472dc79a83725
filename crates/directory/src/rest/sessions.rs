//! `/login`, `/logout`, `/sessions` and `/me`.

use std::sync::Arc;

use axum::Json as Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use convite_core::address::{AddressInput, with_port};
use convite_core::administration::SessionSummary;
use convite_core::model::{FileEntry, Role};
use convite_core::{PeerAddress, PeerId, Problem, SharingPolicy, SpaceName, UserName};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extractors::{Json, PathPart, Query};
use super::openapi::problems;
use super::pages::page;
use crate::Service;
use crate::answer::HandlerResult;
use crate::credentials::{SessionCookie, split_token};
use crate::service::{Caller, ClientAddress, Login, PeerLogin, PeerRegistration, TokenStorage};

/// `POST /login`.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginBody {
    /// Name of the account.
    pub user: UserName,
    /// Password of the account.
    #[schema(format = Password)]
    // Never logged: this type has no `Debug`.
    pub password: String,
    /// Also registers this peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<PeerEndpoint>,
    /// For browsers: the token consists of two halves, an `HttpOnly` cookie and `page_key`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cookie: bool,
}

/// A peer in a registration.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PeerEndpoint {
    /// Id of the peer.
    pub id: PeerId,
    /// The port that the peer listens on.
    #[schema(minimum = 1, maximum = 65535)]
    pub port: u16,
    /// Addresses of the peer. The directory adds the address that the request came from.
    #[serde(default)]
    pub addresses: Vec<AddressInput>,
    /// All files that the peer shares, in the form of `PUT /index`; if absent, its index is
    /// unchanged. The whole body has at most 256 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub files: Option<Vec<FileEntry>>,
}

/// The response to a login.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub(super) struct SessionBody {
    /// The bearer token; absent for a browser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// For browsers: the value to send as `convite-page-key` with each request, besides the cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_key: Option<String>,
    /// Expiry time in seconds since 1970. Each use of the session extends it.
    pub expires_at: i64,
    /// Name of the account.
    pub user: UserName,
    /// Role of the account.
    pub role: Role,
    /// Generation of the published index, if one was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Addresses of the replicas that are up, this one first.
    #[serde(default)]
    pub directories: Vec<PeerAddress>,
}

/// `GET /me`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) struct MeBody {
    /// Account of the session.
    pub user: UserName,
    /// Role of the account.
    pub role: Role,
    /// The spaces that the account is a member of, sorted by name.
    pub spaces: Vec<SpaceName>,
    /// Expiry time of the session if it is not used again, in seconds since 1970.
    pub expires_at: i64,
    /// Link to add another computer of the account (`convite join LINK`), without an invite.
    pub link: String,
}

page! {
    /// `GET /sessions`.
    SessionsPage: /** The sessions, sorted by id. */ sessions, SessionSummary;
}

problems!(
    LoginRefused,
    public,
    InvalidArgument,
    WrongCredentials,
    PermissionDenied,
    NotFound,
    PeerTaken,
    Quota,
    TooLarge,
    TooManyRequests,
    UnsupportedMediaType
);

/// Logs in; with `peer`, also registers this peer, and publishes its `files` if given. If this
/// fails, no session is created.
///
/// With `cookie`, the browser stores one half of the session as `__Host-convite` (`convite` without
/// TLS); the page stores the other half, `page_key`, and sends it as `convite-page-key`. In
/// requests without `authorization`, both together identify the session; one half alone does not.
/// `GET /me` also extends the cookie.
#[utoipa::path(
    post, path = "/login", operation_id = "login", tag = "sessions",
    request_body = LoginBody,
    responses((status = 200, description = "A session", body = SessionBody), LoginRefused),
)]
pub(super) async fn login(
    State(service): State<Arc<Service>>,
    seen: ClientAddress,
    Json(body): Json<LoginBody>,
) -> HandlerResult<(HeaderMap, Body<SessionBody>)> {
    let peer = body.peer.map(peer_login).transpose()?;
    let holder = if body.cookie {
        TokenStorage::Browser
    } else {
        TokenStorage::Program
    };
    let login = Login {
        user: &body.user,
        password: &body.password,
        holder,
        peer,
    };
    let (session, generation) = service.login(login, seen).await?;
    let mut fields = HeaderMap::new();
    let mut page_key = None;
    if body.cookie {
        let cookie = SessionCookie::of(service.is_encrypted());
        let (half, key) = split_token(&session.token);
        let kept = cookie.set_cookie(half, service.session_lifetime());
        fields.extend(kept.map(|kept| (header::SET_COOKIE, kept)));
        page_key = Some(key.to_owned());
    }
    let session = SessionBody {
        token: (!body.cookie).then_some(session.token),
        page_key,
        expires_at: session.expires.seconds(),
        user: session.user,
        role: session.role,
        generation,
        directories: service.replica_addresses(),
    };
    Ok((fields, Body(session)))
}

fn peer_login(peer: PeerEndpoint) -> Result<PeerLogin, Problem> {
    let endpoint = PeerRegistration {
        addresses: with_port(&peer.addresses, peer.port)?,
        id: peer.id,
        port: peer.port,
        signing_request: Vec::new(),
        run: None,
        is_starting: true,
        transient: false,
        terms: SharingPolicy::default(),
    };
    Ok(PeerLogin {
        endpoint,
        files: peer.files,
    })
}

problems!(LogoutRefused, caller);

/// Ends the session; its peers go offline.
#[utoipa::path(
    post, path = "/logout", operation_id = "logout", tag = "sessions",
    responses((status = 204, description = "The session has ended"), LogoutRefused),
)]
pub(super) async fn logout(
    State(service): State<Arc<Service>>,
    caller: Caller,
    headers: HeaderMap,
) -> HandlerResult<(StatusCode, HeaderMap)> {
    service.logout(&caller).await?;
    let cookie = SessionCookie::of(service.is_encrypted());
    let mut fields = HeaderMap::new();
    if cookie.token(&headers).is_some() {
        let forgotten = cookie.clear_cookie();
        fields.extend(forgotten.map(|forgotten| (header::SET_COOKIE, forgotten)));
    }
    Ok((StatusCode::NO_CONTENT, fields))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// The user; without it, the caller's own sessions, or all sessions for administrators.
    #[param(value_type = Option<UserName>, nullable = false)]
    user: Option<String>,
    /// Maximum number of items; 100 by default.
    #[param(minimum = 1, maximum = 1000, nullable = false)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page.
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

/// Lists active sessions by id: the caller's own; for administrators, those of any account.
#[utoipa::path(
    get, path = "/sessions", operation_id = "listSessions", tag = "sessions",
    params(ListQuery),
    responses((status = 200, description = "A page", body = SessionsPage), ListRefused),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> HandlerResult<Body<SessionsPage>> {
    let user = query.user.map(|user| user.parse()).transpose()?;
    let cursor = query.cursor.as_deref();
    let page = service
        .list_sessions(&caller, user.as_ref(), query.limit, cursor)
        .await?;
    Ok(Body(page.into()))
}

problems!(RevokeRefused, caller, InvalidArgument, NotFound);

/// Ends one of the caller's sessions or, as an administrator, any session; its peers go offline.
#[utoipa::path(
    delete, path = "/sessions/{id}", operation_id = "revokeSession", tag = "sessions",
    params(("id" = String, Path)),
    responses((status = 204, description = "The session has ended"), RevokeRefused),
)]
pub(super) async fn revoke(
    State(service): State<Arc<Service>>,
    caller: Caller,
    PathPart(id): PathPart,
) -> HandlerResult<StatusCode> {
    service.revoke_session(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

problems!(MeRefused, caller);

/// Returns the account of the session.
#[utoipa::path(
    get, path = "/me", operation_id = "whoAmI", tag = "sessions",
    responses((status = 200, description = "The account", body = MeBody), MeRefused),
)]
pub(super) async fn me(
    State(service): State<Arc<Service>>,
    caller: Caller,
    headers: HeaderMap,
) -> HandlerResult<(HeaderMap, Body<MeBody>)> {
    let me = service.me(&caller).await?;
    let cookie = SessionCookie::of(service.is_encrypted());
    let mut fields = HeaderMap::new();
    if !headers.contains_key(header::AUTHORIZATION)
        && let Some(token) = cookie.token(&headers)
    {
        // Extend the cookie with the session.
        let kept = cookie.set_cookie(token, service.session_lifetime());
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
