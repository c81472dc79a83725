//! The virtual network: each provider answers its requests in order, at its rate.

mod behaviour;
mod reading;
mod rng;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;

use convite_core::{PieceGeometry, PieceLayout};
use convite_swarm::{
    Action, Download, DownloadLimits, DownloadOutcome, Event, PieceSet, ProviderFailure,
    ProviderId, RequestId,
};

pub use behaviour::Behaviour;
use reading::Reader;
pub use reading::ReaderPlan;
pub use rng::Rng;

/// The interval at which received bytes are reported to a reader's download.
const CHUNK: Duration = Duration::from_millis(50);

pub struct Scenario {
    pub layout: PieceLayout,
    pub behaviours: Vec<Behaviour>,
    pub limits: DownloadLimits,
    /// The reader, if the pieces are needed in order.
    pub reader: Option<ReaderPlan>,
    /// The directory does not answer before this time.
    pub directory_away: Duration,
    /// The directory does not answer from this time on.
    pub directory_leaves: Option<Duration>,
    /// Whether about half of the pieces are already verified.
    pub resume: bool,
    /// Begin and end of a pause.
    pub paused: Option<(Duration, Duration)>,
    /// Time of cancellation.
    pub cancelled: Option<Duration>,
}

impl Scenario {
    /// Creates a download of a file of `size` bytes.
    pub fn new(size: u64, behaviours: Vec<Behaviour>) -> Self {
        Self::of(PieceGeometry::new(size).unwrap().into(), behaviours)
    }

    pub fn of(layout: PieceLayout, behaviours: Vec<Behaviour>) -> Self {
        Self {
            layout,
            behaviours,
            limits: DownloadLimits::default(),
            reader: None,
            directory_away: Duration::ZERO,
            directory_leaves: None,
            resume: false,
            paused: None,
            cancelled: None,
        }
    }
}

pub struct Report {
    pub outcome: DownloadOutcome,
    pub took: Duration,
    pub bytes_received: u64,
    pub banned: Vec<ProviderId>,
    /// The providers that sent a wrong piece.
    pub lied: BTreeSet<ProviderId>,
    /// The number of requests.
    pub requests: u32,
    /// How long the reader waited each time.
    pub waits: Vec<Duration>,
}

impl Report {
    /// Checks that the download completed within `factor` times `bound` plus `slack`, in seconds.
    #[track_caller]
    pub fn completes_near(&self, bound: f64, factor: f64, slack: f64) {
        assert_eq!(self.outcome, DownloadOutcome::Complete);
        let took = self.took.as_secs_f64();
        assert!(
            took <= bound * factor + slack,
            "took {took} s, the bound is {bound} s"
        );
    }

    #[track_caller]
    pub fn received_at_most(&self, bytes: u64) {
        let received = self.bytes_received;
        assert!(received <= bytes, "{received} bytes were received");
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Tick,
    Answer,
    Dialled(ProviderId, u32),
    /// The next queued piece of a provider was received on this connection.
    Piece(ProviderId, u32),
    Breaks(ProviderId),
    /// A provider disconnects after some bytes of a reply.
    Fails(ProviderId, u32, u64),
    Trickle(ProviderId, u32),
    /// Some bytes of a piece were received.
    Chunk(ProviderId, u32, u64),
    /// The reader has read a piece; void after another number of jumps.
    Read(usize),
    Seek(usize),
    Pause,
    Resume,
    Cancel,
}

#[derive(Default)]
struct Line {
    /// Connection counter, so that data of an old connection is discarded.
    connection: u32,
    connected: bool,
    queue: VecDeque<(RequestId, VecDeque<u32>)>,
    sending: bool,
    /// Bytes received of the current piece.
    received: u64,
    /// Time of its last byte, or of a request when it had none.
    last_sent: Duration,
}

pub struct World {
    seed: u64,
    rng: Rng,
    scenario: Scenario,
    layout: PieceLayout,
    download: Download,
    now: Duration,
    agenda: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    order: u64,
    lines: Vec<Line>,
    /// Time of the next tick.
    timer: Option<Duration>,
    cancelled: BTreeMap<RequestId, ()>,
    bytes_received: u64,
    requests: u32,
    banned: Vec<ProviderId>,
    lied: BTreeSet<ProviderId>,
    outcome: Option<DownloadOutcome>,
    reader: Option<Reader>,
}

impl World {
    pub fn new(seed: u64, scenario: Scenario) -> Self {
        let mut rng = Rng::new(seed);
        let layout = scenario.layout.clone();
        let mut verified = PieceSet::empty(layout.piece_count());
        if scenario.resume {
            for index in 0..layout.piece_count() {
                if rng.chance(0.5) {
                    verified.insert(index);
                }
            }
        }
        let limits = scenario.limits.clone();
        let mut download = Download::new(layout.clone(), verified, limits, seed);
        let reader = scenario.reader.clone().map(|plan| {
            let wanted = layout.pieces_of(plan.range.clone());
            Reader::new(plan, wanted)
        });
        if let Some(reader) = &reader {
            download = download.of_pieces(reader.wanted(layout.piece_count()));
        }
        let lines = scenario
            .behaviours
            .iter()
            .map(|_| Line::default())
            .collect();
        Self {
            seed,
            rng,
            layout,
            download,
            lines,
            scenario,
            now: Duration::ZERO,
            agenda: BinaryHeap::new(),
            order: 0,
            timer: None,
            cancelled: BTreeMap::new(),
            bytes_received: 0,
            requests: 0,
            banned: Vec::new(),
            lied: BTreeSet::new(),
            outcome: None,
            reader,
        }
    }

    fn at(&mut self, time: Duration, happening: Happening) {
        self.order += 1;
        self.agenda.push(Reverse((time, self.order, happening)));
    }

    pub fn run(mut self) -> Report {
        for id in 0..self.scenario.behaviours.len() {
            if let Some(time) = self.scenario.behaviours[id].vanishes {
                self.at(time, Happening::Breaks(id as u32));
            }
        }
        if let Some((from, to)) = self.scenario.paused {
            self.at(from, Happening::Pause);
            self.at(to, Happening::Resume);
        }
        if let Some(time) = self.scenario.cancelled {
            self.at(time, Happening::Cancel);
        }
        self.begin_reading();
        self.at(Duration::ZERO, Happening::Tick);
        while self.outcome.is_none() {
            let Reverse((time, _, happening)) = self
                .agenda
                .pop()
                .expect("the simulation has no pending events");
            assert!(
                time < Duration::from_secs(3600),
                "the download does not end"
            );
            self.now = time;
            self.happen(happening);
            self.check_wait();
        }
        let waits = self.finish_reading();
        Report {
            outcome: self.outcome.unwrap(),
            took: self.now,
            bytes_received: self.bytes_received,
            banned: self.banned,
            lied: self.lied,
            requests: self.requests,
            waits,
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick => {
                self.timer = None;
                self.tell(Event::Tick);
            }
            Happening::Answer => {
                let has_left = self.scenario.directory_leaves;
                let has_left = has_left.is_some_and(|at| self.now >= at);
                if self.now < self.scenario.directory_away || has_left {
                    return self.tell(Event::LocateFailed);
                }
                for id in 0..self.scenario.behaviours.len() {
                    if self.scenario.behaviours[id].is_named(self.now) {
                        self.tell(Event::Found(id as u32))
                    } else {
                        self.tell(Event::Unlisted(id as u32))
                    }
                }
                self.tell(Event::Located);
            }
            Happening::Dialled(id, connection) => {
                let behaviour = &self.scenario.behaviours[id as usize];
                if self.lines[id as usize].connection != connection {
                    return;
                }
                if !behaviour.is_there(self.now) {
                    let failure = behaviour.absence();
                    self.tell(Event::Lost(id, failure));
                } else if behaviour.dishonest_hashes {
                    self.tell(Event::Lost(id, ProviderFailure::Dishonest));
                } else {
                    self.lines[id as usize].connected = true;
                    let (is_mute, every) = (behaviour.is_mute, behaviour.holds_every);
                    self.tell(Event::Ready(id));
                    if is_mute {
                        return;
                    }
                    self.tell(match every {
                        Some(every) => {
                            let pieces = 0..self.layout.piece_count();
                            Event::Has(id, pieces.step_by(every as usize).collect())
                        }
                        None => Event::HasAll(id),
                    });
                }
            }
            Happening::Chunk(id, connection, bytes) => self.chunk_came(id, connection, bytes),
            Happening::Read(jumps) => self.has_read(jumps),
            Happening::Seek(number) => self.seek_planned(number),
            Happening::Pause => self.tell(Event::Pause),
            Happening::Resume => self.tell(Event::Resume),
            Happening::Cancel => self.tell(Event::Cancel),
            Happening::Piece(id, connection) => self.piece_came(id, connection),
            Happening::Fails(id, connection, bytes) => self.fails(id, connection, bytes),
            Happening::Trickle(id, connection) => {
                let line = &self.lines[id as usize];
                let request = line.queue.front().map(|(request, _)| *request);
                if let Some(request) = request.filter(|_| line.connection == connection) {
                    self.lines[id as usize].last_sent = self.now;
                    self.tell(Event::Received(request, 1));
                    let next = self.now + Duration::from_secs(1);
                    self.at(next, Happening::Trickle(id, connection));
                } else if line.connection == connection {
                    self.lines[id as usize].sending = false;
                }
            }
            Happening::Breaks(id) => {
                if self.lines[id as usize].connected {
                    self.disconnect(id);
                    self.tell(Event::Lost(id, ProviderFailure::Unreachable));
                }
            }
        }
    }

    fn disconnect(&mut self, id: ProviderId) {
        let line = &mut self.lines[id as usize];
        *line = Line {
            connection: line.connection + 1,
            ..Line::default()
        };
    }

    fn fails(&mut self, id: ProviderId, connection: u32, bytes: u64) {
        let line = &self.lines[id as usize];
        if line.connection != connection {
            return;
        }
        if let (Some((request, _)), true) = (line.queue.front(), bytes > 0) {
            self.tell(Event::Received(*request, bytes));
        }
        self.disconnect(id);
        let failure = self.scenario.behaviours[id as usize].loss();
        self.tell(Event::Lost(id, failure));
    }

    fn piece_came(&mut self, id: ProviderId, connection: u32) {
        let line = &mut self.lines[id as usize];
        if line.connection != connection {
            return;
        }
        line.sending = false;
        let Some((request, pieces)) = line.queue.front_mut() else {
            return;
        };
        let (request, piece) = (*request, pieces.pop_front().unwrap());
        let ended = pieces.is_empty();
        if ended {
            line.queue.pop_front();
        }
        // The next queued piece follows without delay.
        let follows = self.reader.is_some() && !line.queue.is_empty();
        line.sending = follows;
        let bytes = self.layout.piece_len(piece);
        self.bytes_received += bytes;
        let line = &mut self.lines[id as usize];
        line.last_sent = self.now;
        let bytes = bytes - std::mem::take(&mut line.received);
        let wrong = self.rng.chance(self.scenario.behaviours[id as usize].lies);
        self.tell(Event::Received(request, bytes));
        if wrong {
            self.lied.insert(id);
            self.tell(Event::Corrupt(request, piece));
        } else {
            self.buffer(piece);
            self.tell(Event::Verified(request, piece));
            self.read();
        }
        if ended && !self.cancelled.contains_key(&request) {
            self.tell(Event::Ended(request));
        }
        if follows && self.lines[id as usize].connection == connection {
            self.lines[id as usize].sending = false;
        }
        self.send_next(id, Duration::ZERO);
    }

    fn chunk_came(&mut self, id: ProviderId, connection: u32, bytes: u64) {
        let line = &mut self.lines[id as usize];
        if line.connection != connection {
            return;
        }
        if let Some((request, _)) = line.queue.front() {
            let request = *request;
            line.received += bytes;
            line.last_sent = self.now;
            self.tell(Event::Received(request, bytes));
        }
    }

    fn send_next(&mut self, id: ProviderId, delay: Duration) {
        let behaviour = self.scenario.behaviours[id as usize].clone();
        let line = &mut self.lines[id as usize];
        if line.sending || behaviour.stalls.is_some_and(|at| self.now >= at) {
            return;
        }
        let Some((_, pieces)) = line.queue.front() else {
            return;
        };
        line.sending = true;
        let connection = line.connection;
        if behaviour.trickles {
            let time = self.now + delay;
            return self.at(time, Happening::Trickle(id, connection));
        }
        let refuses = behaviour.refuses.is_some_and(|at| self.now >= at)
            && behaviour.relents.is_none_or(|at| self.now < at);
        if refuses || behaviour.breaks {
            let bytes = if refuses {
                0
            } else {
                self.layout.piece_len(pieces[0]) / 2
            };
            let sent = Duration::from_secs_f64(bytes as f64 / behaviour.rate as f64);
            return self.at(
                self.now + delay + sent,
                Happening::Fails(id, connection, bytes),
            );
        }
        let seconds = self.layout.piece_len(pieces[0]) as f64 / behaviour.rate as f64;
        let time = self.now + delay + Duration::from_secs_f64(seconds);
        if self.reader.is_some() {
            let bytes = (behaviour.rate as f64 * CHUNK.as_secs_f64()) as u64;
            let mut chunk = self.now + delay + CHUNK;
            while chunk < time {
                self.at(chunk, Happening::Chunk(id, connection, bytes));
                chunk += CHUNK;
            }
        }
        if behaviour.drips {
            let soon = self.now + Duration::from_secs(1);
            self.at(soon, Happening::Trickle(id, connection));
        }
        self.at(time, Happening::Piece(id, connection));
    }

    fn tell(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.download.handle(self.now, event, &mut actions);
        for action in actions {
            self.act(action);
        }
        if let Some(deadline) = self.download.next_deadline() {
            let time = deadline.max(self.now);
            if self.timer.is_none_or(|timer| time < timer) {
                self.timer = Some(time);
                self.at(time, Happening::Tick);
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Dial(id) => {
                self.disconnect(id);
                let time = self.now + 3 * self.scenario.behaviours[id as usize].delay;
                let connection = self.lines[id as usize].connection;
                self.at(time, Happening::Dialled(id, connection));
            }
            Action::Request {
                provider,
                request,
                pieces,
            } => {
                assert!(!pieces.is_empty());
                self.check_request(&pieces);
                self.requests += 1;
                let line = &mut self.lines[provider as usize];
                assert!(
                    line.connected,
                    "request to a provider that is not connected"
                );
                if line.queue.is_empty() {
                    line.last_sent = self.now;
                }
                line.queue.push_back((request, pieces.into()));
                let delay = self.scenario.behaviours[provider as usize].delay;
                self.send_next(provider, delay);
            }
            Action::Cancel(request) => {
                self.cancelled.insert(request, ());
                for id in 0..self.lines.len() {
                    let sending_it = self.lines[id].queue.front().is_some_and(|q| q.0 == request);
                    self.lines[id].queue.retain(|queued| queued.0 != request);
                    if sending_it {
                        // Data in transit is discarded with the stream.
                        self.lines[id].connection += 1;
                        self.lines[id].sending = false;
                        self.lines[id].received = 0;
                        self.send_next(id as u32, Duration::ZERO);
                    }
                }
            }
            Action::Disconnect(id) => self.disconnect(id),
            Action::Ban(id) => {
                self.banned.push(id);
                self.disconnect(id);
            }
            Action::Locate => {
                let time = self.now + Duration::from_millis(2);
                self.at(time, Happening::Answer);
            }
            Action::Finish(outcome) => {
                if outcome == DownloadOutcome::Complete && self.reader.is_none() {
                    assert!(self.download.verified().is_full());
                }
                self.outcome = Some(outcome);
            }
        }
    }
}
