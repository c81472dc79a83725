//! `RegisterPeer`, `LeavePeer`, `Heartbeat` and `ListPeers`.

use convite_core::{Problem, Terms};
use convite_wire::{convert, v1};
use tonic::Request;

use super::sessions::endpoint;
use super::{Door, seen, some_number};
use crate::service::Endpoint;

pub(super) async fn register_peer(
    door: &Door,
    request: Request<v1::RegisterPeerRequest>,
) -> Result<v1::RegisterPeerReply, Problem> {
    let caller = door.caller(&request).await?;
    let seen = seen(&request)?;
    let message = request.into_inner();
    let peer = message
        .peer
        .ok_or_else(|| Problem::invalid("the peer is missing"))?;
    let endpoint = Endpoint {
        signing_request: message.signing_request.to_vec(),
        transient: message.transient,
        terms: Terms {
            uploads: message.uploads.parse()?,
            loads: message.loads.parse()?,
        },
        ..endpoint(peer)?
    };
    let registered = door.service.register_peer(&caller, endpoint, seen).await?;
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
    door: &Door,
    request: Request<v1::LeavePeerRequest>,
) -> Result<v1::LeavePeerReply, Problem> {
    let caller = door.caller(&request).await?;
    let peer = request.into_inner().id.parse()?;
    door.service.leave(&caller, &peer).await?;
    Ok(v1::LeavePeerReply {})
}

pub(super) async fn heartbeat(
    door: &Door,
    request: Request<v1::HeartbeatRequest>,
) -> Result<v1::HeartbeatReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let peer = message.id.parse()?;
    let activity = message.try_into()?;
    let (lease, generation) = door.service.heartbeat(&caller, &peer, activity).await?;
    Ok(v1::HeartbeatReply {
        lease_ms: lease.as_millis() as u64,
        generation,
        directories: convert::address_texts(&door.service.directories()),
    })
}

pub(super) async fn list_peers(
    door: &Door,
    request: Request<v1::ListPeersRequest>,
) -> Result<v1::ListPeersReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let cursor = convert::some_text(message.cursor);
    let page = door
        .service
        .list_peers(&caller, some_number(message.limit), cursor.as_deref())
        .await?;
    Ok(v1::ListPeersReply {
        peers: page.items.iter().map(Into::into).collect(),
        next_cursor: page.next_cursor.unwrap_or_default(),
    })
}
