//! How long a peer waits for those who send it a file.

use std::time::Duration;

use tokio::time::Instant;

/// The slowest that a file may come, in bytes a second, once the time to spare is used up.
const RATE_MIN: u64 = 1024;
/// The time to spare, and the most that can be saved up by coming faster.
const GRACE: Duration = Duration::from_secs(60);

/// The time that one sender has left. Only what is waited for him counts, not what the disk takes.
pub(super) struct Patience {
    left: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { left: GRACE }
    }
}

impl Patience {
    /// Waits for what comes next; none if it did not come in time.
    pub(super) async fn wait<T>(&mut self, next: impl Future<Output = T>) -> Option<T> {
        let began = Instant::now();
        let came = tokio::time::timeout(self.left, next).await;
        self.left = self.left.saturating_sub(began.elapsed());
        came.ok()
    }

    /// So many bytes came.
    pub(super) fn earn(&mut self, bytes: usize) {
        let earned = Duration::from_micros((bytes as u64).saturating_mul(1_000_000) / RATE_MIN);
        self.left = (self.left + earned).min(GRACE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many parts of so many bytes come, one each `pause`, before the patience is at its end.
    async fn parts(bytes: usize, pause: Duration, most: usize) -> usize {
        let mut patience = Patience::default();
        // Much at first buys no more than the grace.
        patience.earn(1 << 30);
        for part in 0..most {
            if patience.wait(tokio::time::sleep(pause)).await.is_none() {
                return part;
            }
            patience.earn(bytes);
        }
        most
    }

    #[tokio::test(start_paused = true)]
    async fn who_drips_is_given_up_and_who_is_slow_is_not() {
        let second = Duration::from_secs(1);
        assert_eq!(parts(1, second * 61, 9).await, 0);
        assert_eq!(parts(1, second * 30, 9).await, 2);
        assert!((59..70).contains(&parts(10, second, 999).await));
        assert_eq!(parts(1100, second, 999).await, 999);
        assert_eq!(parts(50 << 10, second * 45, 99).await, 99);
    }
}
