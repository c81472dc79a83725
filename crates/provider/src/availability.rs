//! Follows the `Availability` stream of a provider and turns it into events for the planner.

use convite_core::ContentHash;
use convite_swarm::{Event, PieceSet, ProviderId};
use convite_wire::convert::hash_bytes;
use convite_wire::status::from_status;
use convite_wire::v1::peer_client::PeerClient;
use convite_wire::v1::{AvailabilityReply, AvailabilityRequest};
use tokio::sync::mpsc;
use tonic::Request;

use crate::connection::{Connection, Grpc};
use crate::loss::Loss;
use crate::task_event::TaskEvent;

/// Follows a provider's pieces until the provider is gone, and reports that. A provider without
/// this stream counts as complete; providers that the directory lists as partial always have it.
pub(crate) async fn follow(
    id: ProviderId,
    connection: Connection,
    hash: ContentHash,
    pieces: u32,
    is_partial: bool,
    events: mpsc::Sender<TaskEvent>,
) {
    let followed = match &connection {
        Connection::Grpc(grpc) => stream(id, grpc, hash, pieces, &events).await,
        Connection::Http1(_) => Err(StreamEnd::Unknown),
    };
    let last = match followed {
        Err(StreamEnd::Unknown) if !is_partial => TaskEvent::Plan(Event::HasAll(id)),
        Err(StreamEnd::Unknown) => {
            TaskEvent::Gone(id, Loss::disconnected("it does not report its pieces"))
        }
        Err(StreamEnd::Failed(loss)) => TaskEvent::Gone(id, loss),
        Ok(()) => TaskEvent::Gone(id, Loss::disconnected("it stopped sharing the file")),
    };
    // The send fails if the transfer has ended.
    let _ = events.send(last).await;
}

enum StreamEnd {
    /// The provider has no such stream.
    Unknown,
    Failed(Loss),
}

async fn stream(
    id: ProviderId,
    connection: &Grpc,
    hash: ContentHash,
    count: u32,
    events: &mpsc::Sender<TaskEvent>,
) -> Result<(), StreamEnd> {
    let mut client = PeerClient::with_origin(connection.http2.clone(), connection.origin.clone());
    let mut request = Request::new(AvailabilityRequest {
        hash: hash_bytes(&hash),
    });
    let metadata = request.metadata_mut();
    metadata.insert("authorization", connection.bearer.clone());
    let ended = |status: tonic::Status| match status.code() {
        tonic::Code::Unimplemented => StreamEnd::Unknown,
        _ => StreamEnd::Failed(Loss::from_provider(from_status(&status))),
    };
    let mut stream = client
        .availability(request)
        .await
        .map_err(ended)?
        .into_inner();
    let mut is_first = true;
    while let Some(reply) = stream.message().await.map_err(ended)? {
        let reported = reported(id, count, reply, std::mem::take(&mut is_first));
        for event in reported.map_err(StreamEnd::Failed)? {
            if events.send(TaskEvent::Plan(event)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn reported(
    id: ProviderId,
    count: u32,
    reply: AvailabilityReply,
    is_first: bool,
) -> Result<Vec<Event>, Loss> {
    let mut events = Vec::with_capacity(4);
    if reply.whole {
        events.push(Event::HasAll(id));
    } else if is_first {
        // An empty list of pieces is an answer too.
        events.push(Event::Has(id, Vec::new()));
    }
    if !reply.held.is_empty() {
        let held = PieceSet::from_bytes(count, &reply.held).ok_or_else(Loss::wrong_data)?;
        events.push(Event::Has(id, held.iter().collect()));
    }
    if !reply.pieces.is_empty() {
        events.push(Event::Has(id, reply.pieces));
    }
    if !reply.handed_out.is_empty() {
        events.push(if is_first {
            Event::PromisedBefore(id, reply.handed_out)
        } else {
            Event::Promised(id, reply.handed_out)
        });
    }
    Ok(events)
}
