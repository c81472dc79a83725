//! What a page that is open is told by itself.
//!
//! Each stream is one task, which looks when something may have changed and every [`LOOK`], because
//! leases run out in silence, and tells at most once in [`PACE`] what differs from what it has told.
//! It ends with its reader, its session or the directory. To be told is no use of a session: a page
//! that is left open keeps none alive.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use convite_core::activity::TransferSummary;
use convite_core::loads::LoadSummary;
use convite_core::{ErrorCode, Problem};
use convite_store::{AccountId, Viewer};
use tokio::sync::mpsc;

use super::{Caller, Service};

/// The most streams of one account at a time.
pub(crate) const STREAMS_MAX: usize = 16;
/// The shortest time between two looks.
const PACE: Duration = Duration::from_secs(1);
/// How often a stream looks without being woken.
const LOOK: Duration = Duration::from_secs(2);
/// The most loads that are told at once.
const LOADS_TOLD: u32 = 100;

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The list of peers is not what it was, or what they share, or how fast they are.
    Peers,
    /// Files on their way, of those that the reader may see: all of them as they are now.
    Transfers(Vec<TransferSummary>),
    /// What the reader has had peers load: the newest of it as it is now.
    Loads(Vec<LoadSummary>),
}

/// A place among the streams of an account, given up when dropped.
struct Seat {
    service: Arc<Service>,
    account: AccountId,
}

impl Seat {
    fn take(service: &Arc<Service>, account: AccountId) -> Result<Self, Problem> {
        let mut streams = service
            .streams
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = streams.entry(account).or_default();
        if *count >= STREAMS_MAX {
            return Err(Problem::new(
                ErrorCode::TooManyRequests,
                format!("an account listens at most {STREAMS_MAX} times at once"),
            )
            .hint("close some of the pages that are open"));
        }
        *count += 1;
        Ok(Self {
            service: Arc::clone(service),
            account,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let streams = self.service.streams.lock();
        let mut streams = streams.unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = streams.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                streams.remove(&self.account);
            }
        }
    }
}

/// One stream: what its reader has been told.
struct Listener {
    seat: Seat,
    caller: Caller,
    /// The peers online, how often the list or what is shared has changed here, and how often what
    /// peers are doing.
    told: Option<(Arc<HashSet<i64>>, u64, u64)>,
    transfers: Vec<TransferSummary>,
    loads: Vec<LoadSummary>,
}

impl Service {
    /// What changes, as it does; first of all everything once. Ends with the session, and when the
    /// directory stops.
    ///
    /// # Errors
    /// `too_many_requests` above 16 streams of one account.
    pub(crate) fn events(
        self: &Arc<Self>,
        caller: Caller,
    ) -> Result<mpsc::Receiver<Event>, Problem> {
        let listener = Listener {
            seat: Seat::take(self, caller.account)?,
            caller,
            told: None,
            transfers: Vec::new(),
            loads: Vec::new(),
        };
        let (reader, events) = mpsc::channel(1);
        tokio::spawn(listener.run_listener(reader));
        Ok(events)
    }

    /// Pages that are open look.
    pub(super) fn stir_pages(&self) {
        self.stirred.send_modify(|count| *count += 1);
    }
}

impl Listener {
    /// What the reader may see; none if the session is no good any more.
    async fn viewer(&self) -> Result<Option<Viewer>, Problem> {
        let service = &self.seat.service;
        let session = service.store().session(&self.caller.session).await?;
        let now = service.now();
        let session = session.filter(|session| !session.account.disabled && session.expires > now);
        Ok(session.map(|session| session.viewer))
    }

    /// What the reader does not know yet; none once the session is over.
    async fn look(&mut self, stirred: u64, moved: u64) -> Result<Option<Vec<Event>>, Problem> {
        let Some(viewer) = self.viewer().await? else {
            return Ok(None);
        };
        let service = &self.seat.service;
        let mut events = Vec::new();
        let now = (service.online().await?, stirred, moved);
        if self.told.as_ref() != Some(&now) {
            self.told = Some(now);
            events.push(Event::Peers);
        }
        let transfers = service.transfers(&self.caller.user, &viewer).await?;
        if transfers != self.transfers {
            self.transfers.clone_from(&transfers);
            events.push(Event::Transfers(transfers));
        }
        let (store, account) = (service.store(), self.caller.account);
        let loads = store
            .loads(account, LOADS_TOLD, None, service.now())
            .await?;
        if loads.items != self.loads {
            self.loads.clone_from(&loads.items);
            events.push(Event::Loads(loads.items));
        }
        Ok(Some(events))
    }

    async fn run_listener(mut self, reader: mpsc::Sender<Event>) {
        let shutdown = self.seat.service.parts.shutdown.clone();
        let mut stirred = self.seat.service.stirred.subscribe();
        let mut moved = self.seat.service.activities.changes();
        let mut loads = self.seat.service.loads_moved.subscribe();
        let work = async {
            loop {
                let counts = (*stirred.borrow_and_update(), *moved.borrow_and_update());
                loads.borrow_and_update();
                // A database that is away ends it: the page comes again by itself.
                let Ok(Some(events)) = self.look(counts.0, counts.1).await else {
                    return;
                };
                for event in events {
                    if reader.send(event).await.is_err() {
                        return;
                    }
                }
                tokio::time::sleep(PACE).await;
                tokio::select! {
                    _ = stirred.changed() => {}
                    _ = moved.changed() => {}
                    _ = loads.changed() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = reader.closed() => {}
            () = work => {}
        }
    }
}
