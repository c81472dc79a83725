//! The measurements of one method: its rounds and their medians.

use serde_json::{Value, json};

use super::report::{median, mib};
use super::usage::Usage;
use crate::Failure;

/// One transfer by one method.
pub struct Transfer {
    /// The seconds from the start to the end of the fsync, as reported by the receiver if it does.
    pub seconds: f64,
    /// The CPU seconds and peak bytes of all senders together.
    pub sender: (f64, u64),
    /// The resource usage of the receiving process.
    pub receiver: Usage,
    /// The milliseconds to the first verified byte.
    pub first: Option<f64>,
}

/// All rounds of one method.
pub struct Method {
    /// The name in the table.
    pub name: String,
    rounds: Vec<Transfer>,
    /// The reason why there are no results.
    missing: Option<Failure>,
}

impl Method {
    /// Creates a method without rounds.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            rounds: Vec::new(),
            missing: None,
        }
    }

    /// Adds a round; `counts` is false for the warm-up round. A failure becomes a row of the table.
    pub fn add(&mut self, result: Result<Transfer, Failure>, counts: bool) {
        match result {
            Ok(round) if counts => self.rounds.push(round),
            Ok(_) => {}
            Err(failure) => self.missing = Some(failure),
        }
    }

    /// Returns whether the method works on this machine.
    pub fn is_available(&self) -> bool {
        self.missing.is_none()
    }

    /// Returns the median of the seconds; none without rounds.
    pub fn seconds(&self) -> Option<f64> {
        let seconds = median(self.rounds.iter().map(|round| round.seconds));
        seconds.is_finite().then_some(seconds)
    }

    /// Returns the medians for `size` bytes, and the ratios to the seconds of the baselines.
    pub fn summary(&self, size: u64, tcp: Option<f64>, nc: Option<f64>) -> Value {
        if let Some(why) = &self.missing {
            return json!({"way": self.name, "missing": why});
        }
        let of = |figure: fn(&Transfer) -> f64| median(self.rounds.iter().map(figure));
        let seconds = of(|round| round.seconds);
        json!({
            "way": self.name,
            "seconds": seconds,
            "wall": of(|round| round.receiver.wall),
            "mib_per_second": mib(size) / seconds,
            "ratio": tcp.map(|baseline| baseline / seconds),
            "ratio_to_nc": nc.map(|baseline| baseline / seconds),
            "cpu": of(|round| round.sender.0 + round.receiver.cpu),
            "sender_cpu": of(|round| round.sender.0),
            "receiver_cpu": of(|round| round.receiver.cpu),
            "sender_peak_mib": of(|round| mib(round.sender.1)),
            "receiver_peak_mib": of(|round| mib(round.receiver.peak)),
            "first_verified_ms": median(self.rounds.iter().filter_map(|round| round.first)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(seconds: f64) -> Transfer {
        let receiver = Usage {
            wall: seconds,
            cpu: 1.0,
            peak: 3 << 20,
        };
        Transfer {
            seconds,
            sender: (0.5, 2 << 20),
            receiver,
            first: None,
        }
    }

    #[test]
    fn warm_up_rounds_are_excluded_and_ratios_grow_with_speed() {
        let mut method = Method::new("x");
        method.add(Ok(round(100.0)), false);
        assert_eq!(method.seconds(), None);
        method.add(Ok(round(2.0)), true);
        let summary = method.summary(4 << 20, Some(1.0), None);
        assert_eq!(summary["mib_per_second"], 2.0);
        assert_eq!(summary["ratio"], 0.5);
        assert_eq!(summary["cpu"], 1.5);
        assert!(summary["ratio_to_nc"].is_null());
    }

    #[test]
    fn a_failed_method_has_no_figures() {
        let mut method = Method::new("x");
        method.add(Err("not installed".to_owned()), true);
        assert!(!method.is_available());
        let summary = method.summary(1, Some(1.0), None);
        assert_eq!(summary["missing"], "not installed");
        assert!(summary["seconds"].is_null());
    }
}
