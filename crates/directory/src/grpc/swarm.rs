//! `Announce`, and `Watch`, a stream that is open until the client closes it.

use convite_core::{ContentHash, Problem, SearchScope};
use convite_wire::{convert, v1};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::codegen::BoxStream;

use super::api::DirectoryService;
use crate::answer::grpc_status;
use crate::service::Caller;

pub(super) async fn announce(
    api: &DirectoryService,
    request: Request<v1::AnnounceRequest>,
) -> Result<v1::AnnounceReply, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    let (peer, hash) = (
        message.peer.parse()?,
        ContentHash::from_slice(&message.hash)?,
    );
    let service = &api.service;
    let spaces = if message.withdrawn {
        service.withdraw(&caller, &peer, &hash).await?;
        Vec::new()
    } else {
        let size = message.size;
        service.announce(&caller, &peer, &hash, size).await?
    };
    Ok(v1::AnnounceReply {
        spaces: spaces.iter().map(ToString::to_string).collect(),
    })
}

pub(super) async fn watch(
    api: &DirectoryService,
    request: Request<v1::WatchRequest>,
) -> Result<BoxStream<v1::WatchReply>, Problem> {
    let caller = api.caller(&request).await?;
    let message = request.into_inner();
    if !message.peer.is_empty() {
        return orders(api, caller, &message);
    }
    let hash = ContentHash::from_slice(&message.hash)?;
    let within = SearchScope::from_wire(message.space.as_deref())?;
    let kind = message.kind.map(convert::kind).transpose()?;
    let told = api.service.watch(caller, hash, kind, within)?;
    let replies = ReceiverStream::new(told).map(|told| match told {
        Ok(providers) => Ok(v1::WatchReply {
            providers: providers.iter().map(Into::into).collect(),
            loads: Vec::new(),
        }),
        Err(problem) => Err(grpc_status(problem)),
    });
    Ok(Box::pin(replies))
}

/// Streams the loads requested of a peer.
fn orders(
    api: &DirectoryService,
    caller: Caller,
    message: &v1::WatchRequest,
) -> Result<BoxStream<v1::WatchReply>, Problem> {
    if !message.hash.is_empty() || message.space.is_some() || message.kind.is_some() {
        return Err(Problem::invalid("set either a hash or a peer, not both"));
    }
    let told = api
        .service
        .watch_fetch_requests(caller, message.peer.parse()?)?;
    let replies = ReceiverStream::new(told).map(|told| match told {
        Ok(orders) => Ok(v1::WatchReply {
            providers: Vec::new(),
            loads: orders.iter().map(Into::into).collect(),
        }),
        Err(problem) => Err(grpc_status(problem)),
    });
    Ok(Box::pin(replies))
}
