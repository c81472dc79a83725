//! The engine of a download: runs the tasks, timer and checkpoints for its plan ([`Download`]).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use convite_core::model::Provider;
use convite_core::{PeerId, Problem};
use convite_net::random;
use convite_net::tls;
use convite_provider::{
    FileContent, LookupFuture, ProviderLookup, RateLimit, Transfer, TransferConfig, TransferEvent,
};
use convite_swarm::{Download, DownloadLimits, DownloadOutcome, Event};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::debug;

use super::handle::{ControlCommand, DownloadControl};
use super::partial::UnfinishedFile;
use super::request::{DownloadProgress, DownloadRequest};
use super::sizes::FailedAttempt;
use super::target::disk_problem;
use super::transient_peer::{DownloadState, TransientPeer};
use crate::fs::piece_writer::PieceWriter;

/// The data that a power failure may lose: at most this many bytes...
const CHECKPOINT_BYTES: u64 = 256 << 20;
/// ...or this much time between two checkpoints.
const CHECKPOINT_TIME: Duration = Duration::from_secs(1);
/// The capacity of the channel from the watch on the swarm, which waits while it is full.
const FOUND_BUFFERED: usize = 4;

/// The result of running a download.
pub(crate) enum RunOutcome {
    Complete(Box<CompletedDownload>),
    Interrupted,
    Failed(FailedAttempt),
}

/// All pieces are verified and written.
pub(crate) struct CompletedDownload {
    pub(crate) partial: UnfinishedFile,
    pub(crate) received: u64,
    pub(crate) providers: Vec<PeerId>,
    pub(crate) first_verified: Option<Duration>,
    pub(crate) member: Option<TransientPeer>,
}

/// An event from a task.
pub(super) enum TaskEvent {
    Checkpoint(io::Result<()>),
    Member(Result<Box<TransientPeer>, Problem>),
    /// The watch on the swarm has ended.
    Watched,
}

pub(super) struct Engine<'a> {
    pub(super) fetch: &'a DownloadRequest,
    pub(super) partial: UnfinishedFile,
    pub(super) content: Arc<FileContent>,
    pub(super) transfer: Transfer<FileContent, PieceWriter>,
    started: Instant,
    pub(super) tasks: JoinSet<TaskEvent>,
    pub(super) member: Option<TransientPeer>,
    /// Providers that the watch on the swarm names.
    pub(super) found: mpsc::Sender<Vec<Provider>>,
    pub(super) outcome: Option<DownloadOutcome>,
    pub(super) received: u64,
    verified_bytes: u64,
    resumed: u64,
    pub(super) first_verified: Option<Duration>,
    corrupt: u64,
    /// Verified bytes that no checkpoint covers.
    unsynced: u64,
    last_checkpoint: Instant,
    checkpointing: bool,
    paused: bool,
}

/// Runs a download until it is complete, interrupted or failed. Verified pieces stay on disk.
///
/// # Errors
/// Returns `no_space` if the disk is full, and other disk errors.
pub(crate) async fn run(
    fetch: &DownloadRequest,
    partial: UnfinishedFile,
    started: Instant,
    progress: &watch::Sender<DownloadProgress>,
    control: &mut DownloadControl,
    limits: DownloadLimits,
) -> Result<RunOutcome, Problem> {
    let (found, mut incoming) = mpsc::channel(FOUND_BUFFERED);
    let geometry = partial.geometry();
    if fetch.storage.is_shared {
        partial.contents().compute_crc32(geometry.piece_count());
    }
    let verified = partial.verified().clone();
    let resumed = verified.iter().map(|index| geometry.piece_len(index)).sum();
    let content = Arc::new(FileContent::new(
        fetch.file.hash,
        geometry,
        partial.hashes(),
    ));
    let limit = fetch.download_limit.map(RateLimit::new);
    let config = TransferConfig {
        content: content.clone(),
        sink: partial.contents().clone(),
        plan: Download::new(geometry, verified, limits, seed()?),
        located: fetch.file.clone(),
        lookup: lookup(fetch),
        tls: fetch
            .authority
            .map(|pin| tls::peer_client_config(pin.0, &fetch.directory.clock())),
        limit: limit.map(Arc::new),
        locality: fetch.locality,
    };
    let mut engine = Engine {
        fetch,
        partial,
        content,
        transfer: Transfer::new(config),
        started,
        tasks: JoinSet::new(),
        member: None,
        found,
        outcome: None,
        received: 0,
        verified_bytes: resumed,
        resumed,
        first_verified: None,
        corrupt: 0,
        unsynced: 0,
        last_checkpoint: Instant::now(),
        checkpointing: false,
        paused: false,
    };
    let ran = engine.run(&mut incoming, progress, control).await;
    engine.end(ran).await
}

fn lookup(fetch: &DownloadRequest) -> ProviderLookup {
    let directory = fetch.directory.clone();
    let (hash, kind) = (fetch.file.hash, fetch.file.kind);
    let within = fetch.within.clone();
    Arc::new(move || -> LookupFuture {
        let (directory, within) = (directory.clone(), within.clone());
        Box::pin(async move { directory.locate_within(&hash, Some(kind), &within).await })
    })
}

/// Returns a random seed, so that each download has its own order of pieces.
fn seed() -> Result<u64, Problem> {
    Ok(u64::from_le_bytes(random::bytes()?))
}

impl Engine<'_> {
    async fn run(
        &mut self,
        incoming: &mut mpsc::Receiver<Vec<Provider>>,
        progress: &watch::Sender<DownloadProgress>,
        control: &mut DownloadControl,
    ) -> Result<(), Problem> {
        self.set_paused(control.is_paused());
        self.join_swarm();
        self.report(progress);
        while self.outcome.is_none() {
            tokio::select! {
                order = control.next_command() => match order {
                    ControlCommand::Pause(paused) => self.set_paused(paused),
                    ControlCommand::Cancel => self.transfer.apply(Event::Cancel),
                },
                happened = self.transfer.next() => self.handle(happened)?,
                Some(providers) = incoming.recv() => self.transfer.found(providers),
                Some(told) = self.tasks.join_next() => {
                    if let Ok(told) = told {
                        self.handle_told(told)?;
                    }
                }
            }
            self.checkpoint_if_due();
            self.report(progress);
        }
        Ok(())
    }

    /// Pauses or resumes, if that is a change. Connections are kept while paused: they cost
    /// providers almost nothing, and downloaded pieces are still provided.
    fn set_paused(&mut self, paused: bool) {
        if paused != self.paused {
            self.paused = paused;
            let event = if paused { Event::Pause } else { Event::Resume };
            self.transfer.apply(event);
        }
    }

    fn handle(&mut self, happened: TransferEvent) -> Result<(), Problem> {
        match happened {
            TransferEvent::Received(bytes) => self.received += bytes,
            TransferEvent::Verified(piece) => {
                self.first_verified
                    .get_or_insert_with(|| self.started.elapsed());
                let bytes = self.partial.geometry().piece_len(piece);
                self.verified_bytes += bytes;
                self.unsynced += bytes;
                self.share(piece);
            }
            TransferEvent::Corrupt(_) => self.corrupt += 1,
            TransferEvent::SinkFailed(error) => {
                return Err(disk_problem("write to", self.fetch.target.folder(), &error));
            }
            TransferEvent::Finished(outcome) => self.outcome = Some(outcome),
            TransferEvent::LookupFailed(_) | TransferEvent::Updated => {}
        }
        if self.partial.hashes().is_none()
            && let Some(hashes) = self.content.hashes()
        {
            self.partial.set_hashes(hashes.clone());
        }
        Ok(())
    }

    fn handle_told(&mut self, told: TaskEvent) -> Result<(), Problem> {
        match told {
            TaskEvent::Watched => {}
            TaskEvent::Member(Ok(member)) => {
                self.transfer.exclude(member.id().clone());
                self.member = Some(*member);
                self.provide_if_ready();
            }
            TaskEvent::Member(Err(problem)) => {
                debug!("cannot share the file while downloading it: {problem}")
            }
            TaskEvent::Checkpoint(done) => {
                self.checkpointing = false;
                self.last_checkpoint = Instant::now();
                done.map_err(|error| disk_problem("sync", self.fetch.target.folder(), &error))?;
            }
        }
        Ok(())
    }

    fn checkpoint_if_due(&mut self) {
        let due = self.unsynced >= CHECKPOINT_BYTES
            || (self.unsynced > 0 && self.last_checkpoint.elapsed() >= CHECKPOINT_TIME);
        if due && !self.checkpointing && self.outcome.is_none() {
            self.checkpointing = true;
            self.unsynced = 0;
            let job = self.partial.checkpoint(self.transfer.verified());
            self.tasks
                .spawn_blocking(move || TaskEvent::Checkpoint(job()));
        }
    }

    pub(super) fn update_counters(&mut self, goes_on: bool) {
        if let Some(member) = &mut self.member {
            member.record_state(DownloadState {
                held: self.verified_bytes,
                verified: self.verified_bytes.saturating_sub(self.resumed),
                received: self.received,
                corrupt: self.corrupt,
                goes_on,
            });
        }
    }

    fn report(&mut self, progress: &watch::Sender<DownloadProgress>) {
        self.update_counters(true);
        let now = DownloadProgress {
            verified: self.verified_bytes,
            resumed: self.resumed,
            size: self.partial.geometry().file_size(),
            providers: self.transfer.ready(),
            paused: self.paused,
            kept: None,
        };
        progress.send_if_modified(|last| {
            let changed = *last != now;
            *last = now;
            changed
        });
    }
}
