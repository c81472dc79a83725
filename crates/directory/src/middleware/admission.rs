//! Admission control: limits how many requests run and how many wait.
//!
//! Requests have a few cost classes, each with its own limits, so that searches cannot delay
//! heartbeats. Within a class, each session and each network has at most a share. A token that
//! is not yet verified counts as a session of its own; it gains nothing, because its network counts
//! too. A request that finds its class full, or waits too long, gets `overloaded`; a caller with
//! too many requests in progress gets `too_many_requests`.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use convite_core::{ErrorCode, Problem};
use convite_net::Network;
use convite_net::permits::{KeyedPermit, KeyedPermits};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::cost_class::CostClass;

/// `Retry-After` of refused requests.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The limits of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassLimits {
    /// Maximum number of running requests.
    pub running: usize,
    /// Maximum number of waiting requests.
    pub queued: usize,
    /// Maximum waiting time.
    pub queue_timeout: Duration,
    /// Maximum number of requests per session, including those whose response is not sent yet.
    pub per_session: usize,
    /// Maximum number of running requests per [`Network`]; this number plus half of `queued` are
    /// admitted. All peers of a lab may share one address.
    pub per_network: usize,
}

/// The capacity of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// Cheap requests.
    pub cheap: ClassLimits,
    /// Searches and listings.
    pub search: ClassLimits,
    /// Published indexes and index changes.
    pub publish: ClassLimits,
    /// Logins and new accounts.
    pub password_hash: ClassLimits,
    /// Responses of unlimited duration.
    pub streaming: ClassLimits,
    /// Requests without a session.
    pub public: ClassLimits,
    /// Time before a body must arrive at 1 KiB/s.
    pub body_grace: Duration,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let bound = |running, queued, queue_timeout, per_session| ClassLimits {
            running,
            queued,
            queue_timeout: Duration::from_secs(queue_timeout),
            per_session,
            per_network: running / 2,
        };
        Self {
            cheap: bound(512, 4096, 5, 128),
            // Each uses one core while it runs.
            search: bound((cores * 4).max(8), 1024, 3, 256),
            // Each waiting request buffers up to one flow-control window.
            publish: bound(32, 512, 10, 4),
            // Password hashing has its own limits.
            password_hash: bound(128, 512, 5, 32),
            // Each online peer keeps one open.
            streaming: ClassLimits {
                per_network: 16_384,
                ..bound(65_536, 0, 0, 2048)
            },
            public: bound(1024, 0, 0, 64),
            body_grace: Duration::from_secs(20),
        }
    }
}

impl AdmissionLimits {
    fn of(&self, class: CostClass) -> ClassLimits {
        match class {
            CostClass::Cheap => self.cheap,
            CostClass::Search => self.search,
            CostClass::Publish => self.publish,
            CostClass::PasswordHash => self.password_hash,
            CostClass::Streaming => self.streaming,
            CostClass::Public => self.public,
        }
    }
}

/// The parties that a request counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestOrigin {
    /// BLAKE3 hash of the session credentials in the request, if any; not verified.
    pub(super) session: Option<[u8; 32]>,
    pub(super) network: Option<Network>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Party {
    Session([u8; 32]),
    Network(Option<Network>),
}

/// The requests of each party. Its value are the permits for running requests.
type PartyUses = KeyedPermits<(CostClass, Party), Arc<Semaphore>>;
type PartySlot = KeyedPermit<(CostClass, Party), Arc<Semaphore>>;

/// Counts a request against its caller until dropped.
pub(super) struct RequestSlots {
    _session: Option<PartySlot>,
    _network: Arc<PartySlot>,
}

/// The right of a request to run, released when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct RunPermit {
    _turn: Arc<[OwnedSemaphorePermit; 3]>,
    /// Keeps the network's share, so that its semaphore is not replaced.
    _network: Arc<PartySlot>,
}

tokio::task_local! {
    static WORK: RunPermit;
}

impl RunPermit {
    /// Runs `task` as part of this work.
    pub(super) async fn scope<T>(&self, task: impl Future<Output = T>) -> T {
        WORK.scope(self.clone(), task).await
    }

    /// Returns the permit of the current work. Work that outlives its cancelled request, for
    /// example in a blocking thread, must keep it: otherwise starting and cancelling requests would
    /// bypass every limit.
    pub(crate) fn current() -> Option<Self> {
        WORK.try_with(Clone::clone).ok()
    }
}

struct ClassQueue {
    bound: ClassLimits,
    /// Permits for running and waiting requests.
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

/// Admits requests up to the capacity.
pub(super) struct AdmissionControl {
    pub(super) body_grace: Duration,
    rooms: HashMap<CostClass, ClassQueue>,
    shares: PartyUses,
}

impl AdmissionControl {
    pub(super) fn new(capacity: AdmissionLimits) -> Self {
        let room = |class| {
            let bound = capacity.of(class);
            let room = ClassQueue {
                bound,
                admitted: Arc::new(Semaphore::new(bound.running + bound.queued)),
                running: Arc::new(Semaphore::new(bound.running)),
            };
            (class, room)
        };
        Self {
            body_grace: capacity.body_grace,
            rooms: CostClass::ALL.into_iter().map(room).collect(),
            shares: PartyUses::default(),
        }
    }

    /// Waits for permission to run, within the limits.
    pub(super) async fn enter(
        &self,
        class: CostClass,
        caller: RequestOrigin,
    ) -> Result<(RunPermit, RequestSlots), Problem> {
        let room = &self.rooms[&class];
        let bound = room.bound;
        let session = caller.session.map(Party::Session);
        let session = session.map(|party| self.slot((class, party), bound.per_session, 0));
        let party = Party::Network(caller.network);
        let in_all = bound.per_network + bound.queued / 2;
        let session = session.transpose()?;
        let network = Arc::new(self.slot((class, party), in_all, bound.per_network)?);
        let admitted = Arc::clone(&room.admitted)
            .try_acquire_owned()
            .map_err(|_| overloaded())?;
        let deadline = Instant::now() + bound.queue_timeout;
        let of_network = acquire_before(network.value(), deadline)
            .await
            .ok_or_else(|| too_many(bound.per_network))?;
        let of_all = acquire_before(&room.running, deadline)
            .await
            .ok_or_else(overloaded)?;
        let work = RunPermit {
            _turn: Arc::new([admitted, of_network, of_all]),
            _network: Arc::clone(&network),
        };
        let slots = RequestSlots {
            _session: session,
            _network: network,
        };
        Ok((work, slots))
    }

    /// Takes one of at most `max` slots, of which `at_work` may run.
    fn slot(
        &self,
        key: (CostClass, Party),
        max: usize,
        at_work: usize,
    ) -> Result<PartySlot, Problem> {
        self.shares
            .acquire_with(key, max, || Arc::new(Semaphore::new(at_work)))
            .ok_or_else(|| too_many(max))
    }
}

/// Waits for a permit until `deadline`.
async fn acquire_before(turns: &Arc<Semaphore>, deadline: Instant) -> Option<OwnedSemaphorePermit> {
    let free = Arc::clone(turns).try_acquire_owned();
    match free {
        Ok(turn) => Some(turn),
        Err(_) => timeout_at(deadline, Arc::clone(turns).acquire_owned())
            .await
            .ok()?
            .ok(),
    }
}

fn too_many(under_way: usize) -> Problem {
    Problem::new(
        ErrorCode::TooManyRequests,
        format!("{under_way} requests of this kind are in progress from this client"),
    )
    .hint("wait for some responses before sending more requests")
    .retry_after(RETRY_AFTER)
}

fn overloaded() -> Problem {
    Problem::new(ErrorCode::Overloaded, "the directory is at its capacity")
        .hint("try again in a few seconds")
        .retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(running: usize, queued: usize, per_session: usize) -> AdmissionControl {
        let bound = ClassLimits {
            running,
            queued,
            queue_timeout: Duration::from_secs(3),
            per_session,
            per_network: running,
        };
        AdmissionControl::new(AdmissionLimits {
            cheap: bound,
            search: bound,
            publish: bound,
            password_hash: bound,
            streaming: bound,
            public: bound,
            body_grace: Duration::ZERO,
        })
    }

    /// A session in its own network.
    fn caller(number: u8) -> RequestOrigin {
        session_from(number, number)
    }

    fn session_from(session: u8, network: u8) -> RequestOrigin {
        RequestOrigin {
            session: Some([session; 32]),
            network: Some(Network::of([192, 0, 2, network].into())),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_queued_request_runs_or_is_refused_in_time() {
        let admission = admission(1, 1, 9);
        let first = admission.enter(CostClass::Search, caller(1)).await;
        let began = tokio::time::Instant::now();
        let second = admission.enter(CostClass::Search, caller(2));
        let third = async {
            tokio::task::yield_now().await;
            let refused = admission.enter(CostClass::Search, caller(3)).await;
            assert_eq!(began.elapsed(), Duration::ZERO, "refused without waiting");
            refused.err()
        };
        let (second, third) = tokio::join!(second, third);
        assert_eq!(
            third.map(|problem| problem.code),
            Some(ErrorCode::Overloaded)
        );
        assert_eq!(
            second.err().map(|problem| problem.code),
            Some(ErrorCode::Overloaded)
        );
        assert_eq!(began.elapsed(), Duration::from_secs(3));
        let second = admission.enter(CostClass::Search, caller(2));
        let (second, ()) = tokio::join!(second, async { drop(first) });
        assert!(second.is_ok());
    }

    #[tokio::test]
    async fn searches_do_not_delay_heartbeats() {
        let admission = admission(2, 0, 9);
        let _first = admission.enter(CostClass::Search, caller(1)).await;
        let _second = admission.enter(CostClass::Search, caller(1)).await;
        assert!(admission.enter(CostClass::Search, caller(1)).await.is_err());
        assert!(admission.enter(CostClass::Cheap, caller(1)).await.is_ok());
    }

    #[tokio::test]
    async fn a_session_has_at_most_its_share() {
        let admission = admission(9, 0, 2);
        let (work, first) = admission.enter(CostClass::Search, caller(1)).await.unwrap();
        let _second = admission.enter(CostClass::Search, caller(1)).await;
        // A response that is not sent yet counts, although its work is done.
        drop(work);
        let refused = admission
            .enter(CostClass::Search, caller(1))
            .await
            .err()
            .unwrap();
        assert_eq!(refused.code, ErrorCode::TooManyRequests);
        assert!(refused.retry_after.is_some());
        assert!(admission.enter(CostClass::Search, caller(2)).await.is_ok());
        drop(first);
        assert!(admission.enter(CostClass::Search, caller(1)).await.is_ok());
    }

    #[tokio::test]
    async fn work_that_outlives_its_request_keeps_its_permit() {
        let admission = admission(1, 0, 9);
        let (work, slot) = admission.enter(CostClass::Search, caller(1)).await.unwrap();
        let kept = work.scope(async { RunPermit::current() }).await;
        drop((work, slot));
        assert!(admission.enter(CostClass::Search, caller(2)).await.is_err());
        drop(kept);
        assert!(admission.enter(CostClass::Search, caller(2)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_at_its_limit_does_not_delay_others() {
        let bound = ClassLimits {
            running: 4,
            queued: 4,
            queue_timeout: Duration::from_secs(3),
            per_session: 9,
            per_network: 2,
        };
        let admission = AdmissionControl::new(AdmissionLimits {
            cheap: bound,
            ..AdmissionLimits::default()
        });
        let from =
            |session, network| admission.enter(CostClass::Cheap, session_from(session, network));
        // Two requests are cancelled, and their work continues.
        let (first, slots) = from(1, 1).await.unwrap();
        drop(slots);
        let (second, slots) = from(2, 1).await.unwrap();
        drop(slots);
        let refused = from(3, 1).await.err().unwrap();
        assert_eq!(refused.code, ErrorCode::TooManyRequests);
        let other = from(4, 2).await.unwrap();
        let (third, ()) = tokio::join!(from(3, 1), async { drop(first) });
        let third = third.unwrap();
        // Two wait; this network has no further waiting slot.
        let began = Instant::now();
        let all = async { tokio::join!(from(5, 1), from(6, 1), from(7, 1)) };
        let (fifth, sixth, seventh) = all.await;
        assert!(fifth.is_err() && sixth.is_err() && seventh.is_err());
        assert_eq!(began.elapsed(), Duration::from_secs(3));
        assert!(from(8, 2).await.is_ok());
        drop((second, third, other));
        assert!(admission.shares.is_empty());
    }

    #[test]
    fn no_session_or_network_can_use_all_capacity() {
        let capacity = AdmissionLimits::default();
        for class in CostClass::ALL {
            let bound = capacity.of(class);
            assert!(bound.per_network * 2 <= bound.running, "{class:?}");
            let caller_of_session = match class {
                // Most are unread responses.
                CostClass::Search => bound.running + bound.queued,
                _ => bound.running,
            };
            assert!(bound.per_session * 4 <= caller_of_session, "{class:?}");
        }
    }
}
