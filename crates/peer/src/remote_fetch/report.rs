//! Reports the progress of a remote fetch to the directory: about once per second, and its end
//! until the directory accepts the report.

use std::time::Duration;

use convite_core::ErrorCode;
use convite_core::remote_fetch::{LoadId, LoadReport, LoadState};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::context::RemoteFetches;
use crate::announce::publish::{RETRY_FIRST, RETRY_MAX};

/// The time between two reports while the download progresses...
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// ...and while it does not.
const IDLE_REPORT_INTERVAL: Duration = Duration::from_secs(15);
/// How long to retry the final report. After this time the directory ends the request itself.
const FINAL_REPORT_RETRY_TIME: Duration = Duration::from_secs(60 * 60);
/// The weight of the last second in the rate is one part in this many.
const SMOOTHING: u64 = 3;

/// The progress of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FetchProgress {
    /// Whether the download has begun.
    pub(super) is_running: bool,
    /// The number of verified bytes.
    pub(super) bytes: u64,
}

/// Reports the progress of a remote fetch. Returns when the directory no longer knows it.
pub(super) async fn report_progress(
    loads: &RemoteFetches,
    load: LoadId,
    progress: watch::Receiver<FetchProgress>,
) {
    let mut told: Option<(FetchProgress, Instant)> = None;
    let (mut last, mut rate) = (FetchProgress::default(), None::<u64>);
    let mut looked = Instant::now();
    loop {
        let now = *progress.borrow();
        let elapsed = looked.elapsed().as_millis().max(1);
        looked = Instant::now();
        let came = u128::from(now.bytes.saturating_sub(last.bytes)) * 1000 / elapsed;
        let came = u64::try_from(came).unwrap_or(u64::MAX);
        // Bytes of an earlier process do not count in the rate.
        if last.is_running && last.bytes > 0 {
            let before = rate.unwrap_or(came);
            rate = Some(before - before / SMOOTHING + came / SMOOTHING);
        }
        last = now;
        let is_due =
            told.is_none_or(|(said, at)| said != now || at.elapsed() >= IDLE_REPORT_INTERVAL);
        // The requester already sees the state `waiting`.
        if is_due
            && (now.is_running || told.is_some_and(|(_, at)| at.elapsed() >= IDLE_REPORT_INTERVAL))
        {
            let report = LoadReport {
                state: if now.is_running {
                    LoadState::Running
                } else {
                    LoadState::Waiting
                },
                bytes: now.bytes,
                rate: rate.unwrap_or_default(),
                message: String::new(),
            };
            match loads
                .directory
                .report_load(&loads.state.registration.id, load, &report)
                .await
            {
                Ok(()) => told = Some((now, Instant::now())),
                Err(problem) if problem.code == ErrorCode::NotFound => return,
                Err(problem) => {
                    debug!("cannot report the progress of a remote download: {problem}")
                }
            }
        } else if told.is_none() {
            told = Some((now, Instant::now()));
        }
        sleep(REPORT_INTERVAL).await;
    }
}

/// Reports the end of a remote fetch until the directory accepts the report.
pub(super) async fn report_end(loads: &RemoteFetches, load: LoadId, report: &LoadReport) {
    let began = Instant::now();
    let mut pause = RETRY_FIRST;
    while began.elapsed() < FINAL_REPORT_RETRY_TIME {
        match loads
            .directory
            .report_load(&loads.state.registration.id, load, report)
            .await
        {
            Ok(()) => return,
            // An earlier report was accepted and its reply lost, or the request ended in another
            // way.
            Err(problem) if problem.code == ErrorCode::NotFound => return,
            Err(problem) => debug!("cannot report the end of a remote download: {problem}"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(RETRY_MAX);
    }
}
