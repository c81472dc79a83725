//! Removal of expired data, while the clock is trustworthy.

use std::time::Duration;

use convite_core::Problem;

use super::Service;
use crate::clock::{ClockState, JumpDetector};

/// Number of change log entries kept for index syncs that are behind.
const CHANGES_KEPT: u64 = 1_000_000;

impl Service {
    /// Removes expired data, unless the clock has jumped; `monotonic` is the time since a fixed
    /// moment.
    ///
    /// # Errors
    /// Returns `internal` or `unavailable` if the database fails.
    pub async fn sweep(
        &self,
        jumps: &mut JumpDetector,
        monotonic: Duration,
    ) -> Result<ClockState, Problem> {
        let store = self.store();
        let now = self.now();
        let verdict = jumps.check(now, monotonic, store.last_sweep().await?);
        match verdict {
            ClockState::Trusted => store.sweep(CHANGES_KEPT, now).await?,
            ClockState::Jumped => {
                tracing::warn!(
                    "the clock jumped; expired data is kept until the clock runs steadily"
                );
                store.mend_times(now).await?;
            }
            ClockState::Waiting => store.finish_removals().await?,
        }
        Ok(verdict)
    }
}
