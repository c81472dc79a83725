//! Telling the directory how far a load is: about each second, and at the end until it is heard.

use std::time::Duration;

use convite_core::ErrorCode;
use convite_core::loads::{LoadReport, LoadState};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::Loads;
use crate::publish::{RETRY_FIRST, RETRY_MAX};
use convite_core::loads::LoadId;

/// Between two reports of a load that moves,
const PACE: Duration = Duration::from_secs(1);
/// and of one that stands still.
const STILL: Duration = Duration::from_secs(15);
/// The end of a load that cannot be told for so long is told by the directory itself.
const PATIENCE: Duration = Duration::from_secs(60 * 60);
/// How much of the rate is that of the last second, one part in so many.
const SMOOTHING: u64 = 3;

/// How far a job is, as it sees that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// Whether it has begun to fetch.
    pub(super) runs: bool,
    /// Bytes verified.
    pub(super) bytes: u64,
}

/// Says how far a load is; returns when the directory knows of no such load any more.
pub(super) async fn tell(loads: &Loads, load: LoadId, standing: watch::Receiver<Standing>) {
    let mut told: Option<(Standing, Instant)> = None;
    let (mut last, mut rate) = (Standing::default(), None::<u64>);
    let mut looked = Instant::now();
    loop {
        let now = *standing.borrow();
        let elapsed = looked.elapsed().as_millis().max(1);
        looked = Instant::now();
        let came = u128::from(now.bytes.saturating_sub(last.bytes)) * 1000 / elapsed;
        let came = u64::try_from(came).unwrap_or(u64::MAX);
        // What an earlier run left is no rate of this one's.
        if last.runs && last.bytes > 0 {
            let before = rate.unwrap_or(came);
            rate = Some(before - before / SMOOTHING + came / SMOOTHING);
        }
        last = now;
        let is_due = told.is_none_or(|(said, at)| said != now || at.elapsed() >= STILL);
        // Whoever asked knows that it waits.
        if is_due && (now.runs || told.is_some_and(|(_, at)| at.elapsed() >= STILL)) {
            let report = LoadReport {
                state: match now.runs {
                    true => LoadState::Running,
                    false => LoadState::Waiting,
                },
                bytes: now.bytes,
                rate: rate.unwrap_or_default(),
                message: String::new(),
            };
            match loads
                .directory
                .report_load(&loads.state.id, load, &report)
                .await
            {
                Ok(()) => told = Some((now, Instant::now())),
                Err(problem) if problem.code == ErrorCode::NotFound => return,
                Err(problem) => debug!("cannot tell how far a load is: {problem}"),
            }
        } else if told.is_none() {
            told = Some((now, Instant::now()));
        }
        sleep(PACE).await;
    }
}

/// Says how a load ended, until that is heard.
pub(super) async fn tell_the_end(loads: &Loads, load: LoadId, report: &LoadReport) {
    let began = Instant::now();
    let mut pause = RETRY_FIRST;
    while began.elapsed() < PATIENCE {
        match loads
            .directory
            .report_load(&loads.state.id, load, report)
            .await
        {
            Ok(()) => return,
            // Heard, and only the answer was lost; or over in another way.
            Err(problem) if problem.code == ErrorCode::NotFound => return,
            Err(problem) => debug!("cannot tell how a load ended: {problem}"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(RETRY_MAX);
    }
}
