//! `RegisterPeer`, `LeavePeer`, `Heartbeat` and `ListPeers`.

use convite_core::{Problem, SharingPolicy};
use convite_wire::activity::run_of;
use convite_wire::{convert, v1};
use tonic::Request;

use super::api::{DirectoryService, non_zero, seen};
use super::sessions::endpoint;
use crate::service::PeerRegistration;

pub(super) async fn register_peer(
    api: &DirectoryService,
    request: Request<v1::RegisterPeerRequest>,
) -> Result<v1::RegisterPeerReply, Problem> {
    let caller = api.caller(&request).await?;
    let seen = seen(&request)?;
    let message = request.into_inner();
    let peer = message
        .peer
        .ok_or_else(|| Problem::invalid("the peer is missing"))?;
    let endpoint = PeerRegistration {
        signing_request: message.signing_request.to_vec(),
        run: run_of(&message.run)?,
        is_starting: message.starting,
        transient: message.transient,
        terms: SharingPolicy {
            uploads: message.uploads.parse()?,
            loads: message.loads.parse()?,
        },
        ..endpoint(peer)?
    };
    let registered = api.service.register_peer(&caller, endpoint, seen).await?;
    let mut reply = v1::RegisterPeerReply {
        lease_ms: registered.lease.as_millis() as u64,
        generation: registered.generation,
        ticket_key: bytes::Bytes::copy_from_slice(&registered.ticket_key),
        addresses: convert::address_texts(&registered.addresses),
        ..Default::default()
    };
    if let Some(certificate) = registered.certificate {
        reply.certificate = certificate.der.into();
        reply.authority = certificate.authority.into();
        reply.certificate_expires_ms = certificate.expires.0;
    }
    Ok(reply)
}

pub(super) async fn leave_peer(
    api: &DirectoryService,
    request: Request<v1::LeavePeerRequest>,
) -> Result<v1::LeavePeerReply, Problem> {
    let caller = api.caller(&request).await?;
    let peer = request.into_inner().id.parse()?;
    api.service.leave(&caller, &peer).await?;
    Ok(v1::LeavePeerReply {})
}

pub(super) async fn heartbeat(
    api: &DirectoryService,
    request: Request<v1::HeartbeatRequest>,
) -> Result<v1::HeartbeatReply, Problem> {
    let caller = api.caller(&request).await?;
    let seen = seen(&request)?;
    let message = request.into_inner();
    let (peer, run) = (message.id.parse()?, run_of(&message.run)?);
    let activity = message.try_into()?;
    let beat = api.service.heartbeat(&caller, &peer, run, activity);
    let (lease, generation) = beat.await?;
    Ok(v1::HeartbeatReply {
        lease_ms: lease.as_millis() as u64,
        generation,
        directories: convert::address_texts(&api.service.replica_addresses()),
        observed: seen.address().to_string(),
    })
}

pub(super) async fn list_peers(
    api: &DirectoryService,
    request: Request<v1::ListPeersRequest>,
) -> Result<v1::ListPeersReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let cursor = convert::some_text(message.cursor);
    let page = api
        .service
        .list_peers(&caller, non_zero(message.limit), cursor.as_deref())
        .await?;
    Ok(v1::ListPeersReply {
        peers: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}
