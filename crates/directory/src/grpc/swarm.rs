//! `Announce`, and `Watch` (a stream that lasts as long as its reader wants).

use convite_core::{ContentHash, Problem, Within};
use convite_wire::v1;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Request;
use tonic::codegen::BoxStream;

use super::{Door, refuse};
use crate::service::Caller;

pub(super) async fn announce(
    door: &Door,
    request: Request<v1::AnnounceRequest>,
) -> Result<v1::AnnounceReply, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    let (peer, hash) = (
        message.peer.parse()?,
        ContentHash::from_slice(&message.hash)?,
    );
    let service = &door.service;
    match message.withdrawn {
        true => service.withdraw(&caller, &peer, &hash).await?,
        false => {
            service
                .announce(&caller, &peer, &hash, message.size)
                .await?;
        }
    }
    Ok(v1::AnnounceReply {})
}

pub(super) async fn watch(
    door: &Door,
    request: Request<v1::WatchRequest>,
) -> Result<BoxStream<v1::WatchReply>, Problem> {
    let caller = door.caller(&request).await?;
    let message = request.into_inner();
    if !message.peer.is_empty() {
        return orders(door, caller, &message);
    }
    let hash = ContentHash::from_slice(&message.hash)?;
    let within = Within::from_sent(message.space.as_deref())?;
    let told = door.service.watch(caller, hash, within)?;
    let replies = ReceiverStream::new(told).map(|told| match told {
        Ok(providers) => Ok(v1::WatchReply {
            providers: providers.iter().map(Into::into).collect(),
            loads: Vec::new(),
        }),
        Err(problem) => Err(refuse(problem)),
    });
    Ok(Box::pin(replies))
}

/// What a peer is asked to load.
fn orders(
    door: &Door,
    caller: Caller,
    message: &v1::WatchRequest,
) -> Result<BoxStream<v1::WatchReply>, Problem> {
    if !message.hash.is_empty() || message.space.is_some() {
        return Err(Problem::invalid("a hash or a peer is watched, not both"));
    }
    let told = door.service.watch_orders(caller, message.peer.parse()?)?;
    let replies = ReceiverStream::new(told).map(|told| match told {
        Ok(orders) => Ok(v1::WatchReply {
            providers: Vec::new(),
            loads: orders.iter().map(Into::into).collect(),
        }),
        Err(problem) => Err(refuse(problem)),
    });
    Ok(Box::pin(replies))
}
