//! `Login`, `Logout`, `ListSessions`, `RevokeSession` and `WhoAmI`.

use convite_core::{Problem, Terms};
use convite_wire::{convert, v1};
use tonic::Request;

use super::{Door, seen, some_number};
use crate::service::Endpoint;

/// A peer's endpoint out of a message.
pub(super) fn endpoint(message: v1::PeerEndpoint) -> Result<Endpoint, Problem> {
    Ok(Endpoint {
        id: message.id.parse()?,
        port: convert::port(message.port)?,
        addresses: convert::addresses(&message.addresses)?,
        signing_request: Vec::new(),
        transient: false,
        terms: Terms::default(),
    })
}

pub(super) async fn login(
    door: &Door,
    request: Request<v1::LoginRequest>,
) -> Result<v1::LoginReply, Problem> {
    let seen = seen(&request)?;
    let message = request.into_inner();
    let user = message.user.parse()?;
    let peer = message.peer.map(endpoint).transpose()?;
    let session = door
        .service
        .login_with_peer(&user, &message.password, peer, seen)
        .await?;
    Ok(v1::LoginReply {
        token: session.token,
        expires_at: session.expires.seconds(),
        user: session.user.to_string(),
        role: session.role.name().to_owned(),
        directories: convert::address_texts(&door.service.directories()),
    })
}

pub(super) async fn logout(
    door: &Door,
    request: Request<v1::LogoutRequest>,
) -> Result<v1::LogoutReply, Problem> {
    let caller = door.caller(&request).await?;
    door.service.logout(&caller).await?;
    Ok(v1::LogoutReply {})
}

pub(super) async fn list_sessions(
    door: &Door,
    request: Request<v1::ListSessionsRequest>,
) -> Result<v1::ListSessionsReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let user = convert::some_text(message.user).map(|user| user.parse());
    let (user, cursor) = (user.transpose()?, convert::some_text(message.cursor));
    let limit = some_number(message.limit);
    let page = door
        .service
        .list_sessions(&caller, user.as_ref(), limit, cursor.as_deref())
        .await?;
    Ok(v1::ListSessionsReply {
        sessions: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}

pub(super) async fn revoke_session(
    door: &Door,
    request: Request<v1::RevokeSessionRequest>,
) -> Result<v1::RevokeSessionReply, Problem> {
    let caller = door.caller(&request).await?;
    let id = request.into_inner().id;
    door.service.revoke_session(&caller, &id).await?;
    Ok(v1::RevokeSessionReply {})
}

pub(super) async fn who_am_i(
    door: &Door,
    request: Request<v1::WhoAmIRequest>,
) -> Result<v1::WhoAmIReply, Problem> {
    let caller = door.caller(&request).await?;
    let me = door.service.me(&caller).await?;
    Ok(v1::WhoAmIReply {
        user: me.user.to_string(),
        role: me.role.name().to_owned(),
        spaces: me.spaces.iter().map(ToString::to_string).collect(),
        expires_at: me.expires.seconds(),
        link: me.link.to_string(),
    })
}
