//! The virtual network: each provider sends what it is asked in turn, at its rate.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use convite_core::PieceGeometry;
use convite_swarm::{
    Action, Download, Event, Failure, Limits, Outcome, PieceSet, ProviderId, RequestId,
};

/// SplitMix64 (Steele, Lea and Flood, 2014): small, seeded, the same everywhere.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn chance(&mut self, probability: f64) -> bool {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64 <= probability && probability > 0.0
    }
}

/// How a provider behaves.
#[derive(Clone, Default)]
pub struct Behaviour {
    /// Bytes per second.
    pub rate: u64,
    /// From a request to its first byte.
    pub delay: Duration,
    /// The share of pieces that are wrong.
    pub lies: f64,
    /// It sends piece hashes of another file.
    pub dishonest_hashes: bool,
    /// Its connections break at that time, and no new one is accepted...
    pub vanishes: Option<Duration>,
    /// ...until that time.
    pub returns: Option<Duration>,
    /// It sends nothing any more from that time on, but stays connected.
    pub stalls: Option<Duration>,
    /// From that time on it answers no request, and breaks off instead; it can be dialled again.
    pub refuses: Option<Duration>,
    /// When it no longer refuses.
    pub relents: Option<Duration>,
    /// What it says when it refuses.
    pub is_busy: bool,
    /// It never says what it holds.
    pub is_mute: bool,
    /// It holds only every so manieth piece, for ever.
    pub holds_every: Option<u32>,
    /// It breaks off in the middle of every piece.
    pub breaks: bool,
    /// Of a piece under way, something comes every second.
    pub drips: bool,
    /// It sends a byte a second, and never a whole piece.
    pub trickles: bool,
}

impl Behaviour {
    fn is_there(&self, now: Duration) -> bool {
        let gone = self.vanishes.is_some_and(|at| now >= at);
        !gone || self.returns.is_some_and(|at| now >= at)
    }
}

pub struct Scenario {
    pub size: u64,
    pub behaviours: Vec<Behaviour>,
    /// The directory answers nothing before that time.
    pub directory_away: Duration,
    /// Half of the pieces are there already.
    pub resume: bool,
    /// From when to when it is paused.
    pub paused: Option<(Duration, Duration)>,
    /// When it is given up.
    pub cancelled: Option<Duration>,
}

impl Scenario {
    pub fn new(size: u64, behaviours: Vec<Behaviour>) -> Self {
        Self {
            size,
            behaviours,
            directory_away: Duration::ZERO,
            resume: false,
            paused: None,
            cancelled: None,
        }
    }
}

pub struct Report {
    pub outcome: Outcome,
    pub took: Duration,
    pub bytes_received: u64,
    pub banned: Vec<ProviderId>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Tick,
    Answer,
    Dialled(ProviderId, u32),
    /// The next piece of the queue of a provider has come, on its connection of that number.
    Piece(ProviderId, u32),
    Breaks(ProviderId),
    /// A provider breaks off, some bytes after it was asked.
    Fails(ProviderId, u32, u64),
    Trickle(ProviderId, u32),
    Pause,
    Resume,
    Cancel,
}

#[derive(Default)]
struct Line {
    /// Counts connections, so that what was sent on an old one never arrives.
    connection: u32,
    connected: bool,
    queue: VecDeque<(RequestId, VecDeque<u32>)>,
    sending: bool,
}

pub struct World {
    rng: Rng,
    scenario: Scenario,
    geometry: PieceGeometry,
    download: Download,
    now: Duration,
    agenda: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    order: u64,
    lines: Vec<Line>,
    /// When the next tick is due.
    timer: Option<Duration>,
    cancelled: BTreeMap<RequestId, ()>,
    bytes_received: u64,
    banned: Vec<ProviderId>,
    outcome: Option<Outcome>,
}

impl World {
    pub fn new(seed: u64, scenario: Scenario) -> Self {
        let mut rng = Rng::new(seed);
        let geometry = PieceGeometry::new(scenario.size).unwrap();
        let mut verified = PieceSet::empty(geometry.piece_count());
        if scenario.resume {
            for index in 0..geometry.piece_count() {
                if rng.chance(0.5) {
                    verified.insert(index);
                }
            }
        }
        let download = Download::new(geometry, verified, Limits::default(), seed);
        let lines = scenario
            .behaviours
            .iter()
            .map(|_| Line::default())
            .collect();
        Self {
            rng,
            geometry,
            download,
            lines,
            scenario,
            now: Duration::ZERO,
            agenda: BinaryHeap::new(),
            order: 0,
            timer: None,
            cancelled: BTreeMap::new(),
            bytes_received: 0,
            banned: Vec::new(),
            outcome: None,
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
        self.at(Duration::ZERO, Happening::Tick);
        while self.outcome.is_none() {
            let Reverse((time, _, happening)) = self.agenda.pop().expect("the download hangs");
            assert!(
                time < Duration::from_secs(3600),
                "the download does not end"
            );
            self.now = time;
            self.happen(happening);
        }
        Report {
            outcome: self.outcome.unwrap(),
            took: self.now,
            bytes_received: self.bytes_received,
            banned: self.banned,
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick => {
                self.timer = None;
                self.tell(Event::Tick);
            }
            Happening::Answer => {
                if self.now < self.scenario.directory_away {
                    return self.tell(Event::LocateFailed);
                }
                for id in 0..self.scenario.behaviours.len() {
                    if self.scenario.behaviours[id].is_there(self.now) {
                        self.tell(Event::Found(id as u32));
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
                    self.tell(Event::Lost(id, Failure::Unreachable));
                } else if behaviour.dishonest_hashes {
                    self.tell(Event::Lost(id, Failure::Dishonest));
                } else {
                    self.lines[id as usize].connected = true;
                    let (is_mute, every) = (behaviour.is_mute, behaviour.holds_every);
                    self.tell(Event::Ready(id));
                    if is_mute {
                        return;
                    }
                    self.tell(match every {
                        Some(every) => {
                            let pieces = 0..self.geometry.piece_count();
                            Event::Has(id, pieces.step_by(every as usize).collect())
                        }
                        None => Event::HasAll(id),
                    });
                }
            }
            Happening::Pause => self.tell(Event::Pause),
            Happening::Resume => self.tell(Event::Resume),
            Happening::Cancel => self.tell(Event::Cancel),
            Happening::Piece(id, connection) => self.piece_came(id, connection),
            Happening::Fails(id, connection, bytes) => self.fails(id, connection, bytes),
            Happening::Trickle(id, connection) => {
                let line = &self.lines[id as usize];
                let request = line.queue.front().map(|(request, _)| *request);
                if let Some(request) = request.filter(|_| line.connection == connection) {
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
                    self.tell(Event::Lost(id, Failure::Unreachable));
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
        let failure = match self.scenario.behaviours[id as usize].is_busy {
            true => Failure::Busy,
            false => Failure::Unreachable,
        };
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
        let bytes = self.geometry.piece_len(piece);
        self.bytes_received += bytes;
        let wrong = self.rng.chance(self.scenario.behaviours[id as usize].lies);
        self.tell(Event::Received(request, bytes));
        if wrong {
            self.tell(Event::Corrupt(request, piece));
        } else {
            self.tell(Event::Verified(request, piece));
        }
        if ended && !self.cancelled.contains_key(&request) {
            self.tell(Event::Ended(request));
        }
        self.send_next(id, Duration::ZERO);
    }

    fn send_next(&mut self, id: ProviderId, delay: Duration) {
        let behaviour = &self.scenario.behaviours[id as usize];
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
            let bytes = match refuses {
                true => 0,
                false => self.geometry.piece_len(pieces[0]) / 2,
            };
            let sent = Duration::from_secs_f64(bytes as f64 / behaviour.rate as f64);
            return self.at(
                self.now + delay + sent,
                Happening::Fails(id, connection, bytes),
            );
        }
        let seconds = self.geometry.piece_len(pieces[0]) as f64 / behaviour.rate as f64;
        let time = self.now + delay + Duration::from_secs_f64(seconds);
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
                let line = &mut self.lines[provider as usize];
                assert!(line.connected, "asked of a provider that is not connected");
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
                        // What is on the way is thrown away with the stream.
                        self.lines[id].connection += 1;
                        self.lines[id].sending = false;
                        self.send_next(id as u32, Duration::ZERO);
                    }
                }
            }
            Action::HangUp(id) => self.disconnect(id),
            Action::Ban(id) => {
                self.banned.push(id);
                self.disconnect(id);
            }
            Action::Locate => {
                let time = self.now + Duration::from_millis(2);
                self.at(time, Happening::Answer);
            }
            Action::Finish(outcome) => {
                if outcome == Outcome::Complete {
                    assert!(self.download.verified().is_full());
                }
                self.outcome = Some(outcome);
            }
        }
    }
}
