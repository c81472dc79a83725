//! The upload side: how fast, to how many at once, and in which order.
//!
//! Pure, like the rest: time is an argument. The shell asks before it sends and is told how long
//! to wait.

use std::collections::VecDeque;
use std::time::Duration;

/// A limit in bytes per second with some slack: what was not used in the last moments may be used
/// at once (token bucket: Turner, 1986; as Linux's `tc tbf`).
///
/// Debt is allowed: a chunk larger than what is left goes, and the next waits for it. So no chunk
/// has to fit the bucket.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Duration,
}

impl TokenBucket {
    /// How much time's worth of bytes may be saved up.
    const SLACK: f64 = 0.05;

    /// A full bucket of `bytes_per_second` (at least 1).
    pub fn new(bytes_per_second: u64) -> Self {
        let rate = bytes_per_second.max(1) as f64;
        let burst = (rate * Self::SLACK).max(1500.0);
        Self {
            rate,
            burst,
            tokens: burst,
            at: Duration::ZERO,
        }
    }

    /// Takes `bytes` at `now`, which never goes back; returns how long to wait before sending.
    pub fn take(&mut self, now: Duration, bytes: u64) -> Duration {
        let elapsed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = (self.tokens + elapsed * self.rate).min(self.burst);
        let wait = (-self.tokens / self.rate).max(0.0);
        self.tokens -= bytes as f64;
        Duration::from_secs_f64(wait)
    }
}

/// Who is served now and who waits: first come, first served.
#[derive(Debug)]
pub struct Slots<Id> {
    limit: usize,
    waiting_max: usize,
    served: Vec<Id>,
    waiting: VecDeque<Id>,
}

/// What becomes of one who asks to be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// At once.
    Served,
    /// After so many others: 1 is next.
    Waiting(usize),
    /// There is no room even to wait.
    Refused,
}

impl<Id: Copy + PartialEq> Slots<Id> {
    /// Slots for `limit` at once (at least 1), with room for `waiting_max` to wait.
    pub fn new(limit: usize, waiting_max: usize) -> Self {
        Self {
            limit: limit.max(1),
            waiting_max,
            served: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Somebody asks; ids are never used twice at the same time.
    pub fn ask(&mut self, id: Id) -> Admission {
        if self.served.len() < self.limit {
            self.served.push(id);
            Admission::Served
        } else if self.waiting.len() < self.waiting_max {
            self.waiting.push_back(id);
            Admission::Waiting(self.waiting.len())
        } else {
            Admission::Refused
        }
    }

    /// Somebody is done, or gave up waiting. Returns who is served now instead.
    pub fn end(&mut self, id: Id) -> Option<Id> {
        if let Some(at) = self.waiting.iter().position(|other| *other == id) {
            self.waiting.remove(at);
            return None;
        }
        let at = self.served.iter().position(|other| *other == id)?;
        self.served.swap_remove(at);
        let next = self.waiting.pop_front()?;
        self.served.push(next);
        Some(next)
    }

    /// The place of one who waits: 1 is next.
    pub fn position(&self, id: Id) -> Option<usize> {
        let at = self.waiting.iter().position(|other| *other == id)?;
        Some(at + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bucket_lets_no_more_through_than_its_rate(
            rate in 1_000u64..100_000_000,
            chunks in prop::collection::vec((1u64..300_000, 0u64..200), 1..200),
        ) {
            let mut bucket = TokenBucket::new(rate);
            let mut now = Duration::ZERO;
            let mut sent = 0;
            for (bytes, pause) in chunks {
                now += Duration::from_millis(pause);
                now += bucket.take(now, bytes);
                // What was sent before this chunk fits into the time until it.
                let allowed = rate as f64 * (now.as_secs_f64() + TokenBucket::SLACK) + 1500.0;
                prop_assert!(sent as f64 <= allowed + 1.0, "{sent} bytes by {now:?}");
                sent += bytes;
            }
        }

        #[test]
        fn a_bucket_that_is_always_asked_gives_its_whole_rate(rate in 10_000u64..100_000_000) {
            let mut bucket = TokenBucket::new(rate);
            let mut now = Duration::ZERO;
            let mut sent = 0;
            while now < Duration::from_secs(10) {
                now += bucket.take(now, 16_384);
                sent += 16_384;
            }
            prop_assert!(sent as f64 >= rate as f64 * 10.0);
        }

        #[test]
        fn slots_serve_in_order_and_never_more_than_they_may(
            limit in 1usize..5, room in 0usize..6, ends in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let mut slots = Slots::new(limit, room);
            let mut alive = Vec::new();
            let mut last_admitted_from_queue = None;
            for (next_id, end) in (0u32..).zip(ends) {
                match slots.ask(next_id) {
                    Admission::Refused => prop_assert_eq!(slots.waiting.len(), room),
                    Admission::Waiting(place) => {
                        prop_assert_eq!(slots.position(next_id), Some(place));
                        alive.push(next_id);
                    }
                    Admission::Served => alive.push(next_id),
                }
                prop_assert!(slots.served.len() <= limit && slots.waiting.len() <= room);
                if end.index(2) == 0 && !alive.is_empty() {
                    let id = alive.swap_remove(end.index(alive.len()));
                    if let Some(admitted) = slots.end(id) {
                        prop_assert!(last_admitted_from_queue.is_none_or(|last| last < admitted));
                        last_admitted_from_queue = Some(admitted);
                    }
                }
            }
        }
    }
}
