//! `Login`, `Logout`, `ListSessions`, `RevokeSession` and `WhoAmI`.

use convite_core::model::FileEntry;
use convite_core::{Problem, SharingPolicy};
use convite_wire::{convert, v1};
use tonic::Request;

use super::api::{DirectoryService, non_zero, seen};
use crate::service::{Login, PeerLogin, PeerRegistration, TokenStorage};

/// Converts a peer's endpoint.
pub(super) fn endpoint(message: v1::PeerEndpoint) -> Result<PeerRegistration, Problem> {
    let port = convert::port(message.port)?;
    Ok(PeerRegistration {
        id: message.id.parse()?,
        port,
        addresses: convert::addresses_at(&message.addresses, port)?,
        signing_request: Vec::new(),
        run: None,
        is_starting: true,
        transient: false,
        terms: SharingPolicy::default(),
    })
}

pub(super) async fn login(
    api: &DirectoryService,
    request: Request<v1::LoginRequest>,
) -> Result<v1::LoginReply, Problem> {
    let seen = seen(&request)?;
    let message = request.into_inner();
    let user = message.user.parse()?;
    let files = message.files.into_iter().map(TryInto::try_into);
    let files: Vec<FileEntry> = files.collect::<Result<_, _>>()?;
    let publishes = message.publish || !files.is_empty();
    let peer = match message.peer {
        Some(peer) => Some(PeerLogin {
            endpoint: endpoint(peer)?,
            files: publishes.then_some(files),
        }),
        None if publishes => {
            return Err(
                Problem::invalid("files require a peer that shares them").hint("set `peer`")
            );
        }
        None => None,
    };
    let login = Login {
        user: &user,
        password: &message.password,
        holder: TokenStorage::Program,
        peer,
    };
    let (session, generation) = api.service.login(login, seen).await?;
    Ok(v1::LoginReply {
        generation: generation.unwrap_or_default(),
        token: session.token,
        expires_at: session.expires.seconds(),
        user: session.user.to_string(),
        role: session.role.name().to_owned(),
        directories: convert::address_texts(&api.service.replica_addresses()),
    })
}

pub(super) async fn logout(
    api: &DirectoryService,
    request: Request<v1::LogoutRequest>,
) -> Result<v1::LogoutReply, Problem> {
    let caller = api.caller(&request).await?;
    api.service.logout(&caller).await?;
    Ok(v1::LogoutReply {})
}

pub(super) async fn list_sessions(
    api: &DirectoryService,
    request: Request<v1::ListSessionsRequest>,
) -> Result<v1::ListSessionsReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let user = convert::some_text(message.user).map(|user| user.parse());
    let (user, cursor) = (user.transpose()?, convert::some_text(message.cursor));
    let limit = non_zero(message.limit);
    let page = api
        .service
        .list_sessions(&caller, user.as_ref(), limit, cursor.as_deref())
        .await?;
    Ok(v1::ListSessionsReply {
        sessions: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}

pub(super) async fn revoke_session(
    api: &DirectoryService,
    request: Request<v1::RevokeSessionRequest>,
) -> Result<v1::RevokeSessionReply, Problem> {
    let caller = api.caller(&request).await?;
    let id = request.into_inner().id;
    api.service.revoke_session(&caller, &id).await?;
    Ok(v1::RevokeSessionReply {})
}

pub(super) async fn who_am_i(
    api: &DirectoryService,
    request: Request<v1::WhoAmIRequest>,
) -> Result<v1::WhoAmIReply, Problem> {
    let caller = api.caller(&request).await?;
    let me = api.service.me(&caller).await?;
    Ok(v1::WhoAmIReply {
        user: me.user.to_string(),
        role: me.role.name().to_owned(),
        spaces: me.spaces.iter().map(ToString::to_string).collect(),
        expires_at: me.expires.seconds(),
        link: me.link.to_string(),
    })
}
