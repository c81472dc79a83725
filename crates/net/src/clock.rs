//! The clock of the directory, as estimated by this machine.
//!
//! The directory sets the dates of tickets and of peers' certificates. A peer or client checks them
//! by this clock, so that its own clock may be wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

use convite_core::UnixMillis;

/// No response of the directory has been seen yet.
const UNKNOWN: i64 = i64::MIN;
/// Smaller differences are caused by network delay and by the whole seconds of the `Date` header.
const TOLERANCE_MS: i64 = 3_000;
/// From this difference on, users are warned, because tickets are valid for minutes only.
const NOTABLE_MS: u64 = 60_000;

/// The difference between the clocks of the directory and this machine. Clones share their state.
#[derive(Debug, Clone)]
pub struct DirectoryClock {
    /// Milliseconds by which the directory's clock is ahead of the local clock.
    ahead: Arc<AtomicI64>,
}

impl Default for DirectoryClock {
    /// Returns a clock that equals the local clock until the first [`Self::record`].
    fn default() -> Self {
        Self {
            ahead: Arc::new(AtomicI64::new(UNKNOWN)),
        }
    }
}

impl DirectoryClock {
    /// Records that the directory's clock showed `theirs` when the local clock showed `ours`.
    pub fn record(&self, theirs: UnixMillis, ours: UnixMillis) {
        let ahead = theirs.0.saturating_sub(ours.0).max(UNKNOWN + 1);
        let ahead = if ahead.abs() <= TOLERANCE_MS {
            0
        } else {
            ahead
        };
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    /// Returns the milliseconds by which the directory's clock is ahead of the local clock, or
    /// `None` before the first response.
    pub fn ahead(&self) -> Option<i64> {
        match self.ahead.load(Ordering::Relaxed) {
            UNKNOWN => None,
            ahead => Some(ahead),
        }
    }

    /// Returns the time of the directory's clock.
    pub fn now(&self) -> UnixMillis {
        let own = UnixMillis::from(SystemTime::now());
        UnixMillis(own.0.saturating_add(self.ahead().unwrap_or(0)))
    }
}

/// Describes a clock difference for users: `12 min ahead of`, `2 days behind`.
///
/// `ahead` is the number of milliseconds by which the directory's clock is ahead of the local
/// clock. Returns `None` for differences below a minute, which do no harm.
pub fn describe_offset(ahead: i64) -> Option<String> {
    let off = ahead.unsigned_abs();
    if off < NOTABLE_MS {
        return None;
    }
    let minutes = (off + 30_000) / 60_000;
    let amount = match minutes {
        0..=119 => format!("{minutes} min"),
        120..=2_879 => format!("{} h", (minutes + 30) / 60),
        _ => format!("{} days", (minutes + 720) / 1_440),
    };
    Some(if ahead < 0 {
        format!("{amount} ahead of")
    } else {
        format!("{amount} behind")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directorys_time_counts_once_it_is_known() {
        let clock = DirectoryClock::default();
        assert_eq!(clock.ahead(), None);
        let own = UnixMillis::from(SystemTime::now());
        assert!(clock.now().0 - own.0 < 1_000);
        clock.record(UnixMillis(own.0 + 720_000), own);
        assert_eq!(clock.ahead(), Some(720_000));
        assert!(clock.now().0 >= own.0 + 720_000);
        clock.record(UnixMillis(own.0 + 900), own);
        assert_eq!(clock.ahead(), Some(0));
        clock.record(UnixMillis(i64::MIN), UnixMillis(i64::MAX));
        assert!(clock.ahead().is_some());
    }

    #[test]
    fn differences_in_words() {
        for (ahead, words) in [
            (0, None),
            (59_000, None),
            (-720_000, Some("12 min ahead of")),
            (720_000, Some("12 min behind")),
            (-3 * 3_600_000, Some("3 h ahead of")),
            (2 * 86_400_000, Some("2 days behind")),
            (400 * 86_400_000, Some("400 days behind")),
        ] {
            assert_eq!(describe_offset(ahead).as_deref(), words, "{ahead}");
        }
    }
}
