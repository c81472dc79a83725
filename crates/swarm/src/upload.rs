//! Limits on uploads: rate, number of slots, and order.
//!
//! Pure: time is an argument. The caller asks before it sends and waits for the returned time.

use std::collections::VecDeque;
use std::time::Duration;

/// A rate limit in bytes per second with a small burst (token bucket: Turner, 1986; like `tc tbf`
/// of Linux).
///
/// Debt is allowed: a chunk larger than the remaining tokens is sent, and the next one waits for
/// it. So a chunk need not fit into the bucket.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Duration,
}

impl TokenBucket {
    /// The burst as a duration at the full rate, in seconds.
    const SLACK: f64 = 0.05;

    /// Creates a full bucket for `bytes_per_second` (at least 1).
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

    /// Takes `bytes` at `now`, which must not decrease. Returns how long to wait before sending.
    pub fn take(&mut self, now: Duration, bytes: u64) -> Duration {
        let elapsed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = (self.tokens + elapsed * self.rate).min(self.burst);
        let wait = (-self.tokens / self.rate).max(0.0);
        self.tokens -= bytes as f64;
        Duration::from_secs_f64(wait)
    }
}

/// Upload slots and their queue, first come, first served.
#[derive(Debug)]
pub struct Slots<Id> {
    limit: usize,
    waiting_max: usize,
    served: Vec<Id>,
    waiting: VecDeque<Id>,
}

/// The result of a request for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Served at once.
    Served,
    /// Position in the queue: 1 is next.
    Waiting(usize),
    /// The queue is full.
    Refused,
}

impl<Id: Copy + PartialEq> Slots<Id> {
    /// Creates `limit` slots (at least 1) with a queue of length `waiting_max`.
    pub fn new(limit: usize, waiting_max: usize) -> Self {
        Self {
            limit: limit.max(1),
            waiting_max,
            served: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Requests a slot. Active ids must be unique.
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

    /// Releases a slot or leaves the queue. Returns the id that is served next, if any.
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

    /// Returns the position in the queue: 1 is next.
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
                // The bytes sent before this chunk fit into the time until it.
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
