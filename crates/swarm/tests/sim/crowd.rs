//! A crowd: one provider and many downloaders that start at once and provide to each other, each
//! with its own link.

mod bounds;
mod sending;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use convite_core::PieceGeometry;
use convite_swarm::{
    Action, Download, DownloadLimits, DownloadOutcome, Event, PieceSet, ProviderFailure, RequestId,
};

use crate::world::Rng;

/// The time for which announcements of pieces are collected.
const GATHER: Duration = Duration::from_millis(10);

/// A link, in bytes per second up and down.
#[derive(Clone, Copy)]
pub struct Link {
    pub up: u64,
    pub down: u64,
}

pub struct Crowd {
    pub size: u64,
    pub provider: Link,
    pub downloaders: Vec<Link>,
    /// The number of downloaders that vanish at random times.
    pub vanishing: usize,
    pub delay: Duration,
}

pub struct Report {
    pub last: Duration,
    /// Bytes sent by the provider, divided by the file size.
    pub copies: f64,
    /// Bytes received twice, divided by the bytes required.
    pub waste: f64,
}

impl Crowd {
    /// Returns the minimum time in seconds until all have the file (Kumar and Ross, 2006).
    pub fn bound(&self) -> f64 {
        let size = self.size as f64;
        let count = self.downloaders.len() as f64;
        let slowest = self.downloaders.iter().map(|l| l.down).min().unwrap() as f64;
        let up: u64 = self.provider.up + self.downloaders.iter().map(|l| l.up).sum::<u64>();
        (size / self.provider.up as f64)
            .max(size / slowest)
            .max(count * size / up as f64)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Tick(usize),
    Located(usize),
    Dialled(usize, usize, u32),
    /// The sender's link is free for the next block.
    Free(usize),
    /// The receiver's link has room again.
    Room(usize),
    /// A block was received: to, from, connection, request, piece, bytes, whether it ends the
    /// piece.
    Block(usize, usize, u32, RequestId, u32, u64, bool),
    Tell(usize),
    /// Pieces were announced: to, from, connection, whether they are promised, pieces.
    Announced(usize, usize, u32, bool, Vec<u32>),
    Joined(usize),
    Vanish(usize),
}

#[derive(Default)]
struct Flow {
    connection: u32,
    open: bool,
    queue: VecDeque<(RequestId, VecDeque<u32>)>,
    /// Bytes sent of the first piece.
    sent: u64,
}

struct Node {
    link: Link,
    held: PieceSet,
    plan: Option<Download>,
    done: Option<Duration>,
    gone: bool,
    joined: bool,
    /// The receivers, and the one served last.
    flows: BTreeMap<usize, Flow>,
    turn: usize,
    sending: bool,
    wake: Option<Duration>,
    timer: Option<Duration>,
    down_free: Duration,
    fresh: Vec<u32>,
    promised: Vec<u32>,
    telling: bool,
    sent: u64,
    received: u64,
}

pub struct Running {
    crowd: Crowd,
    geometry: PieceGeometry,
    now: Duration,
    order: u64,
    agenda: BinaryHeap<Reverse<(Duration, u64, Happening)>>,
    nodes: Vec<Node>,
}

impl Running {
    pub fn new(seed: u64, crowd: Crowd) -> Self {
        let geometry = PieceGeometry::new(crowd.size).unwrap();
        let count = geometry.piece_count();
        let mut rng = Rng::new(seed);
        let node = |link, plan, held| Node {
            link,
            held,
            plan,
            done: None,
            gone: false,
            joined: false,
            flows: BTreeMap::new(),
            turn: 0,
            sending: false,
            wake: None,
            timer: None,
            down_free: Duration::ZERO,
            fresh: Vec::new(),
            promised: Vec::new(),
            telling: false,
            sent: 0,
            received: 0,
        };
        let mut nodes = vec![node(crowd.provider, None, PieceSet::full(count))];
        nodes[0].joined = true;
        for link in &crowd.downloaders {
            let own = rng.below(u64::MAX);
            let plan = Download::new(
                geometry,
                PieceSet::empty(count),
                DownloadLimits::default(),
                own,
            );
            nodes.push(node(*link, Some(plan), PieceSet::empty(count)));
        }
        let mut running = Self {
            geometry,
            now: Duration::ZERO,
            order: 0,
            agenda: BinaryHeap::new(),
            nodes,
            crowd,
        };
        for id in 1..running.nodes.len() {
            running.at(Duration::ZERO, Happening::Tick(id));
        }
        for _ in 0..running.crowd.vanishing {
            let id = 1 + rng.below(running.nodes.len() as u64 - 1) as usize;
            let bound = Duration::from_secs_f64(running.crowd.bound());
            let time = bound.mul_f64(rng.below(100) as f64 / 100.0);
            running.at(time, Happening::Vanish(id));
        }
        running
    }

    fn at(&mut self, time: Duration, happening: Happening) {
        self.order += 1;
        self.agenda.push(Reverse((time, self.order, happening)));
    }

    fn soon(&mut self, after: Duration, happening: Happening) {
        let time = self.now + after;
        self.at(time, happening);
    }

    pub fn run(mut self) -> Report {
        let over = |n: &Node| n.done.is_some() || n.gone || n.plan.is_none();
        while !self.nodes.iter().all(over) {
            let Reverse((time, _, happening)) = self
                .agenda
                .pop()
                .expect("the simulation has no pending events");
            assert!(time < Duration::from_secs(36_000), "the crowd does not end");
            self.now = time;
            self.happen(happening);
        }
        let done = self.nodes.iter().filter(|n| !n.gone).filter_map(|n| n.done);
        let finished = self
            .nodes
            .iter()
            .filter(|n| n.done.is_some() && !n.gone)
            .count() as f64;
        let received: u64 = self
            .nodes
            .iter()
            .filter(|n| !n.gone)
            .map(|n| n.received)
            .sum();
        Report {
            last: done.max().unwrap(),
            copies: self.nodes[0].sent as f64 / self.crowd.size as f64,
            waste: received as f64 / (finished * self.crowd.size as f64) - 1.0,
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick(id) => {
                self.nodes[id].timer = None;
                self.tell(id, Event::Tick);
            }
            Happening::Located(id) => {
                for other in 0..self.nodes.len() {
                    if other != id && self.nodes[other].joined && !self.nodes[other].gone {
                        self.tell(id, Event::Found(other as u32));
                    }
                }
                self.tell(id, Event::Located);
            }
            Happening::Joined(id) => {
                for other in 1..self.nodes.len() {
                    if other != id {
                        self.tell(other, Event::Found(id as u32));
                    }
                }
            }
            Happening::Dialled(id, provider, connection) => self.dialled(id, provider, connection),
            Happening::Free(id) => {
                self.nodes[id].sending = false;
                self.send_next(id);
            }
            Happening::Room(id) => {
                self.nodes[id].wake = None;
                self.send_next(id);
            }
            Happening::Block(to, from, connection, request, piece, bytes, ends) => {
                self.block_came(to, from, connection, request, piece, bytes, ends);
            }
            Happening::Tell(id) => self.spread(id),
            Happening::Announced(id, from, connection, promised, pieces) => {
                if self.nodes[from].flows.get(&id).map(|f| f.connection) == Some(connection) {
                    let event = if promised {
                        Event::Promised(from as u32, pieces)
                    } else {
                        Event::Has(from as u32, pieces)
                    };
                    self.tell(id, event);
                }
            }
            Happening::Vanish(id) => self.vanish(id),
        }
    }

    fn dialled(&mut self, id: usize, provider: usize, connection: u32) {
        let gone = self.nodes[provider].gone;
        let flow = self.nodes[provider].flows.entry(id).or_default();
        if flow.connection != connection {
            return;
        }
        if gone {
            return self.tell(
                id,
                Event::Lost(provider as u32, ProviderFailure::Unreachable),
            );
        }
        flow.open = true;
        let held = self.nodes[provider].held.clone();
        self.tell(id, Event::Ready(provider as u32));
        if held.is_full() {
            self.tell(id, Event::HasAll(provider as u32));
        } else {
            self.tell(id, Event::Has(provider as u32, held.iter().collect()));
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn block_came(
        &mut self,
        to: usize,
        from: usize,
        connection: u32,
        request: RequestId,
        piece: u32,
        bytes: u64,
        ends: bool,
    ) {
        if self.nodes[from].flows.get(&to).map(|f| f.connection) != Some(connection) {
            return;
        }
        self.nodes[to].received += bytes;
        self.tell(to, Event::Received(request, bytes));
        if ends {
            if self.nodes[to].held.insert(piece) {
                self.nodes[to].fresh.push(piece);
                self.tell_others_soon(to);
                if !self.nodes[to].joined {
                    self.nodes[to].joined = true;
                    self.soon(self.crowd.delay * 4, Happening::Joined(to));
                }
            }
            self.tell(to, Event::Verified(request, piece));
            let flow = self.nodes[from].flows.get(&to);
            let more = flow.is_some_and(|f| f.queue.iter().any(|(id, _)| *id == request));
            if !more {
                self.tell(to, Event::Ended(request));
            }
        }
    }

    fn tell_others_soon(&mut self, id: usize) {
        if !self.nodes[id].telling {
            self.nodes[id].telling = true;
            self.soon(GATHER, Happening::Tell(id));
        }
    }

    fn spread(&mut self, id: usize) {
        self.nodes[id].telling = false;
        let fresh = std::mem::take(&mut self.nodes[id].fresh);
        let promised = std::mem::take(&mut self.nodes[id].promised);
        let listeners: Vec<(usize, u32)> = self.nodes[id]
            .flows
            .iter()
            .filter(|(_, flow)| flow.open)
            .map(|(to, flow)| (*to, flow.connection))
            .collect();
        for (to, connection) in listeners {
            for (promised, pieces) in [(true, &promised), (false, &fresh)] {
                if !pieces.is_empty() {
                    let announced =
                        Happening::Announced(to, id, connection, promised, pieces.clone());
                    self.soon(self.crowd.delay, announced);
                }
            }
        }
    }

    fn vanish(&mut self, id: usize) {
        self.nodes[id].gone = true;
        let listeners: Vec<usize> = self.nodes[id].flows.keys().copied().collect();
        for to in listeners {
            self.disconnect(id, to);
            self.tell(to, Event::Lost(id as u32, ProviderFailure::Unreachable));
        }
        for from in 0..self.nodes.len() {
            self.disconnect(from, id);
        }
    }

    fn disconnect(&mut self, from: usize, to: usize) {
        if let Some(flow) = self.nodes[from].flows.get_mut(&to) {
            *flow = Flow {
                connection: flow.connection + 1,
                ..Flow::default()
            };
        }
    }

    fn tell(&mut self, id: usize, event: Event) {
        let node = &mut self.nodes[id];
        let Some(plan) = node
            .plan
            .as_mut()
            .filter(|_| !node.gone && node.done.is_none())
        else {
            return;
        };
        let mut actions = Vec::new();
        plan.handle(self.now, event, &mut actions);
        let deadline = plan.next_deadline();
        for action in actions {
            self.act(id, action);
        }
        if let Some(deadline) = deadline {
            let time = deadline.max(self.now + Duration::from_millis(1));
            let node = &mut self.nodes[id];
            if node
                .timer
                .is_none_or(|timer| time < timer || timer <= self.now)
            {
                node.timer = Some(time);
                self.at(time, Happening::Tick(id));
            }
        }
    }

    fn act(&mut self, id: usize, action: Action) {
        match action {
            Action::Dial(provider) => {
                let provider = provider as usize;
                self.disconnect(provider, id);
                let flow = self.nodes[provider].flows.entry(id).or_default();
                let connection = flow.connection;
                self.soon(
                    self.crowd.delay * 3,
                    Happening::Dialled(id, provider, connection),
                );
            }
            Action::Request {
                provider,
                request,
                pieces,
            } => {
                let provider = provider as usize;
                for piece in &pieces {
                    assert!(self.nodes[provider].held.contains(*piece));
                }
                if provider == 0 {
                    self.nodes[0].promised.extend(&pieces);
                    self.tell_others_soon(0);
                }
                let flow = self.nodes[provider].flows.get_mut(&id).unwrap();
                flow.queue.push_back((request, pieces.into()));
                self.send_next(provider);
            }
            Action::Cancel(request) => {
                for from in 0..self.nodes.len() {
                    if let Some(flow) = self.nodes[from].flows.get_mut(&id) {
                        if flow.queue.front().is_some_and(|q| q.0 == request) {
                            flow.sent = 0;
                        }
                        flow.queue.retain(|queued| queued.0 != request);
                    }
                }
            }
            Action::Disconnect(provider) => self.disconnect(provider as usize, id),
            Action::Ban(_) => panic!("no provider of a crowd sends wrong data"),
            Action::Locate => self.soon(self.crowd.delay * 2, Happening::Located(id)),
            Action::Finish(outcome) => {
                assert_eq!(outcome, DownloadOutcome::Complete);
                self.nodes[id].done = Some(self.now);
            }
        }
    }
}
