//! Retry delays, decided without a clock.
//!
//! The first retry is immediate, because another replica may answer. Later delays double, each
//! shortened at random so that clients that lost the same replica do not retry at the same time.

use convite_net::random;

use std::time::{Duration, Instant};

/// Time after which a call to a directory that does not answer fails.
const RETRY_TIME: Duration = Duration::from_secs(3);
/// Time after which a call to a directory that answers "retry later" fails.
const WAITING: Duration = Duration::from_secs(15);
/// Upper bound of the first delay.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// Upper bound of every delay.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Retry state of one call.
#[derive(Debug, Clone)]
pub(crate) struct Retry {
    give_up: Option<Instant>,
    stop_waiting: Option<Instant>,
    failures: u32,
}

impl Retry {
    /// Creates the state for a call that starts now.
    pub(crate) fn for_call(now: Instant) -> Self {
        Self {
            give_up: Some(now + RETRY_TIME),
            stop_waiting: Some(now + WAITING),
            failures: 0,
        }
    }

    /// Creates the state for a stream that has no time limit.
    pub(crate) fn forever() -> Self {
        Self {
            give_up: None,
            stop_waiting: None,
            failures: 0,
        }
    }

    /// Returns the delay before the next attempt, or `None` to give up. `chance` is a random
    /// number. There is always a second attempt, however long the first took.
    pub(crate) fn pause(&mut self, now: Instant, chance: u32) -> Option<Duration> {
        self.failures += 1;
        if self.failures == 1 {
            return Some(Duration::ZERO);
        }
        let longest = PAUSE_MAX.min(PAUSE_FIRST * (1 << (self.failures - 2).min(16)));
        let pause = longest / 2 + (longest / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX));
        match self.give_up {
            Some(give_up) if now + pause > give_up => None,
            _ => Some(pause),
        }
    }

    /// Returns the delay before the next attempt if the directory requested a delay of `told`, or
    /// `None` to give up. The result is up to a quarter longer, so that clients that received the
    /// same delay do not return at the same time.
    pub(crate) fn pause_as_told(
        &self,
        now: Instant,
        told: Duration,
        chance: u32,
    ) -> Option<Duration> {
        let pause = told + (told / 4).mul_f64(f64::from(chance) / f64::from(u32::MAX));
        match self.stop_waiting {
            Some(stop) if now + pause > stop => None,
            _ => Some(pause),
        }
    }
}

/// Returns a random number. Not for secrets: without a source of randomness it is constant.
pub(crate) fn chance() -> u32 {
    random::bytes().map_or(u32::MAX / 2, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_once_then_ever_later_and_not_for_ever() {
        let begun = Instant::now();
        let mut retry = Retry::for_call(begun);
        assert_eq!(retry.pause(begun, 7), Some(Duration::ZERO));
        let (mut now, mut pauses) = (begun, Vec::new());
        while let Some(pause) = retry.pause(now, u32::MAX) {
            pauses.push(pause.as_millis());
            now += pause;
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800]);
        assert!(now - begun <= RETRY_TIME);
    }

    #[test]
    fn a_try_that_took_long_is_still_followed_by_a_second() {
        let begun = Instant::now();
        let mut retry = Retry::for_call(begun);
        let late = begun + Duration::from_secs(30);
        assert_eq!(retry.pause(late, 0), Some(Duration::ZERO));
        assert_eq!(retry.pause(late, 0), None);
    }

    #[test]
    fn who_is_told_to_wait_waits_unless_it_is_too_long() {
        let begun = Instant::now();
        let retry = Retry::for_call(begun);
        let second = Duration::from_secs(1);
        assert_eq!(retry.pause_as_told(begun, second, 0), Some(second));
        let longest = retry.pause_as_told(begun, second, u32::MAX);
        assert_eq!(longest, Some(Duration::from_millis(1_250)));
        assert_eq!(retry.pause_as_told(begun, second * 60, 0), None);
        let late = begun + Duration::from_millis(14_500);
        assert_eq!(retry.pause_as_told(late, second, 0), None);
    }

    #[test]
    fn chance_shortens_a_pause_by_half_at_most() {
        let mut shortest = Retry::forever();
        let mut longest = Retry::forever();
        let now = Instant::now();
        for _ in 0..40 {
            let (least, most) = (shortest.pause(now, 0), longest.pause(now, u32::MAX));
            assert_eq!(least.unwrap(), most.unwrap() / 2);
            assert!(most.unwrap() <= PAUSE_MAX);
        }
    }
}
