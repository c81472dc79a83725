//! Load requests: notifies a peer of the loads it is asked to do.
//!
//! Each watching peer has one task. It compares the open loads with those already sent, when a load
//! is requested of the peer (at any replica) and every [`RESEND_INTERVAL`], because notifications
//! can be lost and a file can become available later. Every [`RESEND_INTERVAL`] it sends all open
//! loads again: a peer that dropped one, for example after a clock error, starts it again, and a
//! peer that is working on it ignores the repetition. A load whose file no online peer shares for
//! [`ABSENT_MAX`] fails: its requester gets the reason. The task ends with its reader, its session
//! or the directory.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use convite_core::remote_fetch::{LoadId, LoadReport, LoadState, RemoteFetch};
use convite_core::{ErrorCode, PeerId, Problem};
use convite_net::permits::KeyedPermit;
use convite_net::task;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::remote_fetches::FetchDecision;
use super::{Caller, Service};

/// Interval between checks without a notification.
const RESEND_INTERVAL: Duration = Duration::from_secs(20);
/// How long a load waits for a peer that shares its file, if its own peer is not working on it.
const ABSENT_MAX: Duration = Duration::from_secs(30);
/// Maximum number of loads sent to a peer at a time; further ones follow when these end.
pub(crate) const FETCHES_SENT_MAX: u32 = 64;
/// Maximum number of watchers of one peer, including connections that are broken but not yet
/// detected.
const WATCHERS_MAX: usize = 8;

/// A message to a watching peer: loads, or the error that ends the stream.
pub(crate) type FetchMessage = Result<Vec<RemoteFetch>, Problem>;

/// One watcher, with the loads already sent.
struct FetchWatcher {
    service: Arc<Service>,
    caller: Caller,
    peer: PeerId,
    changes: watch::Receiver<u64>,
    /// Counts the watchers of the peer.
    _slot: KeyedPermit<PeerId, watch::Sender<u64>>,
    sent: HashMap<LoadId, RemoteFetch>,
    absent: Absent,
}

/// The loads whose file no online peer shares, with the time of the first check that found so.
#[derive(Default)]
struct Absent(HashMap<LoadId, Instant>);

impl Absent {
    /// Records that the file of a load is absent. Returns whether it has been for [`ABSENT_MAX`].
    fn record(&mut self, load: LoadId, now: Instant) -> bool {
        let since = *self.0.entry(load).or_insert(now);
        now.duration_since(since) >= ABSENT_MAX
    }

    /// Forgets a load whose file is shared again.
    fn clear(&mut self, load: LoadId) {
        self.0.remove(&load);
    }
}

impl FetchWatcher {
    /// Returns the loads that were not sent yet, or all of them.
    async fn news(&mut self, all: bool) -> FetchMessage {
        let service = &self.service;
        let store = service.store();
        let host = store.host(&self.peer).await?;
        let host = host
            .filter(|host| host.account == self.caller.account)
            .ok_or_else(|| own_peer_not_found(&self.peer))?;
        let now = service.now();
        let open = store.open_loads(host.key, FETCHES_SENT_MAX, now).await?;
        let (mut news, mut known) = (Vec::new(), HashMap::new());
        for load in open {
            match service.decide_fetch(&host, &load).await? {
                FetchDecision::Send(order) => {
                    self.absent.clear(load.id);
                    if all || self.sent.get(&load.id) != Some(&order) {
                        news.push(order.clone());
                    }
                    known.insert(load.id, order);
                }
                FetchDecision::Wait => {
                    // A running load continues while it finds providers.
                    if let Some(order) = self.sent.remove(&load.id) {
                        known.insert(load.id, order);
                    } else if self.absent.record(load.id, Instant::now()) {
                        self.fail(load.id, "no online peer shares the file").await?;
                        self.absent.clear(load.id);
                    }
                }
                FetchDecision::Refused => {
                    self.fail(load.id, "the requester no longer has permission")
                        .await?;
                }
            }
        }
        self.sent = known;
        Ok(news)
    }

    /// Ends a load with a reason for its requester.
    async fn fail(&self, load: LoadId, reason: &str) -> Result<(), Problem> {
        let report = LoadReport {
            state: LoadState::Failed,
            bytes: 0,
            rate: 0,
            message: reason.to_owned(),
        };
        let service = &self.service;
        match service
            .report_remote_fetch(&self.caller, &self.peer, load, report)
            .await
        {
            // It ended in the meantime.
            Err(problem) if problem.code == ErrorCode::NotFound => Ok(()),
            reported => reported,
        }
    }

    async fn run(mut self, reader: mpsc::Sender<FetchMessage>) {
        let service = Arc::clone(&self.service);
        let shutdown = service.parts.shutdown.clone();
        let (mut is_first, mut all) = (true, true);
        let mut next_check = Instant::now() + RESEND_INTERVAL;
        loop {
            self.changes.borrow_and_update();
            let news = tokio::select! {
                () = shutdown.cancelled() => return,
                () = reader.closed() => return,
                news = self.news(all) => news,
            };
            let ended = news.is_err();
            if (is_first || !matches!(&news, Ok(orders) if orders.is_empty()))
                && (reader.send(news).await.is_err() || ended)
            {
                return;
            }
            is_first = false;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = reader.closed() => return,
                () = tokio::time::sleep_until(next_check) => {
                    all = true;
                    next_check = Instant::now() + RESEND_INTERVAL;
                }
                changed = self.changes.changed() => match changed {
                    Ok(()) => all = false,
                    Err(_) => return,
                },
            }
            // End the stream with the session.
            let (session, from) = (self.caller.session, self.caller.client_address);
            match service.caller_of_session(session, from).await {
                Ok(caller) => self.caller = caller,
                Err(problem) => {
                    // Dropped if the reader is not ready.
                    let _ = reader.try_send(Err(problem));
                    return;
                }
            }
        }
    }
}

impl Service {
    /// Opens a stream of the loads requested of one of the caller's peers: first all open ones
    /// (possibly none), then new and changed ones. It ends with an error if the session ends or the
    /// peer no longer belongs to the caller, and when the directory stops.
    ///
    /// # Errors
    /// Returns `permission_denied` for guests; `too_many_requests` above 8 watchers of one peer.
    pub(crate) fn watch_fetch_requests(
        self: &Arc<Self>,
        caller: Caller,
        peer: PeerId,
    ) -> Result<mpsc::Receiver<FetchMessage>, Problem> {
        caller.require_sharing_role()?;
        let watching = &self.fetch_watchers.watching;
        let slot = watching.acquire_with(peer.clone(), WATCHERS_MAX, watch::Sender::default);
        let slot = slot.ok_or_else(|| {
            Problem::new(
                ErrorCode::TooManyRequests,
                format!("a peer can have at most {WATCHERS_MAX} watches"),
            )
            .hint("end another watch first")
        })?;
        let watcher = FetchWatcher {
            service: Arc::clone(self),
            caller,
            peer,
            changes: slot.value().subscribe(),
            _slot: slot,
            sent: HashMap::new(),
            absent: Absent::default(),
        };
        let (reader, messages) = mpsc::channel(1);
        task::spawn("load watcher", watcher.run(reader));
        Ok(messages)
    }
}

fn own_peer_not_found(peer: &PeerId) -> Problem {
    Problem::not_found(format!("you have no peer '{peer}'"))
        .hint("register it first; `convite peer` does this when it starts")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_fails_once_its_file_is_absent_for_the_whole_time() {
        let (mut absent, start, load) = (Absent::default(), Instant::now(), LoadId(7));
        assert!(!absent.record(load, start));
        assert!(!absent.record(load, start + ABSENT_MAX / 2));
        // The file came back: the time starts again.
        absent.clear(load);
        assert!(!absent.record(load, start + ABSENT_MAX));
        assert!(!absent.record(LoadId(8), start + ABSENT_MAX * 2));
        assert!(absent.record(load, start + ABSENT_MAX * 2));
    }
}
