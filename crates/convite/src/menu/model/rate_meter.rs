//! The growth rate of a counter.

use std::collections::VecDeque;
use std::time::Duration;

/// The period over which the rate is averaged.
const WINDOW: Duration = Duration::from_secs(5);
/// The minimum time between two samples.
const SAMPLE_GAP_MIN: Duration = Duration::from_millis(100);

/// Samples of a counter.
#[derive(Debug, Clone, Default)]
pub struct RateMeter {
    samples: VecDeque<(Duration, u64)>,
}

impl RateMeter {
    pub fn note(&mut self, now: Duration, count: u64) {
        if let Some((at, last)) = self.samples.back().copied() {
            if now < at + SAMPLE_GAP_MIN && self.samples.len() > 1 {
                return;
            }
            // The counter was reset.
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

    /// Returns the rate in bytes per second.
    pub fn rate(&self) -> u64 {
        let (Some(first), Some(last)) = (self.samples.front(), self.samples.back()) else {
            return 0;
        };
        let seconds = last.0.saturating_sub(first.0).as_secs_f64();
        if seconds < SAMPLE_GAP_MIN.as_secs_f64() {
            return 0;
        }
        (last.1.saturating_sub(first.1) as f64 / seconds) as u64
    }

    /// Returns the time for `left` bytes at this rate; `None` if the rate is 0.
    pub fn time_for(&self, left: u64) -> Option<Duration> {
        let rate = self.rate();
        (rate > 0).then(|| Duration::from_secs(left.div_ceil(rate)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_covers_the_last_seconds() {
        let mut meter = RateMeter::default();
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
