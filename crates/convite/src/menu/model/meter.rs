//! How fast a count grows.

use std::collections::VecDeque;
use std::time::Duration;

/// The rate is the mean over this long.
const WINDOW: Duration = Duration::from_secs(5);
/// Two samples are at least so far apart.
const APART: Duration = Duration::from_millis(100);

/// Samples of a count that only grows.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    samples: VecDeque<(Duration, u64)>,
}

impl Meter {
    pub fn note(&mut self, now: Duration, count: u64) {
        if let Some((at, last)) = self.samples.back().copied() {
            if now < at + APART && self.samples.len() > 1 {
                return;
            }
            // It began anew.
            if count < last {
                self.samples.clear();
            }
        }
        self.samples.push_back((now, count));
        while self.samples.len() > 2 && self.samples[1].0 + WINDOW <= now {
            self.samples.pop_front();
        }
    }

    pub fn reset(&mut self) {
        self.samples.clear();
    }

    /// Bytes a second.
    pub fn rate(&self) -> u64 {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return 0;
        };
        let seconds = last.0.saturating_sub(first.0).as_secs_f64();
        if seconds < APART.as_secs_f64() {
            return 0;
        }
        (last.1.saturating_sub(first.1) as f64 / seconds) as u64
    }

    /// How long `left` bytes take at this rate, if it moves at all.
    pub fn time_for(&self, left: u64) -> Option<Duration> {
        let rate = self.rate();
        (rate > 0).then(|| Duration::from_secs(left.div_ceil(rate)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut meter = Meter::default();
        assert_eq!(meter.rate(), 0);
        for second in 0..20 {
            meter.note(Duration::from_secs(second), second.min(10) * 1_000);
        }
        assert_eq!(meter.rate(), 0);
        assert_eq!(meter.time_for(1), None);
        for second in 20..40 {
            meter.note(Duration::from_secs(second), second * 1_000);
        }
        assert_eq!(meter.rate(), 1_000);
        assert_eq!(meter.time_for(1_500), Some(Duration::from_secs(2)));
        meter.note(Duration::from_secs(50), 0);
        assert_eq!(meter.rate(), 0);
    }
}
