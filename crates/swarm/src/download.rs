//! The state machine of one download.

use std::collections::BTreeMap;
use std::time::Duration;

use convite_core::{PieceGeometry, PieceIndex};

use crate::event::{Action, Event, Failure, Limits, Outcome, RequestId};
use crate::invariants;
use crate::pieces::PieceSet;
use crate::provider::{Provider, ProviderId, State};

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) provider: ProviderId,
    /// Pieces asked for and not verified since.
    pub(crate) waiting: Vec<PieceIndex>,
    pub(crate) last_progress: Duration,
    /// Whether any byte of it has come.
    pub(crate) moved: bool,
}

/// When the directory was or will be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// An answer is awaited.
    Under,
    /// Next at that time.
    At(Duration),
}

/// One download: see the module.
#[derive(Debug)]
pub struct Download {
    pub(crate) geometry: PieceGeometry,
    pub(crate) limits: Limits,
    pub(crate) verified: PieceSet,
    /// Neither verified nor asked of anyone.
    pub(crate) missing: PieceSet,
    pub(crate) providers: BTreeMap<ProviderId, Provider>,
    pub(crate) requests: BTreeMap<RequestId, Request>,
    /// For each piece how often it was handed out or came to be held, as far as providers said.
    pub(crate) copies: Vec<u16>,
    /// Whether anybody else fetches the file too.
    pub(crate) in_swarm: bool,
    /// Makes the order in which this download prefers pieces its own.
    pub(crate) seed: u64,
    next_request: RequestId,
    pub(crate) asking: Asking,
    /// How often in a row the directory was asked in vain.
    pub(crate) asked_in_vain: u32,
    /// Since when there is nobody of whom a piece can be expected.
    pub(crate) alone_since: Option<Duration>,
    pub(crate) paused: bool,
    /// When the last event was.
    now: Duration,
    pub(crate) outcome: Option<Outcome>,
}

impl Download {
    /// A download of the pieces that are not in `verified`. It begins with its first event, which
    /// may be [`Event::Tick`]. Downloads of the same file should differ in their `seed`.
    pub fn new(geometry: PieceGeometry, verified: PieceSet, limits: Limits, seed: u64) -> Self {
        let mut missing = PieceSet::full(geometry.piece_count());
        for index in verified.iter() {
            missing.remove(index);
        }
        Self {
            geometry,
            limits,
            verified,
            missing,
            providers: BTreeMap::new(),
            requests: BTreeMap::new(),
            copies: vec![0; geometry.piece_count() as usize],
            in_swarm: false,
            seed,
            next_request: 0,
            asking: Asking::At(Duration::ZERO),
            asked_in_vain: 0,
            alone_since: Some(Duration::ZERO),
            paused: false,
            now: Duration::ZERO,
            outcome: None,
        }
    }

    /// The pieces that are verified.
    pub fn verified(&self) -> &PieceSet {
        &self.verified
    }

    /// How many providers can be asked for pieces now.
    pub fn ready(&self) -> usize {
        self.providers.values().filter(|p| p.is_ready()).count()
    }

    /// Takes an event at `now` (since the download began, never going back) and appends what is to
    /// be done about it. Events about requests that were cancelled are passed over, but for pieces
    /// that they brought before.
    pub fn handle(&mut self, now: Duration, event: Event, actions: &mut Vec<Action>) {
        if self.outcome.is_some() {
            return;
        }
        self.now = now;
        match event {
            Event::Tick => {}
            Event::Found(provider) => self.handle_found(now, provider, actions),
            Event::Distance(provider, distance) => {
                let count = self.geometry.piece_count();
                let provider = self.providers.entry(provider);
                provider.or_insert_with(|| Provider::new(count)).distance = distance;
            }
            Event::Located => self.handle_located(now),
            Event::LocateFailed => self.handle_locate_failed(now),
            Event::Ready(provider) => {
                if let Some(p) = self.providers.get_mut(&provider)
                    && p.state == State::Dialling
                {
                    p.state = State::Ready;
                    p.ready_since = now;
                }
            }
            Event::HasAll(provider) => {
                if let Some(p) = self.providers.get_mut(&provider) {
                    p.held = PieceSet::full(self.geometry.piece_count());
                    p.has_said = true;
                }
            }
            Event::Has(provider, pieces) => self.handle_has(provider, &pieces),
            Event::HandedOut(_, pieces) => self.handle_handed_out(&pieces, true),
            Event::HandedOutBefore(_, pieces) => self.handle_handed_out(&pieces, false),
            Event::Lost(provider, failure) => self.handle_lost(now, provider, failure, actions),
            Event::Received(request, bytes) => self.handle_received(now, request, bytes),
            Event::Verified(request, piece) => self.handle_verified(now, request, piece, actions),
            Event::Corrupt(request, _) => {
                if let Some(provider) = self.requests.get(&request).map(|r| r.provider) {
                    self.ban(provider, actions);
                }
            }
            Event::Ended(request) => {
                let provider = self.requests.get(&request).map(|r| r.provider);
                if let Some(p) = provider.and_then(|id| self.providers.get_mut(&id)) {
                    p.answered += 1;
                }
                self.drop_request(request);
            }
            Event::Pause => self.pause(actions),
            Event::Resume => self.resume(now),
            Event::Cancel => self.finish(Outcome::Cancelled, actions),
        }
        self.plan(now, actions);
        invariants::check(self);
    }

    /// When [`Event::Tick`] is due if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Duration> {
        if self.outcome.is_some() || self.paused {
            return None;
        }
        let asking = match self.asking {
            Asking::Under => None,
            Asking::At(at) => Some(at),
        };
        let retries = self.providers.values().filter_map(|p| match p.state {
            State::Lost(until) => Some(until),
            _ => None,
        });
        let retries = self.alone_since.and_then(|_| retries.min());
        let held_back = self
            .providers
            .values()
            .filter_map(|p| self.held_back_until(p))
            // Once that is past, there is nothing more to wait for.
            .filter(|until| *until > self.now);
        let waiting = self.end_of_waiting().into_iter();
        waiting.chain(asking).chain(retries).chain(held_back).min()
    }

    fn handle_has(&mut self, id: ProviderId, pieces: &[PieceIndex]) {
        let Some(provider) = self.providers.get_mut(&id) else {
            return;
        };
        self.in_swarm = true;
        provider.has_said = true;
        for piece in pieces {
            if provider.held.insert(*piece)
                && let Some(copies) = self.copies.get_mut(*piece as usize)
            {
                *copies = copies.saturating_add(1);
            }
        }
    }

    fn handle_handed_out(&mut self, pieces: &[PieceIndex], just_now: bool) {
        for piece in pieces {
            // What is not missing was promised to this download, or does not matter to it.
            if self.missing.contains(*piece) {
                self.in_swarm |= just_now;
                let copies = &mut self.copies[*piece as usize];
                *copies = copies.saturating_add(1);
            }
        }
    }

    fn handle_located(&mut self, now: Duration) {
        let somebody = self.has_company();
        self.asked_in_vain = if somebody { 0 } else { self.asked_in_vain + 1 };
        self.asking = Asking::At(
            now + if somebody {
                self.limits.refresh
            } else {
                self.backoff()
            },
        );
    }

    fn handle_locate_failed(&mut self, now: Duration) {
        self.asked_in_vain += 1;
        self.asking = Asking::At(now + self.backoff());
    }

    /// 250 ms, doubled with each time in vain, up to 4 s.
    fn backoff(&self) -> Duration {
        Duration::from_millis(250) * (1 << self.asked_in_vain.saturating_sub(1).min(4))
    }

    pub(crate) fn handle_lost(
        &mut self,
        now: Duration,
        id: ProviderId,
        failure: Failure,
        actions: &mut Vec<Action>,
    ) {
        if failure == Failure::Dishonest {
            self.ban(id, actions);
            return;
        }
        self.drop_requests_of(id);
        let Some(provider) = self.providers.get_mut(&id) else {
            return;
        };
        if provider.state == State::Banned {
            return;
        }
        provider.failures += 1;
        provider.is_busy = failure == Failure::Busy;
        // At once after the first loss: a connection that broke is usually whole again.
        let wait = Duration::from_millis(250) * ((1u32 << provider.failures.min(5)) - 2);
        provider.state = State::Lost(now + wait);
        if failure == Failure::Refused {
            self.ask_soon(now);
        }
    }

    /// The directory is asked at once, if it was not asked in vain just before.
    pub(crate) fn ask_soon(&mut self, now: Duration) {
        if let Asking::At(at) = self.asking {
            let soonest = if self.asked_in_vain == 0 { now } else { at };
            self.asking = Asking::At(at.min(soonest));
        }
    }

    fn handle_received(&mut self, now: Duration, id: RequestId, bytes: u64) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.last_progress = now;
            request.moved |= bytes > 0;
            if let Some(provider) = self.providers.get_mut(&request.provider) {
                provider.rate.received(now, bytes);
            }
        }
    }

    fn handle_verified(
        &mut self,
        now: Duration,
        id: RequestId,
        piece: PieceIndex,
        actions: &mut Vec<Action>,
    ) {
        if let Some(since) = &mut self.alone_since {
            *since = now;
        }
        // Of a request that was cancelled too: the piece is there, whoever asked for it.
        let sender = self.requests.get(&id).map(|request| request.provider);
        if let Some(provider) = sender.and_then(|sender| self.providers.get_mut(&sender)) {
            provider.failures = 0;
            provider.is_busy = false;
            provider.awaited_since = Some(now);
        }
        self.verified.insert(piece);
        self.missing.remove(piece);
        // The same piece may have been asked of another at the end of the download.
        let mut superfluous = Vec::new();
        for (other, request) in &mut self.requests {
            request.waiting.retain(|waiting| *waiting != piece);
            if request.waiting.is_empty() && *other != id {
                superfluous.push(*other);
            }
        }
        for other in superfluous {
            self.drop_request(other);
            actions.push(Action::Cancel(other));
        }
    }

    fn ban(&mut self, id: ProviderId, actions: &mut Vec<Action>) {
        self.drop_requests_of(id);
        if let Some(provider) = self.providers.get_mut(&id)
            && provider.state != State::Banned
        {
            provider.state = State::Banned;
            actions.push(Action::Ban(id));
        }
    }

    pub(crate) fn drop_requests_of(&mut self, provider: ProviderId) {
        let ids = match self.providers.get(&provider) {
            Some(provider) => provider.requests.clone(),
            None => return,
        };
        for id in ids {
            self.drop_request(id);
        }
    }

    /// Forgets a request; what it did not bring is missing again unless another one asks for it.
    fn drop_request(&mut self, id: RequestId) {
        let Some(request) = self.requests.remove(&id) else {
            return;
        };
        if let Some(provider) = self.providers.get_mut(&request.provider) {
            provider.requests.retain(|other| *other != id);
            if provider.requests.is_empty() {
                provider.awaited_since = None;
            }
        }
        for piece in request.waiting {
            let asked = self.requests.values().any(|r| r.waiting.contains(&piece));
            if !asked && !self.verified.contains(piece) {
                self.missing.insert(piece);
            }
        }
    }

    fn pause(&mut self, actions: &mut Vec<Action>) {
        self.paused = true;
        let ids: Vec<RequestId> = self.requests.keys().copied().collect();
        for id in ids {
            self.drop_request(id);
            actions.push(Action::Cancel(id));
        }
    }

    fn resume(&mut self, now: Duration) {
        self.paused = false;
        // Nobody was looked for meanwhile, so that nobody was waited for either.
        if let Some(since) = &mut self.alone_since {
            *since = now;
        }
    }

    /// After any event: finishes, or asks whoever has room for what is missing.
    fn plan(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.outcome.is_some() {
            return;
        }
        if self.verified.is_full() {
            self.finish(Outcome::Complete, actions);
            return;
        }
        if self.paused {
            return;
        }
        self.stop_waiting(now, actions);
        self.request_missing(now, actions);
        self.request_twice(now, actions);
        self.look_for_providers(now, actions);
    }

    pub(crate) fn finish(&mut self, outcome: Outcome, actions: &mut Vec<Action>) {
        for id in std::mem::take(&mut self.requests).into_keys() {
            actions.push(Action::Cancel(id));
        }
        for provider in self.providers.values_mut() {
            provider.requests.clear();
            provider.awaited_since = None;
        }
        self.outcome = Some(outcome);
        actions.push(Action::Finish(outcome));
    }

    fn request_missing(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.in_swarm {
            self.note_what_is_fresh(now);
        }
        // The near first, which spares the links between networks; of those the fastest, so that
        // near the end the slow ones find nothing left to delay.
        let mut ready: Vec<(ProviderId, u8, f64)> = self
            .providers
            .iter()
            .filter(|(_, p)| p.is_ready())
            .map(|(id, p)| {
                (
                    *id,
                    p.distance,
                    p.rate.bytes_per_second().unwrap_or(f64::MAX),
                )
            })
            .collect();
        ready.sort_by(|a, b| a.1.cmp(&b.1).then(b.2.total_cmp(&a.2)));
        for (id, ..) in ready {
            while let Some(pieces) = self.next_pieces(now, id) {
                self.request(now, id, pieces, actions);
            }
        }
    }

    /// The end game: who has nothing to do takes on what the slowest is still to bring.
    fn request_twice(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let idle: Vec<ProviderId> = self
            .providers
            .iter()
            .filter(|(_, p)| p.is_ready() && p.requests.is_empty())
            .filter(|(_, p)| !p.held.intersects(&self.missing))
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            if let Some(pieces) = self.rescue(now, id) {
                self.request(now, id, pieces, actions);
            }
        }
    }

    fn request(
        &mut self,
        now: Duration,
        id: ProviderId,
        pieces: Vec<PieceIndex>,
        actions: &mut Vec<Action>,
    ) {
        let Some(provider) = self.providers.get_mut(&id) else {
            return;
        };
        let request = self.next_request;
        self.next_request += 1;
        if provider.requests.is_empty() {
            provider.rate.begin(now);
            provider.awaited_since = Some(now);
        }
        provider.requests.push(request);
        for piece in &pieces {
            self.missing.remove(*piece);
        }
        self.requests.insert(
            request,
            Request {
                provider: id,
                waiting: pieces.clone(),
                last_progress: now,
                moved: false,
            },
        );
        actions.push(Action::Request {
            provider: id,
            request,
            pieces,
        });
    }
}
