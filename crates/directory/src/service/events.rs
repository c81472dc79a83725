//! Event streams for open web pages.
//!
//! Each stream is one task. It checks for changes when notified and every [`POLL_INTERVAL`],
//! because leases expire without a notification, and sends the differences at most once per
//! [`EVENT_INTERVAL_MIN`]. It ends with its reader, its session or the directory. A stream does not
//! count as use of the session, so an open page does not keep the session alive.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use convite_core::activity::TransferSummary;
use convite_core::remote_fetch::LoadSummary;
use convite_core::{ErrorCode, Problem};
use convite_net::permits::KeyedPermit;
use convite_net::task;
use convite_store::{AccountId, Viewer};
use tokio::sync::mpsc;

use super::{Caller, Service};

/// Maximum number of streams per account.
pub(crate) const STREAMS_MAX: usize = 16;
/// Minimum interval between two checks.
const EVENT_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Interval between checks without a notification.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Maximum number of loads in one event.
const LOADS_SENT_MAX: u32 = 100;

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PageEvent {
    /// The list of peers, their shares or their rates have changed.
    Peers,
    /// All running transfers of files that the reader may see.
    Transfers(Vec<TransferSummary>),
    /// The reader's newest loads.
    Loads(Vec<LoadSummary>),
}

/// One stream, with the state last sent to its reader.
struct EventStream {
    service: Arc<Service>,
    /// Counts the streams of the account.
    _stream: KeyedPermit<AccountId>,
    caller: Caller,
    /// The online peers, the change count of peers and shares in this process, and the change count
    /// of transfers.
    told: Option<(Arc<HashSet<i64>>, u64, u64)>,
    transfers: Vec<TransferSummary>,
    loads: Vec<LoadSummary>,
}

impl Service {
    /// Opens a stream of events, which begins with the current state. It ends with the session, and
    /// when the directory stops.
    ///
    /// # Errors
    /// Returns `too_many_requests` above 16 streams of one account.
    pub(crate) fn events(
        self: &Arc<Self>,
        caller: Caller,
    ) -> Result<mpsc::Receiver<PageEvent>, Problem> {
        let stream = self.streams.acquire(caller.account, STREAMS_MAX);
        let stream = stream.ok_or_else(|| {
            Problem::new(
                ErrorCode::TooManyRequests,
                format!("an account can have at most {STREAMS_MAX} event streams"),
            )
            .hint("close some of the open pages")
        })?;
        let listener = EventStream {
            service: Arc::clone(self),
            _stream: stream,
            caller,
            told: None,
            transfers: Vec::new(),
            loads: Vec::new(),
        };
        let (reader, events) = mpsc::channel(1);
        task::spawn("events", listener.run(reader));
        Ok(events)
    }

    /// Makes open pages check for changes.
    pub(super) fn notify_pages(&self) {
        self.pages_changed.send_modify(|count| *count += 1);
    }
}

impl EventStream {
    /// Returns the spaces that the reader may see; `None` if the session has ended.
    async fn viewer(&self) -> Result<Option<Viewer>, Problem> {
        let service = &self.service;
        let session = service.store().session(&self.caller.session).await?;
        let now = service.now();
        let session = session.filter(|session| !session.account.disabled && session.expires > now);
        Ok(session.map(|session| session.viewer))
    }

    /// Returns the changes that were not sent yet; `None` once the session has ended.
    async fn changes(
        &mut self,
        pages_changed: u64,
        moved: u64,
    ) -> Result<Option<Vec<PageEvent>>, Problem> {
        let Some(viewer) = self.viewer().await? else {
            return Ok(None);
        };
        let service = &self.service;
        let mut events = Vec::new();
        let now = (service.online().await?, pages_changed, moved);
        if self.told.as_ref() != Some(&now) {
            self.told = Some(now);
            events.push(PageEvent::Peers);
        }
        let transfers = service.transfers(&self.caller.user, &viewer).await?;
        if transfers != self.transfers {
            self.transfers.clone_from(&transfers);
            events.push(PageEvent::Transfers(transfers));
        }
        let (store, account) = (service.store(), self.caller.account);
        let loads = store
            .loads(account, LOADS_SENT_MAX, None, service.now())
            .await?;
        if loads.items != self.loads {
            self.loads.clone_from(&loads.items);
            events.push(PageEvent::Loads(loads.items));
        }
        Ok(Some(events))
    }

    async fn run(mut self, reader: mpsc::Sender<PageEvent>) {
        let shutdown = self.service.parts.shutdown.clone();
        let mut pages_changed = self.service.pages_changed.subscribe();
        let mut moved = self.service.peer_activity.changes();
        let mut loads = self.service.loads_changed.subscribe();
        let work = async {
            loop {
                let counts = (
                    *pages_changed.borrow_and_update(),
                    *moved.borrow_and_update(),
                );
                loads.borrow_and_update();
                // A database error ends the stream: the page reconnects by itself.
                let Ok(Some(events)) = self.changes(counts.0, counts.1).await else {
                    return;
                };
                for event in events {
                    if reader.send(event).await.is_err() {
                        return;
                    }
                }
                tokio::time::sleep(EVENT_INTERVAL_MIN).await;
                tokio::select! {
                    _ = pages_changed.changed() => {}
                    _ = moved.changed() => {}
                    _ = loads.changed() => {}
                    () = tokio::time::sleep(POLL_INTERVAL) => {}
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
