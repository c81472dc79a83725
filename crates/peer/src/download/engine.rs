//! The shell around the plan of one download: its tasks, its timer, its checkpoints.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use convite_core::model::{LocatedFile, Provider};
use convite_core::{ErrorCode, PeerId, PieceHashes, Problem};
use convite_net::tls;
use convite_swarm::{Action, Download, Event, Failure, Limits, Outcome, ProviderId, RequestId};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tracing::debug;

use super::availability;
use super::connection::{self, Connection};
use super::handle::{Control, Order};
use super::limit::RateLimit;
use super::member::{Member, SoFar};
use super::partial::Partial;
use super::place::disk_problem;
use super::receive::{News, Receive};
use super::{Fetch, Progress};

/// What may be lost to a power cut: at most so many bytes...
const CHECKPOINT_BYTES: u64 = 256 << 20;
/// ...or so much time are between two checkpoints.
const CHECKPOINT_TIME: Duration = Duration::from_secs(1);
/// News on their way from the receiving tasks; they wait when it is full.
const NEWS: usize = 64;

/// How a run of a download ended.
pub(crate) enum Ended {
    Complete(Box<Complete>),
    Interrupted,
    Failed {
        outcome: Outcome,
        /// Whether its last piece is verified, which proves its size.
        is_proven: bool,
    },
}

/// Everything is verified and written.
pub(crate) struct Complete {
    pub(crate) partial: Partial,
    pub(crate) received: u64,
    pub(crate) providers: Vec<PeerId>,
    pub(crate) first_verified: Option<Duration>,
    pub(crate) member: Option<Member>,
}

/// What tasks other than receiving ones tell.
pub(super) enum Told {
    Dialled(ProviderId, Result<Dialled, Failure>),
    Located(Result<LocatedFile, Problem>),
    Checkpoint(io::Result<()>),
    Member(Result<Box<Member>, Problem>),
    /// The watch on the swarm ended.
    Watched,
}

/// A provider that answered, and whose piece hashes are verified.
pub(super) struct Dialled {
    connection: Connection,
    hashes: Arc<PieceHashes>,
    /// How long it took to connect.
    delay: Duration,
}

/// A provider as the shell knows it.
pub(super) struct Known {
    pub(super) provider: Provider,
    connection: Option<Connection>,
    /// The task that follows what it holds.
    following: Option<AbortHandle>,
    pub(super) sent_verified: bool,
}

impl Known {
    pub(super) fn new(provider: Provider) -> Self {
        Self {
            provider,
            connection: None,
            following: None,
            sent_verified: false,
        }
    }
}

pub(super) struct Engine<'a> {
    pub(super) fetch: &'a Fetch,
    pub(super) partial: Partial,
    pub(super) plan: Download,
    started: Instant,
    /// When this run of the plan began: of several sizes each has a plan of its own.
    began: Instant,
    tls: Option<Arc<rustls::ClientConfig>>,
    pub(super) hashes: Option<Arc<PieceHashes>>,
    just_located: Option<LocatedFile>,
    pub(super) known: Vec<Known>,
    receiving: BTreeMap<RequestId, (ProviderId, AbortHandle)>,
    pub(super) tasks: JoinSet<Told>,
    pub(super) receivers: JoinSet<()>,
    limit: Option<Arc<RateLimit>>,
    pub(super) member: Option<Member>,
    pub(super) news: mpsc::Sender<News>,
    pub(super) outcome: Option<Outcome>,
    pub(super) received: u64,
    verified_bytes: u64,
    resumed: u64,
    pub(super) first_verified: Option<Duration>,
    corrupt: u64,
    /// Bytes verified that no checkpoint covers.
    unsynced: u64,
    last_checkpoint: Instant,
    checkpointing: bool,
    paused: bool,
}

/// Runs a download until it is complete, interrupted or hopeless. What was verified stays on disk.
///
/// # Errors
/// `no_space` and other failures of the disk.
pub(crate) async fn run(
    fetch: &Fetch,
    partial: Partial,
    started: Instant,
    progress: &watch::Sender<Progress>,
    control: &mut Control,
    limits: Limits,
) -> Result<Ended, Problem> {
    let (news, mut incoming) = mpsc::channel(NEWS);
    let geometry = partial.geometry();
    let verified = partial.verified().clone();
    let resumed = verified.iter().map(|index| geometry.piece_len(index)).sum();
    let mut engine = Engine {
        fetch,
        tls: fetch.authority.map(|pin| tls::client_config_either(pin.0)),
        hashes: partial.hashes(),
        just_located: Some(fetch.file.clone()),
        plan: Download::new(geometry, verified, limits, seed()?),
        partial,
        started,
        began: Instant::now(),
        known: Vec::new(),
        receiving: BTreeMap::new(),
        tasks: JoinSet::new(),
        receivers: JoinSet::new(),
        limit: fetch
            .download_limit
            .map(|rate| Arc::new(RateLimit::new(rate))),
        member: None,
        news,
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

/// What makes this download's order of pieces its own.
fn seed() -> Result<u64, Problem> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|e| Problem::new(ErrorCode::Internal, format!("no randomness: {e}")))?;
    Ok(u64::from_le_bytes(bytes))
}

impl Engine<'_> {
    async fn run(
        &mut self,
        incoming: &mut mpsc::Receiver<News>,
        progress: &watch::Sender<Progress>,
        control: &mut Control,
    ) -> Result<(), Problem> {
        self.heed(control.is_paused());
        self.tell(Event::Tick);
        self.join_swarm();
        self.report(progress);
        while self.outcome.is_none() {
            let deadline = self.plan.next_deadline().map(|at| self.began + at);
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = control.order() => match order {
                    Order::Pause(paused) => self.heed(paused),
                    Order::Cancel => self.tell(Event::Cancel),
                },
                Some(news) = incoming.recv() => self.handle_news(news)?,
                Some(told) = self.tasks.join_next() => {
                    if let Ok(told) = told {
                        self.handle_told(told)?;
                    }
                }
                // Reaped, lest the tasks of a large file pile up.
                Some(_) = self.receivers.join_next() => continue,
                () = timer => self.tell(Event::Tick),
            }
            self.checkpoint_if_due();
            self.report(progress);
        }
        Ok(())
    }

    /// Pauses or goes on, if that is not so already. Connections are kept while it is paused: they
    /// cost their providers next to nothing, and what is fetched is provided on.
    fn heed(&mut self, paused: bool) {
        if paused != self.paused {
            self.paused = paused;
            self.tell(if paused { Event::Pause } else { Event::Resume });
        }
    }

    pub(super) fn tell(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.plan.handle(self.began.elapsed(), event, &mut actions);
        for action in actions {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Dial(id) => self.dial(id),
            Action::Request {
                provider,
                request,
                pieces,
            } => {
                let Some(connection) = self.known[provider as usize].connection.clone() else {
                    return;
                };
                let Some(hashes) = self.hashes.clone() else {
                    return;
                };
                let receive = Receive {
                    request,
                    pieces,
                    connection,
                    hash: self.fetch.file.hash,
                    hashes,
                    contents: self.partial.contents().clone(),
                    limit: self.limit.clone(),
                    news: self.news.clone(),
                };
                let task = self.receivers.spawn(receive.run());
                self.receiving.insert(request, (provider, task));
            }
            Action::Cancel(request) => {
                if let Some((_, task)) = self.receiving.remove(&request) {
                    task.abort();
                }
            }
            Action::HangUp(id) => self.disconnect(id),
            Action::Ban(id) => {
                let peer = &self.known[id as usize].provider.peer;
                tracing::warn!(%peer, "the provider sent wrong bytes: it is asked no more");
                self.disconnect(id);
            }
            Action::Locate => {
                // The file was located just before: that answer is as good as a new one.
                if let Some(file) = self.just_located.take() {
                    self.tasks.spawn(async move { Told::Located(Ok(file)) });
                    return;
                }
                let directory = self.fetch.directory.clone();
                let (hash, within) = (self.fetch.file.hash, self.fetch.within.clone());
                self.tasks.spawn(async move {
                    Told::Located(directory.locate_within(&hash, &within).await)
                });
            }
            Action::Finish(outcome) => self.outcome = Some(outcome),
        }
    }

    fn dial(&mut self, id: ProviderId) {
        self.disconnect(id);
        let provider = self.known[id as usize].provider.clone();
        let (tls, hashes) = (self.tls.clone(), self.hashes.clone());
        let (hash, geometry) = (self.fetch.file.hash, self.partial.geometry());
        self.tasks.spawn(async move {
            let dialled = async {
                let began = Instant::now();
                let connection =
                    connection::dial(&provider, tls.as_ref())
                        .await
                        .map_err(|problem| {
                            debug!(peer = %provider.peer, "cannot dial: {problem}");
                            Failure::Unreachable
                        })?;
                let delay = began.elapsed();
                let hashes = match hashes {
                    Some(hashes) => hashes,
                    None => connection::piece_hashes(&connection, hash, geometry)
                        .await
                        .map(Arc::new)?,
                };
                Ok(Dialled {
                    connection,
                    hashes,
                    delay,
                })
            };
            Told::Dialled(id, dialled.await)
        });
    }

    fn disconnect(&mut self, id: ProviderId) {
        let known = &mut self.known[id as usize];
        known.connection = None;
        if let Some(following) = known.following.take() {
            following.abort();
        }
        self.receiving.retain(|_, (provider, task)| {
            if *provider == id {
                task.abort();
            }
            *provider != id
        });
    }

    fn handle_told(&mut self, told: Told) -> Result<(), Problem> {
        match told {
            Told::Dialled(id, Ok(dialled)) => {
                self.note_delay(id, dialled.delay);
                let Dialled {
                    connection, hashes, ..
                } = dialled;
                let is_partial = self.known[id as usize].provider.partial;
                let following = self.receivers.spawn(availability::follow(
                    id,
                    connection.clone(),
                    self.fetch.file.hash,
                    self.partial.geometry().piece_count(),
                    is_partial,
                    self.news.clone(),
                ));
                let known = &mut self.known[id as usize];
                known.connection = Some(connection);
                known.following = Some(following);
                if self.hashes.is_none() {
                    self.partial.keep_hashes(&hashes);
                    self.hashes = Some(hashes);
                }
                self.tell(Event::Ready(id));
            }
            Told::Dialled(id, Err(failure)) => self.tell(Event::Lost(id, failure)),
            Told::Located(answer) => self.located(answer),
            Told::Watched => {}
            Told::Member(Ok(member)) => {
                self.member = Some(*member);
                self.provide_if_ready();
            }
            Told::Member(Err(problem)) => debug!("provides nothing while it fetches: {problem}"),
            Told::Checkpoint(done) => {
                self.checkpointing = false;
                self.last_checkpoint = Instant::now();
                done.map_err(|error| disk_problem("sync", self.fetch.target.folder(), &error))?;
            }
        }
        Ok(())
    }

    fn handle_news(&mut self, news: News) -> Result<(), Problem> {
        match news {
            News::Disk(error) => {
                return Err(disk_problem("write to", self.fetch.target.folder(), &error));
            }
            News::Providers(providers) => self.found(providers),
            News::Gone(id, failure) => {
                if self.known[id as usize].connection.is_some() {
                    self.disconnect(id);
                    self.tell(Event::Lost(id, failure));
                }
            }
            News::Broken(request, failure) => {
                // Not if it was cancelled meanwhile.
                if let Some((id, _)) = self.receiving.remove(&request) {
                    self.disconnect(id);
                    self.tell(Event::Lost(id, failure));
                }
            }
            News::Plan(event) => {
                match &event {
                    Event::Received(_, bytes) => self.received += bytes,
                    Event::Verified(request, piece) => self.note_verified(*request, *piece),
                    Event::Corrupt(..) => self.corrupt += 1,
                    Event::Ended(request) => {
                        self.receiving.remove(request);
                    }
                    _ => {}
                }
                let verified = match event {
                    Event::Verified(_, piece) => Some(piece),
                    _ => None,
                };
                self.tell(event);
                if let Some(piece) = verified {
                    self.share(piece);
                }
            }
        }
        Ok(())
    }

    fn note_verified(&mut self, request: RequestId, piece: u32) {
        // It is there also if its request was cancelled since.
        if let Some((id, _)) = self.receiving.get(&request) {
            self.known[*id as usize].sent_verified = true;
        }
        self.first_verified
            .get_or_insert_with(|| self.started.elapsed());
        if !self.plan.verified().contains(piece) {
            let bytes = self.partial.geometry().piece_len(piece);
            self.verified_bytes += bytes;
            self.unsynced += bytes;
        }
    }

    fn checkpoint_if_due(&mut self) {
        let due = self.unsynced >= CHECKPOINT_BYTES
            || (self.unsynced > 0 && self.last_checkpoint.elapsed() >= CHECKPOINT_TIME);
        if due && !self.checkpointing && self.outcome.is_none() {
            self.checkpointing = true;
            self.unsynced = 0;
            let job = self.partial.checkpoint(self.plan.verified());
            self.tasks.spawn_blocking(move || Told::Checkpoint(job()));
        }
    }

    pub(super) fn count(&mut self, goes_on: bool) {
        if let Some(member) = &mut self.member {
            member.count(SoFar {
                held: self.verified_bytes,
                verified: self.verified_bytes.saturating_sub(self.resumed),
                received: self.received,
                corrupt: self.corrupt,
                goes_on,
            });
        }
    }

    fn report(&mut self, progress: &watch::Sender<Progress>) {
        self.count(true);
        let now = Progress {
            verified: self.verified_bytes,
            resumed: self.resumed,
            size: self.partial.geometry().file_size(),
            providers: self.plan.ready(),
            paused: self.paused,
        };
        progress.send_if_modified(|last| {
            let changed = *last != now;
            *last = now;
            changed
        });
    }
}
