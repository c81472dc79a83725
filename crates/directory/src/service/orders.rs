//! Orders: telling a peer what it is asked to load.
//!
//! Each watching peer is one task, which compares what is open with what it has told, when something
//! is asked of that peer (here, or at another replica) and every [`LOOK`], because news may get lost
//! and what nobody shared may be shared by then. It ends with its reader, its session or the
//! directory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use convite_core::loads::{LoadId, LoadOrder, LoadReport, LoadState};
use convite_core::{ErrorCode, PeerId, Problem};
use tokio::sync::{mpsc, watch};

use super::loads::Due;
use super::{Caller, Service};

/// How often a watching peer's task looks without being woken.
const LOOK: Duration = Duration::from_secs(20);
/// The most that a peer is told of at a time; the rest follows as these are done.
pub(crate) const ORDERS_MAX: u32 = 64;
/// The most watchers of one peer: those of its connections that are not known to be broken yet.
const WATCHERS_MAX: usize = 8;

/// What a watching peer is told: orders, or why there will be no more.
pub(crate) type Ordered = Result<Vec<LoadOrder>, Problem>;

/// The peers that watch here for what they are asked to load.
#[derive(Default)]
pub(super) struct Orders {
    watching: Mutex<HashMap<PeerId, (watch::Sender<u64>, usize)>>,
}

impl Orders {
    fn watching(&self) -> MutexGuard<'_, HashMap<PeerId, (watch::Sender<u64>, usize)>> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something may be asked of a peer.
    pub(super) fn touch(&self, peer: &PeerId) {
        if let Some((changes, _)) = self.watching().get(peer) {
            changes.send_modify(|count| *count += 1);
        }
    }

    /// Something may be asked of any.
    pub(super) fn touch_all(&self) {
        for (changes, _) in self.watching().values() {
            changes.send_modify(|count| *count += 1);
        }
    }
}

/// A place among the watchers, given up when dropped.
struct Seat {
    service: Arc<Service>,
    peer: PeerId,
    changes: watch::Receiver<u64>,
}

impl Seat {
    fn take(service: &Arc<Service>, peer: PeerId) -> Result<Self, Problem> {
        let mut watching = service.orders.watching();
        let (changes, watchers) = watching
            .entry(peer.clone())
            .or_insert_with(|| (watch::Sender::new(0), 0));
        if *watchers >= WATCHERS_MAX {
            return Err(Problem::new(
                ErrorCode::TooManyRequests,
                format!("a peer watches at most {WATCHERS_MAX} times at once"),
            )
            .hint("end the others first"));
        }
        *watchers += 1;
        Ok(Self {
            service: Arc::clone(service),
            peer,
            changes: changes.subscribe(),
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut watching = self.service.orders.watching();
        if let Some((_, watchers)) = watching.get_mut(&self.peer) {
            *watchers -= 1;
            if *watchers == 0 {
                watching.remove(&self.peer);
            }
        }
    }
}

/// One watcher: what its reader has been told.
struct Watcher {
    seat: Seat,
    caller: Caller,
    told: HashMap<LoadId, LoadOrder>,
}

impl Watcher {
    /// What the reader does not know yet.
    async fn news(&mut self) -> Ordered {
        let service = &self.seat.service;
        let store = service.store();
        let host = store.host(&self.seat.peer).await?;
        let host = host
            .filter(|host| host.account == self.caller.account)
            .ok_or_else(|| not_yours(&self.seat.peer))?;
        let now = service.now();
        let open = store.open_loads(host.key, ORDERS_MAX, now).await?;
        let (mut news, mut known) = (Vec::new(), HashMap::new());
        for load in open {
            match service.due(&host, &load).await? {
                Due::Told(order) => {
                    if self.told.get(&load.id) != Some(&order) {
                        news.push(order.clone());
                    }
                    known.insert(load.id, order);
                }
                Due::Later => {
                    // One that is under way goes on for as long as it finds somebody.
                    if let Some(order) = self.told.remove(&load.id) {
                        known.insert(load.id, order);
                    }
                }
                Due::Refused => {
                    let report = LoadReport {
                        state: LoadState::Failed,
                        bytes: 0,
                        rate: 0,
                        message: "who asked for it may not any more".to_owned(),
                    };
                    let given_up =
                        service.report_load(&self.caller, &self.seat.peer, load.id, report);
                    match given_up.await {
                        // It was over in the meantime.
                        Err(problem) if problem.code == ErrorCode::NotFound => {}
                        given_up => given_up?,
                    }
                }
            }
        }
        self.told = known;
        Ok(news)
    }

    async fn run_orders(mut self, reader: mpsc::Sender<Ordered>) {
        let service = Arc::clone(&self.seat.service);
        let shutdown = service.parts.shutdown.clone();
        let mut is_first = true;
        loop {
            self.seat.changes.borrow_and_update();
            let news = tokio::select! {
                () = shutdown.cancelled() => return,
                () = reader.closed() => return,
                news = self.news() => news,
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
                () = tokio::time::sleep(LOOK) => {}
                changed = self.seat.changes.changed() => if changed.is_err() {
                    return;
                },
            }
            // A session that has ended is told no more.
            let (session, from) = (self.caller.session, self.caller.from);
            match service.of_session(session, from).await {
                Ok(caller) => self.caller = caller,
                Err(problem) => {
                    // Nobody to tell if the reader is not ready for it.
                    let _ = reader.try_send(Err(problem));
                    return;
                }
            }
        }
    }
}

impl Service {
    /// What a peer of the caller's is asked to load: first all that is not over (perhaps nothing),
    /// then what is new, or is to lie elsewhere. Ends with an error if the session does, or the peer
    /// is the caller's no more, and when the directory stops.
    ///
    /// # Errors
    /// `permission_denied` for guests; `too_many_requests` above 8 watchers of one peer.
    pub(crate) fn watch_orders(
        self: &Arc<Self>,
        caller: Caller,
        peer: PeerId,
    ) -> Result<mpsc::Receiver<Ordered>, Problem> {
        caller.must_share()?;
        let watcher = Watcher {
            seat: Seat::take(self, peer)?,
            caller,
            told: HashMap::new(),
        };
        let (reader, told) = mpsc::channel(1);
        tokio::spawn(watcher.run_orders(reader));
        Ok(told)
    }
}

fn not_yours(peer: &PeerId) -> Problem {
    Problem::not_found(format!("you have no peer '{peer}'"))
        .hint("register it first, as `convite peer` does when it starts")
}
