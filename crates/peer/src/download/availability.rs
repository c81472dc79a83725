//! What a provider holds: its `Availability` stream, as events for the plan.

use convite_core::{ContentHash, ErrorCode};
use convite_swarm::{Event, Failure, PieceSet, ProviderId};
use convite_wire::convert::hash_bytes;
use convite_wire::status::from_status;
use convite_wire::v1::peer_client::PeerClient;
use convite_wire::v1::{AvailabilityReply, AvailabilityRequest};
use tokio::sync::mpsc;
use tonic::Request;

use super::connection::{Connection, Grpc, failure};
use super::receive::News;

/// Follows what a provider holds until it is gone, and then says so. A provider that knows no such
/// stream counts as whole, which those that the directory lists as partial are not.
pub(crate) async fn follow(
    id: ProviderId,
    connection: Connection,
    hash: ContentHash,
    pieces: u32,
    is_partial: bool,
    news: mpsc::Sender<News>,
) {
    let followed = match &connection {
        Connection::Grpc(grpc) => stream(id, grpc, hash, pieces, &news).await,
        Connection::Http1(_) => Err(Ended::Unknown),
    };
    let last = match followed {
        Err(Ended::Unknown) if !is_partial => News::Plan(Event::HasAll(id)),
        Err(Ended::Unknown) => News::Gone(id, Failure::Unreachable),
        Err(Ended::Failed(failure)) => News::Gone(id, failure),
        Ok(()) => News::Gone(id, Failure::Unreachable),
    };
    // Nobody listens any more if the download has ended.
    let _ = news.send(last).await;
}

enum Ended {
    /// The provider has no such stream.
    Unknown,
    Failed(Failure),
}

async fn stream(
    id: ProviderId,
    connection: &Grpc,
    hash: ContentHash,
    count: u32,
    news: &mpsc::Sender<News>,
) -> Result<(), Ended> {
    let mut client = PeerClient::with_origin(connection.http2.clone(), connection.origin.clone());
    let mut request = Request::new(AvailabilityRequest {
        hash: hash_bytes(&hash),
    });
    let metadata = request.metadata_mut();
    metadata.insert("authorization", connection.bearer.clone());
    let ended = |status: tonic::Status| match status.code() {
        tonic::Code::Unimplemented => Ended::Unknown,
        _ => {
            let problem = from_status(&status);
            match problem.code {
                // It stopped providing the file: the directory will say if it begins again.
                ErrorCode::NotFound => Ended::Failed(Failure::Unreachable),
                _ => Ended::Failed(failure(&problem)),
            }
        }
    };
    let mut stream = client
        .availability(request)
        .await
        .map_err(ended)?
        .into_inner();
    let mut is_first = true;
    while let Some(reply) = stream.message().await.map_err(ended)? {
        let events = events(id, count, reply, std::mem::take(&mut is_first));
        for event in events.map_err(Ended::Failed)? {
            if news.send(News::Plan(event)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn events(
    id: ProviderId,
    count: u32,
    reply: AvailabilityReply,
    is_first: bool,
) -> Result<Vec<Event>, Failure> {
    let mut events = Vec::with_capacity(4);
    if reply.whole {
        events.push(Event::HasAll(id));
    } else if is_first {
        // That it holds nothing yet is an answer too.
        events.push(Event::Has(id, Vec::new()));
    }
    if !reply.held.is_empty() {
        let held = PieceSet::from_bytes(count, &reply.held).ok_or(Failure::Dishonest)?;
        events.push(Event::Has(id, held.iter().collect()));
    }
    if !reply.pieces.is_empty() {
        events.push(Event::Has(id, reply.pieces));
    }
    if !reply.handed_out.is_empty() {
        events.push(match is_first {
            true => Event::HandedOutBefore(id, reply.handed_out),
            false => Event::HandedOut(id, reply.handed_out),
        });
    }
    Ok(events)
}
