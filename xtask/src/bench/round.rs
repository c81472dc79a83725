//! One transfer of one file by one way, and what the rounds of a way come to.

use serde_json::{Value, json};

use super::report::{median, mib};
use super::usage::Usage;
use crate::Failure;

/// One transfer by one way.
pub struct Round {
    /// From the start to the end of the fsync. Where the receiver tells it, this is what it tells.
    pub seconds: f64,
    /// CPU seconds and peak bytes of the senders, all together.
    pub sender: (f64, u64),
    /// What the receiving process used.
    pub receiver: Usage,
    /// Milliseconds to the first verified byte.
    pub first: Option<f64>,
}

/// All rounds of one way.
pub struct Way {
    /// What the table calls it.
    pub name: String,
    rounds: Vec<Round>,
    /// Why there are no figures.
    missing: Option<Failure>,
}

impl Way {
    /// Without rounds yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            rounds: Vec::new(),
            missing: None,
        }
    }

    /// Takes a round of another system, whose failure is a row of the table and no more.
    pub fn take(&mut self, result: Result<Round, Failure>, counts: bool) {
        match result {
            Ok(round) if counts => self.rounds.push(round),
            Ok(_) => {}
            Err(failure) => self.missing = Some(failure),
        }
    }

    /// Whether it works here.
    pub fn works(&self) -> bool {
        self.missing.is_none()
    }

    /// The median of its seconds; none without rounds.
    pub fn seconds(&self) -> Option<f64> {
        let seconds = median(self.rounds.iter().map(|round| round.seconds));
        seconds.is_finite().then_some(seconds)
    }

    /// Its medians for `size` bytes, and its ratio to the seconds of each floor.
    pub fn summary(&self, size: u64, tcp: Option<f64>, nc: Option<f64>) -> Value {
        if let Some(why) = &self.missing {
            return json!({"way": self.name, "missing": why});
        }
        let of = |figure: fn(&Round) -> f64| median(self.rounds.iter().map(figure));
        let seconds = of(|round| round.seconds);
        json!({
            "way": self.name,
            "seconds": seconds,
            "wall": of(|round| round.receiver.wall),
            "mib_per_second": mib(size) / seconds,
            "ratio": tcp.map(|floor| floor / seconds),
            "ratio_to_nc": nc.map(|floor| floor / seconds),
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

    fn round(seconds: f64) -> Round {
        let receiver = Usage {
            wall: seconds,
            cpu: 1.0,
            peak: 3 << 20,
        };
        Round {
            seconds,
            sender: (0.5, 2 << 20),
            receiver,
            first: None,
        }
    }

    #[test]
    fn rounds_that_do_not_count_are_left_out_and_ratios_grow_with_speed() {
        let mut way = Way::new("x");
        way.take(Ok(round(100.0)), false);
        assert_eq!(way.seconds(), None);
        way.take(Ok(round(2.0)), true);
        let summary = way.summary(4 << 20, Some(1.0), None);
        assert_eq!(summary["mib_per_second"], 2.0);
        assert_eq!(summary["ratio"], 0.5);
        assert_eq!(summary["cpu"], 1.5);
        assert!(summary["ratio_to_nc"].is_null());
    }

    #[test]
    fn a_way_that_fails_says_so_and_has_no_figures() {
        let mut way = Way::new("x");
        way.take(Err("not installed".to_owned()), true);
        assert!(!way.works());
        let summary = way.summary(1, Some(1.0), None);
        assert_eq!(summary["missing"], "not installed");
        assert!(summary["seconds"].is_null());
    }
}
