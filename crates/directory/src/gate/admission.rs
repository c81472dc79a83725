//! How much is worked on at once, and how much may wait: never a queue without end.
//!
//! Requests are of few classes by what they cost, each with bounds of its own, so that no number
//! of searches holds up a heartbeat. Within a class nobody has more than a share. Whoever finds
//! the class full, or waits for too long, is told to come back (`overloaded`); whoever has too much
//! under way itself, too (`too_many_requests`).

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use convite_core::{ErrorCode, Problem};
use convite_net::Network;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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
    /// How many may come from one caller, answers that have not been sent yet included.
    pub per_caller: usize,
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
    /// How long a body is waited for before it has to come at 1 KiB/s.
    pub body_grace: Duration,
}

impl Default for Capacity {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let bound = |working, waiting, patience, per_caller| Bound {
            working,
            waiting,
            patience: Duration::from_secs(patience),
            per_caller,
        };
        Self {
            light: bound(512, 4096, 5, 512),
            // Each takes a core while it runs.
            search: bound((cores * 4).max(8), 1024, 3, 256),
            // Those that wait have up to a window of data in memory.
            publish: bound(32, 512, 10, 32),
            // The hashes have bounds of their own.
            entry: bound(128, 512, 5, 128),
            // Each peer that is online has one open.
            lasting: bound(65_536, 0, 0, 2048),
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
        }
    }
}

/// Against whom a request counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    /// BLAKE3 of what it shows to be of a session.
    Session([u8; 32]),
    Network(Option<Network>),
}

type Counts = Arc<Mutex<HashMap<(Class, Caller), usize>>>;

/// A request that counts against its caller, until this is dropped.
pub(super) struct Slot {
    counts: Counts,
    key: (Class, Caller),
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

/// A request's turn, until the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Work {
    _turn: Arc<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
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
    counts: Counts,
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
            counts: Counts::default(),
        }
    }

    /// Waits for a turn, within bounds.
    pub(super) async fn enter(
        &self,
        class: Class,
        caller: Caller,
    ) -> Result<(Work, Slot), Problem> {
        let room = &self.rooms[&class];
        let slot = self.slot(room.bound, (class, caller))?;
        let admitted = Arc::clone(&room.admitted)
            .try_acquire_owned()
            .map_err(|_| overloaded())?;
        let turn = match Arc::clone(&room.working).try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => {
                let turn = Arc::clone(&room.working).acquire_owned();
                let turn = tokio::time::timeout(room.bound.patience, turn).await;
                turn.ok().and_then(Result::ok).ok_or_else(overloaded)?
            }
        };
        let work = Work {
            _turn: Arc::new((admitted, turn)),
        };
        Ok((work, slot))
    }

    fn slot(&self, bound: Bound, key: (Class, Caller)) -> Result<Slot, Problem> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_default();
        if *count >= bound.per_caller {
            return Err(Problem::new(
                ErrorCode::TooManyRequests,
                format!("{} requests of this kind are under way from here", *count),
            )
            .hint("wait for some of the answers before asking for more")
            .retry_after(RETRY_AFTER));
        }
        *count += 1;
        Ok(Slot {
            counts: Arc::clone(&self.counts),
            key,
        })
    }
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

    fn admission(working: usize, waiting: usize, per_caller: usize) -> Admission {
        let bound = Bound {
            working,
            waiting,
            patience: Duration::from_secs(3),
            per_caller,
        };
        Admission::new(Capacity {
            light: bound,
            search: bound,
            publish: bound,
            entry: bound,
            lasting: bound,
            body_grace: Duration::ZERO,
        })
    }

    fn caller(number: u8) -> Caller {
        Caller::Session([number; 32])
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
}
