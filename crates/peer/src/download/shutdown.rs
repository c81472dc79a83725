//! The end of a download: stops its tasks, then its transient peer, then saves its state.

use convite_core::Problem;
use convite_net::task::blocking;
use convite_swarm::DownloadOutcome;

use super::engine::{CompletedDownload, Engine, RunOutcome, TaskEvent};
use super::sizes::FailedAttempt;
use super::target::disk_problem;

impl Engine<'_> {
    /// Ends a download after its run. Afterwards none of its tasks runs, and it provides pieces
    /// only if it is complete.
    pub(super) async fn end(mut self, ran: Result<(), Problem>) -> Result<RunOutcome, Problem> {
        let ran = ran.and(self.stop().await);
        if ran.is_ok() && self.outcome == Some(DownloadOutcome::Complete) {
            self.stay().await;
            self.provide_if_ready();
            return Ok(RunOutcome::Complete(Box::new(self.complete())));
        }
        self.leave_swarm().await;
        let verified = self.transfer.verified();
        if verified.is_empty() {
            self.partial.remove().await;
            ran?;
        } else {
            // After a disk failure, nothing is known about writes since the last sync.
            ran?;
            let job = self.partial.final_checkpoint(verified);
            let folder = self.fetch.target.folder().to_path_buf();
            blocking(move || job().map_err(|error| disk_problem("sync", &folder, &error))).await?;
        }
        let last = verified.count().checked_sub(1);
        let is_proven = last.is_some_and(|last| verified.contains(last));
        Ok(match self.outcome {
            None | Some(DownloadOutcome::Cancelled) => RunOutcome::Interrupted,
            Some(outcome) => RunOutcome::Failed(FailedAttempt {
                outcome,
                is_proven,
                reasons: self.transfer.losses(),
            }),
        })
    }

    /// Ends all tasks and waits for writes in progress.
    async fn stop(&mut self) -> Result<(), Problem> {
        self.transfer.stop().await;
        self.tasks.abort_all();
        let mut synced = Ok(());
        while let Some(told) = self.tasks.join_next().await {
            match told {
                // It began to provide just now.
                Ok(TaskEvent::Member(Ok(member))) => self.member = Some(*member),
                Ok(TaskEvent::Checkpoint(Err(error))) => {
                    synced = Err(disk_problem("sync", self.fetch.target.folder(), &error));
                }
                _ => {}
            }
        }
        self.partial.contents().wait_idle().await;
        synced
    }

    fn complete(mut self) -> CompletedDownload {
        self.update_counters(false);
        CompletedDownload {
            providers: self.transfer.senders(),
            received: self.received,
            first_verified: self.first_verified,
            partial: self.partial,
            member: self.member,
        }
    }
}
