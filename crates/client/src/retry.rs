//! How long and how often to try again, as a decision without a clock: at once the first time, for
//! another replica may answer, then after pauses that double, each shortened at random so that
//! those who lost the same replica do not come back in step.

use std::time::{Duration, Instant};

/// For how long a directory of which nothing answers is tried before the user is told.
const TRYING: Duration = Duration::from_secs(3);
/// The same for one that answers, and says that it is to be asked later.
const WAITING: Duration = Duration::from_secs(15);
/// The first pause, at its longest.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// The longest pause.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The tries of one call.
#[derive(Debug, Clone)]
pub(crate) struct Retry {
    give_up: Option<Instant>,
    stop_waiting: Option<Instant>,
    failures: u32,
}

impl Retry {
    /// Of a call that begins now.
    pub(crate) fn within_patience(now: Instant) -> Self {
        Self {
            give_up: Some(now + TRYING),
            stop_waiting: Some(now + WAITING),
            failures: 0,
        }
    }

    /// Of what is to last until somebody ends it.
    pub(crate) fn for_ever() -> Self {
        Self {
            give_up: None,
            stop_waiting: None,
            failures: 0,
        }
    }

    /// How long to wait before the next try, after one that failed; none to give up. `chance` is
    /// any random number. There is a second try in any case, however long the first took.
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

    /// How long to wait when told to wait for `told`: no less, and up to a quarter more, so that
    /// those who were told at once do not come back at once; none to give up.
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

/// Any number. Not for secrets: without a source of randomness it is the same each time.
pub(crate) fn chance() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_once_then_ever_later_and_not_for_ever() {
        let begun = Instant::now();
        let mut retry = Retry::within_patience(begun);
        assert_eq!(retry.pause(begun, 7), Some(Duration::ZERO));
        let (mut now, mut pauses) = (begun, Vec::new());
        while let Some(pause) = retry.pause(now, u32::MAX) {
            pauses.push(pause.as_millis());
            now += pause;
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800]);
        assert!(now - begun <= TRYING);
    }

    #[test]
    fn a_try_that_took_long_is_still_followed_by_a_second() {
        let begun = Instant::now();
        let mut retry = Retry::within_patience(begun);
        let late = begun + Duration::from_secs(30);
        assert_eq!(retry.pause(late, 0), Some(Duration::ZERO));
        assert_eq!(retry.pause(late, 0), None);
    }

    #[test]
    fn who_is_told_to_wait_waits_unless_it_is_too_long() {
        let begun = Instant::now();
        let retry = Retry::within_patience(begun);
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
        let mut shortest = Retry::for_ever();
        let mut longest = Retry::for_ever();
        let now = Instant::now();
        for _ in 0..40 {
            let (least, most) = (shortest.pause(now, 0), longest.pause(now, u32::MAX));
            assert_eq!(least.unwrap(), most.unwrap() / 2);
            assert!(most.unwrap() <= PAUSE_MAX);
        }
    }
}
