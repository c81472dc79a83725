//! The stream `Availability`: what this peer holds of a file, and what it comes to hold and hands
//! out, as it does.
//!
//! One task for each subscriber, which remembers what it has told as sets. It looks at what is
//! true now only when there is room to tell it, so that a slow reader costs no queue: it gets
//! all that has changed since, as one message. The task ends when the file is served no more,
//! when the subscriber goes away, and when the peer stops.

use std::time::Duration;

use bytes::Bytes;
use convite_core::{ContentHash, PieceGeometry, Problem};
use convite_swarm::PieceSet;
use convite_wire::v1::{AvailabilityReply, AvailabilityRequest};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Serving;
use super::files::{self, Source};

/// The shortest time between two messages.
const PAUSE: Duration = Duration::from_millis(10);

/// The messages to one subscriber.
pub type Messages = ReceiverStream<Result<AvailabilityReply, Status>>;

/// Answers `Availability`.
///
/// # Errors
/// Those of the ticket, and `not_found` if the file is not served.
pub fn subscribe(
    serving: &Serving,
    request: &tonic::Request<AvailabilityRequest>,
) -> Result<Messages, Problem> {
    let headers = request.metadata().clone().into_headers();
    let ticket = serving.gate.ticket(&headers, None)?;
    let hash = ContentHash::from_slice(&request.get_ref().hash)?;
    ticket.opens(&hash)?;
    let geometry = files::find(serving, &hash)?
        .geometry()
        .ok_or_else(|| Problem::invalid("the file is too large to have pieces"))?;
    let (out, messages) = mpsc::channel(1);
    tokio::spawn(run_subscription(serving.clone(), hash, geometry, out));
    Ok(ReceiverStream::new(messages))
}

async fn run_subscription(
    serving: Serving,
    hash: ContentHash,
    geometry: PieceGeometry,
    out: mpsc::Sender<Result<AvailabilityReply, Status>>,
) {
    let promised = serving.promises.of(hash, &geometry);
    let mut catalogue = serving.catalogue.changes();
    let mut partials = serving.partial_files.changes();
    let mut promises = promised.changes();
    let mut waiting = serving.uploads.waiting();
    let mut told = Told::new(&geometry);
    let tell = async {
        loop {
            let Ok(place) = out.reserve().await else {
                return;
            };
            // What changes from here on is seen again in the next round.
            mark_seen(&mut [&mut catalogue, &mut partials, &mut promises]);
            let waiting_now = *waiting.borrow_and_update();
            let Ok(source) = files::find(&serving, &hash) else {
                return;
            };
            // What was whole and is not any more has to be asked about anew.
            if told.whole && !source.is_whole() {
                return;
            }
            let mut message = told.news(&source);
            message.handed_out = promised.since(&mut told.handed_out);
            message.waiting = u32::try_from(waiting_now).unwrap_or(u32::MAX);
            if told.is_news(&message) {
                place.send(Ok(message));
            } else {
                drop(place);
            }
            tokio::time::sleep(PAUSE).await;
            // The senders live as long as this task holds them.
            tokio::select! {
                _ = catalogue.changed() => {}
                _ = partials.changed() => {}
                _ = promises.changed() => {}
                _ = waiting.changed() => {}
            }
        }
    };
    tokio::select! {
        () = tell => {}
        () = out.closed() => {}
        () = serving.stop.cancelled() => {}
    }
}

fn mark_seen(changes: &mut [&mut watch::Receiver<()>]) {
    for change in changes {
        change.mark_unchanged();
    }
}

/// What a subscriber knows.
struct Told {
    begun: bool,
    whole: bool,
    held: PieceSet,
    /// How often each piece was promised.
    handed_out: Vec<u16>,
    waiting: u32,
}

impl Told {
    fn new(geometry: &PieceGeometry) -> Self {
        Self {
            begun: false,
            whole: false,
            held: PieceSet::empty(geometry.piece_count()),
            handed_out: Vec::new(),
            waiting: 0,
        }
    }

    /// What `source` holds that the subscriber does not know, noted as told.
    fn news(&mut self, source: &Source) -> AvailabilityReply {
        let mut message = AvailabilityReply::default();
        let held = match source {
            Source::Whole(_) => None,
            Source::Partial(partial) => Some(partial.held()).filter(|held| !held.is_full()),
        };
        match held {
            None => {
                message.whole = !self.whole;
                self.whole = true;
            }
            Some(held) if self.begun => {
                let new = held.iter().filter(|piece| !self.held.contains(*piece));
                message.pieces = new.collect();
                self.held = held;
            }
            Some(held) => {
                message.held = Bytes::from(held.to_bytes());
                self.held = held;
            }
        }
        message
    }

    /// Whether `message` says anything; notes that it is told.
    fn is_news(&mut self, message: &AvailabilityReply) -> bool {
        let first = !std::mem::replace(&mut self.begun, true);
        let waiting = std::mem::replace(&mut self.waiting, message.waiting) != message.waiting;
        let more = !message.pieces.is_empty() || !message.handed_out.is_empty();
        first || message.whole || more || waiting
    }
}
