//! The swarm of a download: providers that the directory names meanwhile, and the transient peer that
//! offers its pieces to other downloaders.

use std::time::Duration;

use tokio_stream::StreamExt;

use super::engine::{Engine, TaskEvent};
use super::transient_peer::TransientPeer;

/// How long a complete download that stays waits for its registration.
const MEMBER_START_TIMEOUT: Duration = Duration::from_secs(30);

impl Engine<'_> {
    /// Joins the swarm: starts to provide pieces and to watch for new providers. A file of one
    /// piece is complete before other peers could be notified, so it does not join.
    pub(super) fn join_swarm(&mut self) {
        if self.partial.geometry().piece_count() <= 1 || self.transfer.verified().is_full() {
            return;
        }
        if let Some(config) = self.fetch.member.clone() {
            let directory = self.fetch.directory.clone();
            let (hash, size) = (self.fetch.file.hash, self.partial.geometry().file_size());
            self.tasks.spawn(async move {
                let member = TransientPeer::start(config, directory, hash, size).await;
                TaskEvent::Member(member.map(Box::new))
            });
        }
        let (directory, hash) = (self.fetch.directory.clone(), self.fetch.file.hash);
        let kind = self.fetch.file.kind;
        let (within, found) = (self.fetch.within.clone(), self.found.clone());
        self.tasks.spawn(async move {
            // Without the watch, the directory is asked periodically.
            if let Ok(mut changes) = directory.watch(&hash, kind, &within).await {
                while let Some(Ok(providers)) = changes.next().await {
                    if found.send(providers).await.is_err() {
                        break;
                    }
                }
            }
            TaskEvent::Watched
        });
    }

    pub(super) fn provide_if_ready(&mut self) {
        let (Some(member), Some(hashes)) = (&mut self.member, self.content.hashes()) else {
            return;
        };
        if !member.is_providing() && !self.transfer.verified().is_empty() {
            let name = self.fetch.file.names.first().cloned().unwrap_or_default();
            member.provide(
                hashes.clone(),
                self.partial.contents().file().clone(),
                name,
                self.transfer.verified(),
            );
        }
    }

    /// Offers a verified piece to other downloaders.
    pub(super) fn share(&mut self, piece: u32) {
        match &self.member {
            Some(member) if member.is_providing() => {
                if self.transfer.verified().contains(piece) {
                    member.add(piece);
                }
            }
            _ => self.provide_if_ready(),
        }
    }

    /// At the end of a complete download that stays: starts to provide the file if that has not
    /// happened yet.
    pub(super) async fn stay(&mut self) {
        let config = self
            .fetch
            .member
            .clone()
            .filter(|config| config.stay_after_download);
        let (Some(config), None) = (config, &self.member) else {
            return;
        };
        let directory = self.fetch.directory.clone();
        let (hash, size) = (self.fetch.file.hash, self.partial.geometry().file_size());
        let starting = TransientPeer::start(config, directory, hash, size);
        match tokio::time::timeout(MEMBER_START_TIMEOUT, starting).await {
            Ok(Ok(member)) => self.member = Some(member),
            Ok(Err(problem)) => tracing::warn!("cannot share the downloaded file: {problem}"),
            Err(_) => {
                tracing::warn!("cannot share the downloaded file: the directory does not answer")
            }
        }
    }

    /// Stops providing, at the end of a download that failed or was interrupted.
    pub(super) async fn leave_swarm(&mut self) {
        if let Some(member) = self.member.take() {
            member.leave().await;
        }
    }
}
