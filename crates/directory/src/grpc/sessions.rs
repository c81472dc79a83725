//! `Login` and `Logout`.

use convite_core::Problem;
use convite_wire::{convert, v1};
use tonic::Request;

use super::{Door, seen};
use crate::service::Endpoint;

/// A peer's endpoint out of a message.
pub(super) fn endpoint(message: v1::PeerEndpoint) -> Result<Endpoint, Problem> {
    Ok(Endpoint {
        id: message.id.parse()?,
        port: convert::port(message.port)?,
        addresses: convert::addresses(&message.addresses)?,
        signing_request: Vec::new(),
        transient: false,
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
