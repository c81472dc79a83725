//! The directory's clock, and whether it is trusted for irreversible decisions.
//!
//! A wrong clock must not make the directory delete sessions, links and the audit log. Expired data
//! is therefore deleted only while the clock runs as steadily as the machine's monotonic clock, and
//! is close to the time of the last deletion ([`JumpDetector`]). Replicas use the time of their
//! database.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use convite_core::UnixMillis;

/// Maximum difference between the progress of the two clocks from one check to the next.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);
/// Maximum time since the last deletion that is not suspicious.
const SWEEP_GAP_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long a clock that jumped must run steadily before it is trusted.
const PROBATION: Duration = Duration::from_secs(6 * 3600);

/// The directory's clock: the machine's clock with an offset.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    shift: Arc<AtomicI64>,
    to_database: Arc<AtomicI64>,
}

impl Clock {
    /// Returns the current time.
    pub fn now(&self) -> UnixMillis {
        let to_database = self.to_database.load(Ordering::Relaxed);
        UnixMillis(self.machine_time().0.saturating_add(to_database))
    }

    /// Shifts the clock by this number of milliseconds, as if the machine's clock were wrong.
    pub fn set_shift(&self, millis: i64) {
        self.shift.store(millis, Ordering::Relaxed);
    }

    /// Switches to the clock of the database.
    pub(crate) fn use_database_time(&self, database: UnixMillis) {
        let ahead = database.0.saturating_sub(self.machine_time().0);
        self.to_database.store(ahead, Ordering::Relaxed);
    }

    fn machine_time(&self) -> UnixMillis {
        let machine = UnixMillis::from(SystemTime::now());
        UnixMillis(machine.0.saturating_add(self.shift.load(Ordering::Relaxed)))
    }
}

/// The result of a clock check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    /// Expired data may be deleted.
    Trusted,
    /// The clock has just jumped: times that were recorded wrongly must be corrected.
    Jumped,
    /// The clock jumped earlier, and is not trusted yet.
    Waiting,
}

/// Detects jumps of a clock. Pure: both clocks are arguments.
#[derive(Debug, Default)]
pub struct JumpDetector {
    /// Both clocks at the last check.
    last: Option<(UnixMillis, Duration)>,
    /// The time on the monotonic clock at which the other is trusted again.
    trusted_from: Duration,
}

impl JumpDetector {
    /// Checks the clock (`wall`) against the monotonic one and the time of the last deletion.
    pub fn check(
        &mut self,
        wall: UnixMillis,
        monotonic: Duration,
        last_sweep: Option<UnixMillis>,
    ) -> ClockState {
        let is_even = self.last.is_none_or(|(last_wall, last)| {
            let passed = millis(monotonic.saturating_sub(last));
            let shown = wall.0.saturating_sub(last_wall.0);
            shown.saturating_sub(passed).unsigned_abs() <= millis(TOLERANCE).unsigned_abs()
        });
        let is_first = self.last.is_none();
        self.last = Some((wall, monotonic));
        // A machine that was asleep or off for a night does not have a wrong clock.
        let is_near = last_sweep.is_none_or(|swept| {
            let since = wall.0.saturating_sub(swept.0);
            (-millis(TOLERANCE)..=millis(SWEEP_GAP_MAX)).contains(&since)
        });
        let is_doubtful = if is_first {
            !is_near
        } else {
            !is_even && !is_near
        };
        if is_doubtful {
            self.trusted_from = monotonic.saturating_add(PROBATION);
            return ClockState::Jumped;
        }
        if monotonic >= self.trusted_from {
            ClockState::Trusted
        } else if is_near {
            // The clock has returned to the correct time.
            self.trusted_from = monotonic;
            ClockState::Jumped
        } else {
            ClockState::Waiting
        }
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const DAY: i64 = 24 * 60 * MINUTE;
    const NOW: i64 = 1_800_000_000_000;

    fn after(millis: i64) -> Duration {
        Duration::from_millis(millis.unsigned_abs())
    }

    /// Returns the results of checks at one-minute intervals, with these offsets of the clock.
    fn verdicts(swept: Option<i64>, shifts: &[i64]) -> Vec<ClockState> {
        let mut jumps = JumpDetector::default();
        let mut swept = swept.map(|ago| UnixMillis(NOW - ago));
        let looks = shifts.iter().enumerate().map(|(minute, shift)| {
            let passed = minute as i64 * MINUTE;
            let wall = UnixMillis(NOW + passed + shift);
            let verdict = jumps.check(wall, after(passed), swept);
            if verdict == ClockState::Trusted {
                swept = Some(wall);
            }
            verdict
        });
        looks.collect()
    }

    #[test]
    fn a_clock_that_is_ahead_for_a_minute_deletes_nothing() {
        use ClockState::{Jumped, Trusted};
        let ahead = 400 * DAY;
        assert_eq!(
            verdicts(Some(MINUTE), &[0, 0, ahead, 0, 0]),
            [Trusted, Trusted, Jumped, Jumped, Trusted]
        );
        assert_eq!(
            verdicts(Some(MINUTE), &[0, -ahead, 0, 0]),
            [Trusted, Jumped, Jumped, Trusted]
        );
        // The clock was wrong when the directory started.
        assert_eq!(
            verdicts(Some(MINUTE), &[ahead, 0, 0]),
            [Jumped, Jumped, Trusted]
        );
    }

    #[test]
    fn a_clock_that_was_set_is_trusted_after_a_while() {
        let ahead = 400 * DAY;
        let mut shifts = vec![0, 0];
        shifts.extend([ahead; 400]);
        let verdicts = verdicts(Some(MINUTE), &shifts);
        let first = verdicts[2..].iter().position(|v| *v == ClockState::Trusted);
        assert_eq!(first, Some(6 * 60));
    }

    #[test]
    fn the_clock_is_trusted_after_a_night_of_sleep() {
        let night = 10 * 60 * MINUTE;
        let slept = verdicts(Some(MINUTE), &[0, night, night]);
        assert_eq!(slept, [ClockState::Trusted; 3]);
        // A new directory has deleted nothing yet.
        assert_eq!(verdicts(None, &[0, 0]), [ClockState::Trusted; 2]);
    }
}
