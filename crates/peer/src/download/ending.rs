//! How a download ends: its tasks first, then what it provides, then what is kept of it.

use convite_core::Problem;
use convite_swarm::Outcome;

use super::engine::{Complete, Ended, Engine, Told};
use super::place::disk_problem;

impl Engine<'_> {
    /// Ends a download that `ran`. Whatever came of it, nothing of it runs on, and unless it is
    /// complete it is no provider any more.
    pub(super) async fn end(mut self, ran: Result<(), Problem>) -> Result<Ended, Problem> {
        let ran = ran.and(self.stop().await);
        if ran.is_ok() && self.outcome == Some(Outcome::Complete) {
            self.provide_if_ready();
            return Ok(Ended::Complete(Box::new(self.complete())));
        }
        self.leave_swarm().await;
        let verified = self.plan.verified();
        if verified.is_empty() {
            self.partial.abandon().await;
            ran?;
        } else {
            // After a failure of the disk nothing is known of what was written since the last sync.
            ran?;
            let job = self.partial.checkpoint(verified);
            let folder = self.fetch.target.folder().to_path_buf();
            super::place::on_blocking_thread(move || {
                job().map_err(|error| disk_problem("sync", &folder, &error))
            })
            .await?;
        }
        let last = verified.count().checked_sub(1);
        let is_proven = last.is_some_and(|last| verified.contains(last));
        Ok(match self.outcome {
            None | Some(Outcome::Cancelled) => Ended::Interrupted,
            Some(outcome) => Ended::Failed { outcome, is_proven },
        })
    }

    /// Ends all tasks and waits until none writes any more.
    async fn stop(&mut self) -> Result<(), Problem> {
        self.receivers.abort_all();
        while self.receivers.join_next().await.is_some() {}
        self.tasks.abort_all();
        let mut synced = Ok(());
        while let Some(told) = self.tasks.join_next().await {
            match told {
                // It began to provide in this very moment.
                Ok(Told::Member(Ok(member))) => self.member = Some(*member),
                Ok(Told::Checkpoint(Err(error))) => {
                    synced = Err(disk_problem("sync", self.fetch.target.folder(), &error));
                }
                _ => {}
            }
        }
        self.partial.contents().settled().await;
        synced
    }

    fn complete(mut self) -> Complete {
        self.count(false);
        let senders = self.known.iter().filter(|known| known.sent_verified);
        Complete {
            providers: senders.map(|known| known.provider.peer.clone()).collect(),
            received: self.received,
            first_verified: self.first_verified,
            partial: self.partial,
            member: self.member,
        }
    }
}
