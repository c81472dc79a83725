//! The transfer of the missing pieces of a folder.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use convite_core::model::{LocatedFile, Provider};
use convite_core::{ErrorCode, PeerId, Problem};
use convite_net::{random, task};
use convite_provider::{
    FolderContent, LookupFuture, ProviderLookup, RateLimit, Transfer, TransferConfig,
    TransferEvent, no_provider_left,
};
use convite_swarm::{Download, DownloadLimits, DownloadOutcome};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::StreamExt;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::manifests::all_dishonest;
use super::request::{FolderProgress, FolderRequest};
use super::sink::FolderSink;
use crate::folder_target::{Batch, FolderTarget};

/// A batch is placed when it has this many bytes...
const BATCH_BYTES: u64 = 256 << 20;
/// ...or after this time.
const BATCH_TIME: Duration = Duration::from_secs(3);
/// The capacity of the channel from the watch on the swarm, which waits while it is full.
const FOUND_BUFFERED: usize = 4;

/// What was received.
pub(super) struct Received {
    pub(super) bytes: u64,
    pub(super) providers: Vec<PeerId>,
    /// Whether all pieces are here. Otherwise the download was interrupted.
    pub(super) is_complete: bool,
}

/// A download whose manifests are known and whose target is open.
pub(super) struct Fetching<'a> {
    pub(super) request: &'a FolderRequest,
    pub(super) target: Arc<FolderTarget>,
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    /// Providers that are not used.
    pub(super) dishonest: Arc<BTreeSet<PeerId>>,
    pub(super) progress: &'a watch::Sender<FolderProgress>,
}

impl Fetching<'_> {
    /// Receives all missing pieces, or those that arrive before `interrupt`. Complete files have their
    /// names afterwards, also after an error.
    ///
    /// # Errors
    /// Returns `no_space` if the disk is full, other disk errors, and why no provider is left.
    pub(super) async fn run(&self, interrupt: &CancellationToken) -> Result<Received, Problem> {
        let mut running = Running::start(self)?;
        let ran = running.run(interrupt).await;
        let stopped = running.stop().await;
        ran.and_then(|outcome| stopped.map(|()| outcome))
            .and_then(|outcome| running.received(outcome))
    }

    fn located(&self) -> LocatedFile {
        trusted(self.request.folder.clone(), &self.dishonest)
    }

    fn lookup(&self) -> ProviderLookup {
        let directory = self.request.directory.clone();
        let (hash, kind) = (self.request.folder.hash, self.request.folder.kind);
        let within = self.request.within.clone();
        let dishonest = self.dishonest.clone();
        Arc::new(move || -> LookupFuture {
            let (directory, within) = (directory.clone(), within.clone());
            let dishonest = dishonest.clone();
            Box::pin(async move {
                let located = directory.locate_within(&hash, Some(kind), &within).await?;
                Ok(trusted(located, &dishonest))
            })
        })
    }

    /// Watches the swarm for new providers.
    fn watch(&self, found: mpsc::Sender<Vec<Provider>>) -> AbortOnDropHandle<()> {
        let directory = self.request.directory.clone();
        let (hash, kind) = (self.request.folder.hash, self.request.folder.kind);
        let (within, dishonest) = (self.request.within.clone(), self.dishonest.clone());
        AbortOnDropHandle::new(task::spawn("folder-watch", async move {
            // Without the watch, the directory is asked periodically.
            if let Ok(mut changes) = directory.watch(&hash, kind, &within).await {
                while let Some(Ok(mut providers)) = changes.next().await {
                    providers.retain(|provider| !dishonest.contains(&provider.peer));
                    if found.send(providers).await.is_err() {
                        break;
                    }
                }
            }
        }))
    }
}

fn trusted(mut located: LocatedFile, dishonest: &BTreeSet<PeerId>) -> LocatedFile {
    located
        .providers
        .retain(|provider| !dishonest.contains(&provider.peer));
    located
}

/// A running transfer.
struct Running<'a> {
    fetching: &'a Fetching<'a>,
    transfer: Transfer<FolderContent, FolderSink>,
    sink: Arc<FolderSink>,
    received: u64,
    /// Verified bytes since the last batch.
    unplaced: u64,
    last_batch: Instant,
    /// The batch that is being placed.
    placing: Option<JoinHandle<io::Result<()>>>,
    _watching: AbortOnDropHandle<()>,
    incoming: mpsc::Receiver<Vec<Provider>>,
}

impl<'a> Running<'a> {
    fn start(fetching: &'a Fetching<'a>) -> Result<Self, Problem> {
        let (request, target) = (fetching.request, &fetching.target);
        let folder = target.folder();
        let layout = folder
            .pieces
            .layout()
            .ok_or_else(|| Problem::new(ErrorCode::TooLarge, "the folder is too large"))?;
        let storing = target.clone();
        let content = FolderContent::new(
            folder.tree.clone(),
            folder.pieces.clone(),
            move |file, hashes| storing.store_hashes(file, hashes),
        );
        let sink = Arc::new(FolderSink::new(target.clone()));
        let (found, incoming) = mpsc::channel(FOUND_BUFFERED);
        let seed = u64::from_le_bytes(random::bytes()?);
        let limits = DownloadLimits::default();
        let transfer = Transfer::new(TransferConfig {
            content: Arc::new(content),
            sink: sink.clone(),
            plan: Download::new(layout, target.verified().clone(), limits, seed),
            located: fetching.located(),
            lookup: fetching.lookup(),
            tls: fetching.tls.clone(),
            limit: request.download_limit.map(RateLimit::new).map(Arc::new),
            locality: request.locality,
        });
        Ok(Self {
            fetching,
            transfer,
            sink,
            received: 0,
            unplaced: 0,
            last_batch: Instant::now(),
            placing: None,
            _watching: fetching.watch(found),
            incoming,
        })
    }

    async fn run(&mut self, interrupt: &CancellationToken) -> Result<DownloadOutcome, Problem> {
        loop {
            self.report();
            tokio::select! {
                () = interrupt.cancelled() => return Ok(DownloadOutcome::Cancelled),
                event = self.transfer.next() => {
                    if let Some(outcome) = self.handle(event)? {
                        return Ok(outcome);
                    }
                }
                Some(providers) = self.incoming.recv() => self.transfer.found(providers),
                placed = placed(&mut self.placing) => {
                    self.placing = None;
                    self.last_batch = Instant::now();
                    placed.map_err(|error| self.disk_problem(&error))?;
                }
            }
            self.place_if_due();
        }
    }

    fn handle(&mut self, event: TransferEvent) -> Result<Option<DownloadOutcome>, Problem> {
        match event {
            TransferEvent::Received(bytes) => self.received += bytes,
            TransferEvent::Verified(piece) => {
                self.unplaced += self.fetching.target.folder().pieces.piece_len(piece);
            }
            TransferEvent::SinkFailed(error) => return Err(self.disk_problem(&error)),
            TransferEvent::Finished(outcome) => return Ok(Some(outcome)),
            TransferEvent::Corrupt(_) | TransferEvent::LookupFailed(_) | TransferEvent::Updated => {
            }
        }
        Ok(None)
    }

    fn place_if_due(&mut self) {
        let due = self.unplaced >= BATCH_BYTES
            || (self.unplaced > 0 && self.last_batch.elapsed() >= BATCH_TIME);
        if due && self.placing.is_none() {
            self.unplaced = 0;
            let target = self.fetching.target.clone();
            self.placing = Some(task::start_blocking(move || {
                target.place_written(Batch::Next)
            }));
        }
    }

    /// Ends all tasks and writes, and gives complete files their names.
    async fn stop(&mut self) -> Result<(), Problem> {
        self.transfer.stop().await;
        self.sink.wait_idle().await;
        let before = match self.placing.take() {
            Some(placing) => placed(&mut Some(placing)).await,
            None => Ok(()),
        };
        let target = self.fetching.target.clone();
        let last = task::start_blocking(move || target.place_written(Batch::Last));
        let last = placed(&mut Some(last)).await;
        self.report();
        before.and(last).map_err(|error| self.disk_problem(&error))
    }

    fn received(&self, outcome: DownloadOutcome) -> Result<Received, Problem> {
        match outcome {
            DownloadOutcome::NoProviders => Err(no_provider_left(&self.transfer.losses())),
            DownloadOutcome::AllDishonest => Err(all_dishonest(&self.fetching.request.folder.hash)),
            DownloadOutcome::Complete | DownloadOutcome::Cancelled => Ok(Received {
                bytes: self.received,
                providers: self.transfer.senders(),
                is_complete: outcome == DownloadOutcome::Complete,
            }),
        }
    }

    fn disk_problem(&self, error: &io::Error) -> Problem {
        super::run::arrival_problem(self.fetching.target.path(), error)
    }

    fn report(&self) {
        let target = &self.fetching.target;
        let (files_total, size) = target.totals();
        let now = FolderProgress {
            bytes: target.bytes_done(),
            resumed: target.bytes_before(),
            size,
            files: target.files_done(),
            files_total,
            providers: self.transfer.ready(),
        };
        self.fetching.progress.send_if_modified(|last| {
            let changed = *last != now;
            *last = now;
            changed
        });
    }
}

/// Waits for the end of a batch; forever, if there is none. Cancel safe.
async fn placed(placing: &mut Option<JoinHandle<io::Result<()>>>) -> io::Result<()> {
    match placing {
        Some(placing) => placing
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error))),
        None => std::future::pending().await,
    }
}
