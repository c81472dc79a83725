//! How much is worked on at once, and how much may wait: never a queue without end.
//!
//! Requests are of few classes by what they cost, each with bounds of its own, so that no number
//! of searches holds up a heartbeat. Within a class nobody has more than a share: no session, and no
//! network, whatever sessions it shows. A token that nobody has looked at yet is counted as one of
//! its own, and buys nothing, because its network counts besides. Whoever finds the class full, or
//! waits for too long, is told to come back (`overloaded`); whoever has too much under way itself,
//! too (`too_many_requests`).

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use convite_core::{ErrorCode, Problem};
use convite_net::Network;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::class::Class;

/// When who was turned away may come back.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The bounds of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// How many are worked on.
    pub working: usize,
    /// How many more wait for their turn.
    pub waiting: usize,
    /// How long they wait.
    pub patience: Duration,
    /// How many may come from one session, answers that have not been sent yet included.
    pub per_session: usize,
    /// How many are worked on for one [`Network`]; so many, and half of those that may wait, may come
    /// from there. All peers of a lab may be behind one address.
    pub per_network: usize,
}

/// How much a directory takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Of cheap requests.
    pub light: Bound,
    /// Of searches and listings.
    pub search: Bound,
    /// Of published indexes and changes of them.
    pub publish: Bound,
    /// Of logins and new accounts.
    pub entry: Bound,
    /// Of answers that last.
    pub lasting: Bound,
    /// Of those that strangers may have.
    pub open: Bound,
    /// How long a body is waited for before it has to come at 1 KiB/s.
    pub body_grace: Duration,
}

impl Default for Capacity {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let bound = |working, waiting, patience, per_session| Bound {
            working,
            waiting,
            patience: Duration::from_secs(patience),
            per_session,
            per_network: working / 2,
        };
        Self {
            light: bound(512, 4096, 5, 128),
            // Each takes a core while it runs.
            search: bound((cores * 4).max(8), 1024, 3, 256),
            // Those that wait have up to a window of data in memory.
            publish: bound(32, 512, 10, 4),
            // The hashes have bounds of their own.
            entry: bound(128, 512, 5, 32),
            // Each peer that is online has one open.
            lasting: Bound {
                per_network: 16_384,
                ..bound(65_536, 0, 0, 2048)
            },
            open: bound(1024, 0, 0, 64),
            body_grace: Duration::from_secs(20),
        }
    }
}

impl Capacity {
    fn of(&self, class: Class) -> Bound {
        match class {
            Class::Light => self.light,
            Class::Search => self.search,
            Class::Publish => self.publish,
            Class::Entry => self.entry,
            Class::Lasting => self.lasting,
            Class::Open => self.open,
        }
    }
}

/// Against whom a request counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caller {
    /// BLAKE3 of what it shows to be of a session, if it shows anything.
    pub(super) session: Option<[u8; 32]>,
    pub(super) network: Option<Network>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Party {
    Session([u8; 32]),
    Network(Option<Network>),
}

/// What is under way of one party.
struct Share {
    count: usize,
    /// How many more may be worked on.
    turns: Arc<Semaphore>,
}

type Shares = Arc<Mutex<HashMap<(Class, Party), Share>>>;

/// A request that counts against its caller, until this is dropped.
pub(super) struct Slots {
    _session: Option<Slot>,
    _network: Arc<Slot>,
}

struct Slot {
    shares: Shares,
    key: (Class, Party),
    turns: Arc<Semaphore>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get_mut(&self.key) {
            share.count -= 1;
            if share.count == 0 {
                shares.remove(&self.key);
            }
        }
    }
}

/// A request's turn, until the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Work {
    _turn: Arc<[OwnedSemaphorePermit; 3]>,
    /// So that the network's turns stay the same ones.
    _network: Arc<Slot>,
}

tokio::task_local! {
    static WORK: Work;
}

impl Work {
    /// Does `task` as this work.
    pub(super) async fn doing<T>(&self, task: impl Future<Output = T>) -> T {
        WORK.scope(self.clone(), task).await
    }

    /// The work that is being done. To be kept by what goes on when the caller goes away (a
    /// blocking thread): else requests that are begun and cancelled would be no work, and a flood
    /// of them would get past every bound.
    pub(crate) fn current() -> Option<Self> {
        WORK.try_with(Clone::clone).ok()
    }
}

struct Room {
    bound: Bound,
    /// Those that work and those that wait.
    admitted: Arc<Semaphore>,
    working: Arc<Semaphore>,
}

/// Lets requests in, as many as there is capacity for.
pub(super) struct Admission {
    pub(super) body_grace: Duration,
    rooms: HashMap<Class, Room>,
    shares: Shares,
}

impl Admission {
    pub(super) fn new(capacity: Capacity) -> Self {
        let room = |class| {
            let bound = capacity.of(class);
            let room = Room {
                bound,
                admitted: Arc::new(Semaphore::new(bound.working + bound.waiting)),
                working: Arc::new(Semaphore::new(bound.working)),
            };
            (class, room)
        };
        Self {
            body_grace: capacity.body_grace,
            rooms: Class::ALL.into_iter().map(room).collect(),
            shares: Shares::default(),
        }
    }

    /// Waits for a turn, within bounds.
    pub(super) async fn enter(
        &self,
        class: Class,
        caller: Caller,
    ) -> Result<(Work, Slots), Problem> {
        let room = &self.rooms[&class];
        let bound = room.bound;
        let session = caller.session.map(Party::Session);
        let session = session.map(|party| self.slot((class, party), bound.per_session, 0));
        let party = Party::Network(caller.network);
        let in_all = bound.per_network + bound.waiting / 2;
        let session = session.transpose()?;
        let network = Arc::new(self.slot((class, party), in_all, bound.per_network)?);
        let admitted = Arc::clone(&room.admitted)
            .try_acquire_owned()
            .map_err(|_| overloaded())?;
        let deadline = Instant::now() + bound.patience;
        let of_network = turn(&network.turns, deadline)
            .await
            .ok_or_else(|| too_many(bound.per_network))?;
        let of_all = turn(&room.working, deadline).await.ok_or_else(overloaded)?;
        let work = Work {
            _turn: Arc::new([admitted, of_network, of_all]),
            _network: Arc::clone(&network),
        };
        let slots = Slots {
            _session: session,
            _network: network,
        };
        Ok((work, slots))
    }

    /// One more of at most `max`, of which `at_work` are worked on at once.
    fn slot(&self, key: (Class, Party), max: usize, at_work: usize) -> Result<Slot, Problem> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let share = shares.entry(key).or_insert_with(|| Share {
            count: 0,
            turns: Arc::new(Semaphore::new(at_work)),
        });
        if share.count >= max {
            return Err(too_many(share.count));
        }
        share.count += 1;
        Ok(Slot {
            shares: Arc::clone(&self.shares),
            key,
            turns: Arc::clone(&share.turns),
        })
    }
}

/// A turn before that; none if it does not come.
async fn turn(turns: &Arc<Semaphore>, deadline: Instant) -> Option<OwnedSemaphorePermit> {
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
        format!("{under_way} requests of this kind are under way from here"),
    )
    .hint("wait for some of the answers before asking for more")
    .retry_after(RETRY_AFTER)
}

fn overloaded() -> Problem {
    Problem::new(
        ErrorCode::Overloaded,
        "the directory has as much to do as it can take on",
    )
    .hint("try again in a few seconds")
    .retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(working: usize, waiting: usize, per_session: usize) -> Admission {
        let bound = Bound {
            working,
            waiting,
            patience: Duration::from_secs(3),
            per_session,
            per_network: working,
        };
        Admission::new(Capacity {
            light: bound,
            search: bound,
            publish: bound,
            entry: bound,
            lasting: bound,
            open: bound,
            body_grace: Duration::ZERO,
        })
    }

    /// A session, in a network of its own.
    fn caller(number: u8) -> Caller {
        session_from(number, number)
    }

    fn session_from(session: u8, network: u8) -> Caller {
        Caller {
            session: Some([session; 32]),
            network: Some(Network::of([192, 0, 2, network].into())),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_a_turn_or_an_answer_in_time() {
        let admission = admission(1, 1, 9);
        let first = admission.enter(Class::Search, caller(1)).await;
        let began = tokio::time::Instant::now();
        let second = admission.enter(Class::Search, caller(2));
        let third = async {
            tokio::task::yield_now().await;
            let refused = admission.enter(Class::Search, caller(3)).await;
            assert_eq!(began.elapsed(), Duration::ZERO, "no room even to wait");
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
        let second = admission.enter(Class::Search, caller(2));
        let (second, ()) = tokio::join!(second, async { drop(first) });
        assert!(second.is_ok());
    }

    #[tokio::test]
    async fn searches_do_not_hold_up_heartbeats() {
        let admission = admission(2, 0, 9);
        let _first = admission.enter(Class::Search, caller(1)).await;
        let _second = admission.enter(Class::Search, caller(1)).await;
        assert!(admission.enter(Class::Search, caller(1)).await.is_err());
        assert!(admission.enter(Class::Light, caller(1)).await.is_ok());
    }

    #[tokio::test]
    async fn nobody_has_more_than_a_share() {
        let admission = admission(9, 0, 2);
        let (work, first) = admission.enter(Class::Search, caller(1)).await.unwrap();
        let _second = admission.enter(Class::Search, caller(1)).await;
        // An answer that was not sent yet counts, though its work is done.
        drop(work);
        let refused = admission
            .enter(Class::Search, caller(1))
            .await
            .err()
            .unwrap();
        assert_eq!(refused.code, ErrorCode::TooManyRequests);
        assert!(refused.retry_after.is_some());
        assert!(admission.enter(Class::Search, caller(2)).await.is_ok());
        drop(first);
        assert!(admission.enter(Class::Search, caller(1)).await.is_ok());
    }

    #[tokio::test]
    async fn work_that_outlives_its_request_keeps_its_turn() {
        let admission = admission(1, 0, 9);
        let (work, slot) = admission.enter(Class::Search, caller(1)).await.unwrap();
        let kept = work.doing(async { Work::current() }).await;
        drop((work, slot));
        assert!(admission.enter(Class::Search, caller(2)).await.is_err());
        drop(kept);
        assert!(admission.enter(Class::Search, caller(2)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_waits_for_its_own_turn_while_others_have_theirs() {
        let bound = Bound {
            working: 4,
            waiting: 4,
            patience: Duration::from_secs(3),
            per_session: 9,
            per_network: 2,
        };
        let admission = Admission::new(Capacity {
            light: bound,
            ..Capacity::default()
        });
        let from = |session, network| admission.enter(Class::Light, session_from(session, network));
        // Of those two the requests have gone away, and the work goes on.
        let (first, slots) = from(1, 1).await.unwrap();
        drop(slots);
        let (second, slots) = from(2, 1).await.unwrap();
        drop(slots);
        let refused = from(3, 1).await.err().unwrap();
        assert_eq!(refused.code, ErrorCode::TooManyRequests);
        let other = from(4, 2).await.unwrap();
        let (third, ()) = tokio::join!(from(3, 1), async { drop(first) });
        let third = third.unwrap();
        // Two wait, and there is no more room to wait in for this network.
        let began = Instant::now();
        let all = async { tokio::join!(from(5, 1), from(6, 1), from(7, 1)) };
        let (fifth, sixth, seventh) = all.await;
        assert!(fifth.is_err() && sixth.is_err() && seventh.is_err());
        assert_eq!(began.elapsed(), Duration::from_secs(3));
        assert!(from(8, 2).await.is_ok());
        drop((second, third, other));
        assert!(admission.shares.lock().unwrap().is_empty());
    }

    #[test]
    fn no_share_is_the_whole() {
        let capacity = Capacity::default();
        for class in Class::ALL {
            let bound = capacity.of(class);
            assert!(bound.per_network * 2 <= bound.working, "{class:?}");
            let of_session = match class {
                // Answers that are not read yet are most of it.
                Class::Search => bound.working + bound.waiting,
                _ => bound.working,
            };
            assert!(bound.per_session * 4 <= of_session, "{class:?}");
        }
    }
}
