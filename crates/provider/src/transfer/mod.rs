//! The execution of a plan ([`Download`]): the tasks and the timer of a transfer.
//!
//! The tasks dial providers, follow their pieces, and receive the pieces of one request each. They
//! send their events to the transfer, which passes them to the plan and executes its actions. The
//! tasks end with the transfer.

mod providers;

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use convite_core::model::LocatedFile;
use convite_core::{PeerId, PieceIndex, Problem};
use convite_swarm::{Action, Download, DownloadOutcome, Event, PieceSet, ProviderId, RequestId};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{Instrument, debug, warn};

use crate::content::Content;
use crate::pieces::PieceRequest;
use crate::rate_limit::RateLimit;
use crate::report::report_piece;
use crate::sink::PieceSink;
use crate::task_event::TaskEvent;
use providers::ProviderRecord;

/// The capacity of the channel from the tasks, which wait while it is full.
const EVENTS_BUFFERED: usize = 64;
/// How long an ending transfer waits until its reports of wrong pieces are sent.
const REPORTS_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the directory for the providers of a content, with tickets.
pub type ProviderLookup = Arc<dyn Fn() -> LookupFuture + Send + Sync>;
/// The result of [`ProviderLookup`].
pub type LookupFuture = Pin<Box<dyn Future<Output = Result<LocatedFile, Problem>> + Send>>;

/// The parameters of a transfer.
pub struct TransferConfig<C, S> {
    /// What is received.
    pub content: Arc<C>,
    /// Where verified pieces are written.
    pub sink: Arc<S>,
    /// The plan, before its first event.
    pub plan: Download,
    /// The last answer of the directory: the result of the first query.
    pub located: LocatedFile,
    /// The further queries.
    pub lookup: ProviderLookup,
    /// Verifies the certificates of providers; `None` for plaintext.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The rate limit, shared with other transfers if they have the same.
    pub limit: Option<Arc<RateLimit>>,
    /// Whether near providers are preferred.
    pub locality: bool,
}

/// What happened to a transfer.
#[derive(Debug)]
pub enum TransferEvent {
    /// This number of bytes was received, verified or not.
    Received(u64),
    /// A piece was verified and written, for the first time.
    Verified(PieceIndex),
    /// A piece did not match its hash. It will be requested from another provider.
    Corrupt(PieceIndex),
    /// Writing a piece failed. The transfer should be stopped.
    SinkFailed(io::Error),
    /// A query to the directory failed. It is repeated later.
    LookupFailed(Problem),
    /// The transfer has ended.
    Finished(DownloadOutcome),
    /// The state of the providers may have changed.
    Updated,
}

/// A running transfer. If it is dropped, its tasks end, except for writes in progress.
pub struct Transfer<C, S> {
    config: TransferConfig<C, S>,
    located: Option<LocatedFile>,
    began: Instant,
    /// The peer of this process, which is not used as a provider.
    myself: Option<PeerId>,
    providers: Vec<ProviderRecord>,
    receiving: BTreeMap<RequestId, (ProviderId, AbortHandle)>,
    tasks: JoinSet<()>,
    /// Reports of wrong pieces. They are sent even if the transfer ends.
    reports: JoinSet<()>,
    events: mpsc::Sender<TaskEvent>,
    incoming: mpsc::Receiver<TaskEvent>,
    outcome: Option<DownloadOutcome>,
}

impl<C: Content, S: PieceSink> Transfer<C, S> {
    /// Creates a transfer. It runs while [`Self::next`] is polled.
    pub fn new(config: TransferConfig<C, S>) -> Self {
        let (events, incoming) = mpsc::channel(EVENTS_BUFFERED);
        Self {
            located: Some(config.located.clone()),
            config,
            began: Instant::now(),
            myself: None,
            providers: Vec::new(),
            receiving: BTreeMap::new(),
            tasks: JoinSet::new(),
            reports: JoinSet::new(),
            events,
            incoming,
            outcome: None,
        }
    }

    /// Returns the verified pieces.
    pub fn verified(&self) -> &PieceSet {
        self.config.plan.verified()
    }

    /// Returns the number of providers that can be sent requests now.
    pub fn ready(&self) -> usize {
        self.config.plan.ready()
    }

    /// Waits for the next event. Returns [`TransferEvent::Finished`] again after the end. It is
    /// cancel safe.
    pub async fn next(&mut self) -> TransferEvent {
        loop {
            if let Some(outcome) = self.outcome {
                return TransferEvent::Finished(outcome);
            }
            let deadline = self.config.plan.next_deadline().map(|at| self.began + at);
            let timer = async {
                match deadline {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(event) = self.incoming.recv() => return self.handle(event),
                // Collects finished tasks, so that they do not accumulate.
                Some(_) = self.tasks.join_next() => {}
                () = timer => {
                    self.apply(Event::Tick);
                    return TransferEvent::Updated;
                }
            }
        }
    }

    /// Passes an event of the caller to the plan.
    pub fn apply(&mut self, event: Event) {
        let mut actions = Vec::new();
        let now = self.began.elapsed();
        self.config.plan.handle(now, event, &mut actions);
        for action in actions {
            self.execute(action);
        }
    }

    /// Ends all tasks, and waits until they have ended and reports of wrong pieces are sent. Writes
    /// in progress continue.
    pub async fn stop(&mut self) {
        self.tasks.shutdown().await;
        let sent = async { while self.reports.join_next().await.is_some() {} };
        if timeout(REPORTS_TIMEOUT, sent).await.is_err() {
            debug!("a source did not accept a report in time");
        }
    }

    fn execute(&mut self, action: Action) {
        match action {
            Action::Dial(id) => self.dial(id),
            Action::Request {
                provider,
                request,
                pieces,
            } => {
                let Some(connection) = self.providers[provider as usize].connection.clone() else {
                    return;
                };
                let receive = PieceRequest {
                    request,
                    pieces,
                    content: self.config.content.clone(),
                    sink: self.config.sink.clone(),
                    limit: self.config.limit.clone(),
                    events: self.events.clone(),
                };
                let task = self.spawn(receive.run(connection));
                self.receiving.insert(request, (provider, task));
            }
            Action::Cancel(request) => {
                if let Some((_, task)) = self.receiving.remove(&request) {
                    task.abort();
                }
            }
            Action::Disconnect(id) => self.disconnect(id),
            Action::Ban(id) => {
                let peer = &self.providers[id as usize].provider.peer;
                warn!(%peer, "a source sent wrong data and is not used again");
                self.disconnect(id);
            }
            Action::Locate => self.locate(),
            Action::Finish(outcome) => self.outcome = Some(outcome),
        }
    }

    /// Starts a task of the transfer. Its requests belong to the trace of the transfer's user.
    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.tasks.spawn(task.in_current_span())
    }

    fn locate(&mut self) {
        // The content was located just before, so that result is used.
        let located = self.located.take();
        let (lookup, events) = (self.config.lookup.clone(), self.events.clone());
        self.spawn(async move {
            let answer = match located {
                Some(file) => Ok(file),
                None => lookup().await,
            };
            // The send fails if the transfer has ended.
            let _ = events.send(TaskEvent::Located(answer)).await;
        });
    }

    fn handle(&mut self, event: TaskEvent) -> TransferEvent {
        match event {
            TaskEvent::Plan(event) => return self.handle_plan(event),
            TaskEvent::Dialled(id, Ok(dialled)) => self.connected(id, dialled),
            TaskEvent::Dialled(id, Err(loss)) => self.lost(id, loss),
            TaskEvent::Located(answer) => {
                if let Err(problem) = self.handle_located(answer) {
                    return TransferEvent::LookupFailed(problem);
                }
            }
            TaskEvent::Broken(request, loss) => {
                // The request may have been cancelled meanwhile.
                if let Some((id, _)) = self.receiving.remove(&request) {
                    self.disconnect(id);
                    self.lost(id, loss);
                }
            }
            TaskEvent::SinkFailed(error) => return TransferEvent::SinkFailed(error),
            TaskEvent::Gone(id, loss) => {
                if self.providers[id as usize].connection.is_some() {
                    self.disconnect(id);
                    self.lost(id, loss);
                }
            }
        }
        TransferEvent::Updated
    }

    fn handle_plan(&mut self, event: Event) -> TransferEvent {
        // Written before the reader's window moved away from it. If the window has returned since,
        // the plan must not take the piece for verified.
        if let Event::Verified(_, piece) = &event
            && !self.config.sink.holds(*piece)
        {
            return TransferEvent::Updated;
        }
        let happened = match &event {
            Event::Received(_, bytes) => TransferEvent::Received(*bytes),
            Event::Verified(request, piece) => {
                // The piece counts even if its request was cancelled meanwhile.
                if let Some((id, _)) = self.receiving.get(request) {
                    self.providers[*id as usize].sent_verified();
                }
                if self.verified().contains(*piece) {
                    TransferEvent::Updated
                } else {
                    TransferEvent::Verified(*piece)
                }
            }
            Event::Corrupt(request, piece) => {
                self.report_wrong(*request, *piece);
                TransferEvent::Corrupt(*piece)
            }
            Event::Ended(request) => {
                self.receiving.remove(request);
                TransferEvent::Updated
            }
            _ => TransferEvent::Updated,
        };
        self.apply(event);
        happened
    }

    /// Reports a wrong piece to its sender.
    fn report_wrong(&mut self, request: RequestId, piece: PieceIndex) {
        let sender = self.receiving.get(&request).map(|(id, _)| *id);
        let connection = sender.and_then(|id| self.providers[id as usize].connection.clone());
        if let Some(connection) = connection {
            let hash = self.config.content.hash();
            let report = report_piece(connection, hash, piece);
            self.reports.spawn(report.in_current_span());
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use convite_core::{ContentHash, EntryKind, PieceGeometry};
    use convite_swarm::DownloadLimits;

    use super::*;
    use crate::content::FileContent;
    use crate::sink::{PieceBuffer, PieceWrite};

    /// A sink that has dropped all pieces except one.
    struct KeepsOne(PieceIndex);

    impl PieceBuffer for () {
        fn push(&mut self, _: Bytes) {}
    }

    impl PieceSink for KeepsOne {
        type Buffer = ();

        fn buffer(&self, _: &std::ops::Range<u64>) {}

        async fn write(self: Arc<Self>, _: PieceIndex, (): ()) -> PieceWrite {
            PieceWrite::Done(Ok(()))
        }

        fn holds(&self, piece: PieceIndex) -> bool {
            piece == self.0
        }
    }

    #[tokio::test]
    async fn a_piece_that_its_sink_has_dropped_is_not_verified() {
        let geometry = PieceGeometry::new(1 << 20).unwrap();
        let hash = ContentHash::of(b"x");
        let located = LocatedFile {
            hash,
            kind: EntryKind::File,
            files: None,
            size: geometry.file_size(),
            names: Vec::new(),
            providers: Vec::new(),
        };
        let none = PieceSet::empty(geometry.piece_count());
        let mut transfer = Transfer::new(TransferConfig {
            content: Arc::new(FileContent::new(hash, geometry, None)),
            sink: Arc::new(KeepsOne(3)),
            plan: Download::new(geometry, none, DownloadLimits::default(), 1),
            located,
            lookup: Arc::new(|| Box::pin(std::future::pending())),
            tls: None,
            limit: None,
            locality: false,
        });
        transfer.apply(Event::Window(0..8));
        for piece in [2, 3] {
            // From a request that was cancelled.
            transfer.handle(TaskEvent::Plan(Event::Verified(9, piece)));
        }
        let verified: Vec<_> = transfer.verified().iter().collect();
        assert_eq!(verified, [3]);
    }
}
