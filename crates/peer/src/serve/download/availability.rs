//! The stream `Availability`: the pieces of a file or folder that this peer holds and promises, with
//! updates. A peer that shares a folder holds all of its pieces.
//!
//! One task per subscriber, which records as sets what it has sent. It reads the current state only
//! when the stream has capacity, so a slow reader needs no queue: it gets all changes since then as
//! one message. The task ends when the file is no longer served to this reader, when the subscriber disconnects,
//! and when the peer stops.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use convite_core::{ContentHash, Problem};
use convite_net::task;
use convite_swarm::PieceSet;
use convite_wire::reader_ticket::ReaderTicket;
use convite_wire::v1::{AvailabilityReply, AvailabilityRequest};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::serve::context::ServeContext;
use crate::serve::download::contents::{self, ContentSource};
use crate::serve::download::files::Source;
use crate::serve::download::promises::PiecePromises;

/// The shortest time between two messages.
const MESSAGE_INTERVAL: Duration = Duration::from_millis(10);

/// The messages to one subscriber.
pub type Messages = ReceiverStream<Result<AvailabilityReply, Status>>;

/// Handles `Availability`.
///
/// # Errors
/// Returns the errors of the ticket check, `not_found` if the file or folder is not served, and
/// `content_changed` if the folder has changed.
pub async fn subscribe(
    serving: &ServeContext,
    request: &tonic::Request<AvailabilityRequest>,
) -> Result<Messages, Problem> {
    let headers = request.metadata().clone().into_headers();
    let ticket = serving.gate.reader_ticket(&headers, None)?;
    let hash = ContentHash::from_slice(&request.get_ref().hash)?;
    let (promised, piece_count) = match contents::find(serving, &ticket, &hash)? {
        ContentSource::File(file) => {
            let geometry = file
                .geometry()
                .ok_or_else(|| Problem::invalid("the file is too large to have pieces"))?;
            (serving.promises.of(hash, &geometry), geometry.piece_count())
        }
        ContentSource::Folder(holders) => {
            let (_, layout) = contents::open_folder(serving, &holders).await?;
            let pieces = layout.pieces();
            (serving.promises.of(hash, pieces), pieces.piece_count())
        }
    };
    let told = SubscriberState::new(piece_count);
    let (out, messages) = mpsc::channel(1);
    task::spawn(
        "availability",
        run_subscription(serving.clone(), (ticket, hash), promised, told, out),
    );
    Ok(ReceiverStream::new(messages))
}

async fn run_subscription(
    serving: ServeContext,
    (ticket, hash): (Arc<ReaderTicket>, ContentHash),
    promised: Arc<PiecePromises>,
    mut told: SubscriberState,
    out: mpsc::Sender<Result<AvailabilityReply, Status>>,
) {
    let mut catalogue = serving.catalogue.changes();
    let mut partials = serving.partial_files.changes();
    let mut promises = promised.changes();
    let mut waiting = serving.uploads.waiting();
    let tell = async {
        loop {
            let Ok(place) = out.reserve().await else {
                return;
            };
            // Changes from here on are handled in the next round.
            mark_seen(&mut [&mut catalogue, &mut partials, &mut promises]);
            let waiting_now = *waiting.borrow_and_update();
            let Ok(source) = contents::find(&serving, &ticket, &hash) else {
                return;
            };
            let held = match &source {
                ContentSource::File(Source::Partial(partial)) => Some(partial.held()),
                ContentSource::File(Source::Complete(_)) | ContentSource::Folder(_) => None,
            };
            let held = held.filter(|held| !held.is_full());
            // A complete file that became incomplete requires a new subscription.
            if told.whole && held.is_some() {
                return;
            }
            let mut message = told.news(held);
            message.handed_out = promised.since(&mut told.handed_out);
            message.waiting = u32::try_from(waiting_now).unwrap_or(u32::MAX);
            if told.is_news(&message) {
                place.send(Ok(message));
            } else {
                drop(place);
            }
            tokio::time::sleep(MESSAGE_INTERVAL).await;
            // The senders live as long as this task.
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

/// The state known to a subscriber.
struct SubscriberState {
    begun: bool,
    whole: bool,
    held: PieceSet,
    /// The number of times that each piece was promised.
    handed_out: Vec<u16>,
    waiting: u32,
}

impl SubscriberState {
    fn new(piece_count: u32) -> Self {
        Self {
            begun: false,
            whole: false,
            held: PieceSet::empty(piece_count),
            handed_out: Vec::new(),
            waiting: 0,
        }
    }

    /// Returns the pieces in `held` (all, if it is `None`) that the subscriber does not know, and
    /// records them as sent.
    fn news(&mut self, held: Option<PieceSet>) -> AvailabilityReply {
        let mut message = AvailabilityReply::default();
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

    /// Returns whether `message` contains a change, and records it as sent.
    fn is_news(&mut self, message: &AvailabilityReply) -> bool {
        let first = !std::mem::replace(&mut self.begun, true);
        let waiting = std::mem::replace(&mut self.waiting, message.waiting) != message.waiting;
        let more = !message.pieces.is_empty() || !message.handed_out.is_empty();
        first || message.whole || more || waiting
    }
}
