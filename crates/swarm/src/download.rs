//! The state machine of one download.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use convite_core::{PieceGeometry, PieceIndex};

use crate::invariants;
use crate::pieces::PieceSet;
use crate::provider::{Provider, ProviderId, State};

/// The number of a request, never used twice in a download.
pub type RequestId = u64;

/// Bounds and patience of a download; the defaults suit everyone.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests under way at one provider: two, so that one is on its way while another is read.
    pub requests_per_provider: usize,
    /// A request asks for about this much time's worth of bytes...
    pub request_time: Duration,
    /// ...but for no more than this many bytes,
    pub request_max: u64,
    /// and for this many while the rate is not known.
    pub request_first: u64,
    /// A request that brings no byte for so long is asked of another provider.
    pub stall: Duration,
    /// Without any provider for so long, the download gives up.
    pub patience: Duration,
    /// How often the directory is asked for more providers while there are some.
    pub refresh: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_provider: 2,
            request_time: Duration::from_millis(500),
            request_max: 32 << 20,
            request_first: 2 << 20,
            stall: Duration::from_secs(4),
            patience: Duration::from_secs(30),
            refresh: Duration::from_secs(60),
        }
    }
}

/// Why a provider or a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It could not be reached, broke off, or is busy: it may be tried again.
    Unreachable,
    /// It does not let us in any more (the ticket ran out): a new ticket may help.
    Refused,
    /// Its piece hashes do not belong to the content: it is of no use.
    Dishonest,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Nothing but time: a deadline has come.
    Tick,
    /// The directory names a provider, for the first time or again.
    Found(ProviderId),
    /// The directory has answered; all it names were [`Event::Found`] before.
    Located,
    /// The directory could not be asked.
    LocateFailed,
    /// A dialled provider answered, and its piece hashes are verified.
    Ready(ProviderId),
    /// A provider is gone, with all that was asked of it.
    Lost(ProviderId, Failure),
    /// Bytes came in answer to a request.
    Received(RequestId, u64),
    /// A piece was checked against the content hash and written.
    Verified(RequestId, PieceIndex),
    /// A piece is not what its hash says.
    Corrupt(RequestId, PieceIndex),
    /// A request ended; pieces of it that did not come are missing again.
    Ended(RequestId),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Connect to a provider and verify its piece hashes; answer [`Event::Ready`] or
    /// [`Event::Lost`].
    Dial(ProviderId),
    /// Ask a provider for a run of pieces.
    Request {
        /// Of whom.
        provider: ProviderId,
        /// The number of this request.
        request: RequestId,
        /// Which pieces; never empty.
        run: Range<PieceIndex>,
    },
    /// Give up a request; no event about it is expected any more.
    Cancel(RequestId),
    /// Drop the connection to a provider that lies, for good.
    Ban(ProviderId),
    /// Ask the directory who holds the file; answer [`Event::Located`] or
    /// [`Event::LocateFailed`].
    Locate,
    /// The download is over; nothing is expected any more.
    Finish(Outcome),
}

/// How a download ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every piece is verified.
    Complete,
    /// Nobody could be reached for [`Limits::patience`].
    NoProviders,
    /// Everybody who could be reached sent wrong bytes.
    NoneHonest,
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) provider: ProviderId,
    /// Pieces asked for and not verified since.
    pub(crate) waiting: Vec<PieceIndex>,
    pub(crate) last_progress: Duration,
}

/// When the directory was or will be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asking {
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
    next_request: RequestId,
    asking: Asking,
    /// How often in a row the directory was asked in vain.
    asked_in_vain: u32,
    /// Since when nobody is ready or being dialled.
    alone_since: Option<Duration>,
    pub(crate) outcome: Option<Outcome>,
}

impl Download {
    /// A download of the pieces that are not in `verified`. It begins with its first event, which
    /// may be [`Event::Tick`].
    pub fn new(geometry: PieceGeometry, verified: PieceSet, limits: Limits) -> Self {
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
            next_request: 0,
            asking: Asking::At(Duration::ZERO),
            asked_in_vain: 0,
            alone_since: Some(Duration::ZERO),
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
    /// be done about it. Events about requests that were cancelled are passed over.
    pub fn handle(&mut self, now: Duration, event: Event, actions: &mut Vec<Action>) {
        if self.outcome.is_some() {
            return;
        }
        match event {
            Event::Tick => {}
            Event::Found(provider) => self.handle_found(now, provider, actions),
            Event::Located => self.handle_located(now),
            Event::LocateFailed => self.handle_locate_failed(now),
            Event::Ready(provider) => {
                if let Some(p) = self.providers.get_mut(&provider)
                    && p.state == State::Dialling
                {
                    p.state = State::Ready;
                }
            }
            Event::Lost(provider, failure) => self.handle_lost(now, provider, failure, actions),
            Event::Received(request, bytes) => self.handle_received(now, request, bytes),
            Event::Verified(request, piece) => self.handle_verified(request, piece, actions),
            Event::Corrupt(request, _) => {
                if let Some(provider) = self.requests.get(&request).map(|r| r.provider) {
                    self.ban(provider, actions);
                }
            }
            Event::Ended(request) => {
                self.drop_request(request);
            }
        }
        self.plan(now, actions);
        invariants::check(self);
    }

    /// When [`Event::Tick`] is due if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Duration> {
        if self.outcome.is_some() {
            return None;
        }
        let stalls = self
            .requests
            .values()
            .map(|r| r.last_progress + self.limits.stall);
        let asking = match self.asking {
            Asking::Under => None,
            Asking::At(at) => Some(at),
        };
        let alone = self.alone_since.map(|since| since + self.limits.patience);
        let retries = self.providers.values().filter_map(|p| match p.state {
            State::Lost(until) => Some(until),
            _ => None,
        });
        let retries = self.alone_since.and_then(|_| retries.min());
        stalls.chain(asking).chain(alone).chain(retries).min()
    }

    fn handle_found(&mut self, now: Duration, id: ProviderId, actions: &mut Vec<Action>) {
        match self.providers.get_mut(&id) {
            None => {
                self.providers.insert(id, Provider::new());
                actions.push(Action::Dial(id));
            }
            Some(provider) => {
                if let State::Lost(until) = provider.state
                    && until <= now
                {
                    provider.state = State::Dialling;
                    actions.push(Action::Dial(id));
                }
            }
        }
    }

    fn handle_located(&mut self, now: Duration) {
        let somebody = self.somebody_is_there();
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

    fn handle_lost(
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
        // At once after the first loss: a connection that broke is usually whole again.
        let wait = Duration::from_millis(250) * ((1u32 << provider.failures.min(5)) - 2);
        provider.state = State::Lost(now + wait);
        if failure == Failure::Refused {
            self.ask_soon(now);
        }
    }

    /// The directory is asked at once, if it was not asked in vain just before.
    fn ask_soon(&mut self, now: Duration) {
        if let Asking::At(at) = self.asking {
            let soonest = if self.asked_in_vain == 0 { now } else { at };
            self.asking = Asking::At(at.min(soonest));
        }
    }

    fn handle_received(&mut self, now: Duration, id: RequestId, bytes: u64) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.last_progress = now;
            if let Some(provider) = self.providers.get_mut(&request.provider) {
                provider.rate.received(now, bytes);
            }
        }
    }

    fn handle_verified(&mut self, id: RequestId, piece: PieceIndex, actions: &mut Vec<Action>) {
        let Some(request) = self.requests.get_mut(&id) else {
            return;
        };
        if let Some(provider) = self.providers.get_mut(&request.provider) {
            provider.failures = 0;
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

    fn drop_requests_of(&mut self, provider: ProviderId) {
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
        }
        for piece in request.waiting {
            let asked = self.requests.values().any(|r| r.waiting.contains(&piece));
            if !asked && !self.verified.contains(piece) {
                self.missing.insert(piece);
            }
        }
    }

    /// Whether anyone is ready or being dialled.
    fn somebody_is_there(&self) -> bool {
        self.providers
            .values()
            .any(|p| matches!(p.state, State::Ready | State::Dialling))
    }

    /// After any event: finishes, or asks whoever has room for what is missing.
    fn plan(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.verified.is_full() {
            self.finish(Outcome::Complete, actions);
            return;
        }
        self.handle_stalls(now, actions);
        self.request_missing(now, actions);
        self.request_twice(now, actions);
        self.look_for_providers(now, actions);
    }

    fn finish(&mut self, outcome: Outcome, actions: &mut Vec<Action>) {
        for id in std::mem::take(&mut self.requests).into_keys() {
            actions.push(Action::Cancel(id));
        }
        for provider in self.providers.values_mut() {
            provider.requests.clear();
        }
        self.outcome = Some(outcome);
        actions.push(Action::Finish(outcome));
    }

    fn handle_stalls(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let stalled: Vec<ProviderId> = self
            .requests
            .values()
            .filter(|request| request.last_progress + self.limits.stall <= now)
            .map(|request| request.provider)
            .collect();
        for id in stalled {
            let Some(provider) = self.providers.get_mut(&id) else {
                continue;
            };
            // A request waits while an older one at the same provider brings bytes.
            let moving = provider.requests.iter().any(|other| {
                self.requests
                    .get(other)
                    .is_some_and(|r| r.last_progress + self.limits.stall > now)
            });
            if moving {
                for other in &provider.requests {
                    if let Some(request) = self.requests.get_mut(other) {
                        request.last_progress = now;
                    }
                }
                continue;
            }
            for request in provider.requests.clone() {
                actions.push(Action::Cancel(request));
            }
            self.handle_lost(now, id, Failure::Unreachable, actions);
        }
    }

    fn request_missing(&mut self, now: Duration, actions: &mut Vec<Action>) {
        // The fastest first, so that near the end the slow ones find nothing left to delay.
        let mut ready: Vec<(ProviderId, f64)> = self
            .providers
            .iter()
            .filter(|(_, p)| p.is_ready())
            .map(|(id, p)| (*id, p.rate.bytes_per_second().unwrap_or(f64::MAX)))
            .collect();
        ready.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (id, _) in ready {
            while let Some(run) = self.next_run(id) {
                self.request(now, id, run, actions);
            }
        }
    }

    /// What to ask next of a provider that is ready; none if it has enough to do or nothing is
    /// missing.
    fn next_run(&self, id: ProviderId) -> Option<Range<PieceIndex>> {
        let provider = self.providers.get(&id)?;
        if provider.requests.len() >= self.limits.requests_per_provider {
            return None;
        }
        // The last piece proves the size of the file: before it is verified, nothing else is
        // worth much.
        let last = self.geometry.piece_count().checked_sub(1)?;
        if self.missing.contains(last) {
            return Some(last..last + 1);
        }
        let first = self.missing.next(0)?;
        let wanted = match provider.rate.bytes_per_second() {
            None => self.limits.request_first as f64,
            Some(rate) => rate * self.limits.request_time.as_secs_f64(),
        };
        // Near the end everyone gets a share of what is left.
        let left = f64::from(self.missing.len()) * self.geometry.piece_size() as f64;
        let share = match self.ready() {
            0 | 1 => left,
            ready => left / (2 * ready) as f64,
        };
        let bytes = wanted.min(share).min(self.limits.request_max as f64);
        let pieces = (bytes / self.geometry.piece_size() as f64).ceil().max(1.0);
        Some(self.missing.run(first, pieces as u32))
    }

    /// The end game: who has nothing to do takes on what the slowest is still to bring.
    fn request_twice(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if !self.missing.is_empty() {
            return;
        }
        let idle: Vec<ProviderId> = self
            .providers
            .iter()
            .filter(|(_, p)| p.is_ready() && p.requests.is_empty())
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            if let Some(run) = self.rescue(now, id) {
                self.request(now, id, run, actions);
            }
        }
    }

    /// The run that would come latest as things stand, if `id` is likely to bring it sooner: the
    /// later half of what a request still waits for, as far as nobody else was asked for it.
    fn rescue(&self, now: Duration, id: ProviderId) -> Option<Range<PieceIndex>> {
        let piece_time = |provider: ProviderId| {
            let rate = self.providers.get(&provider)?.rate.bytes_per_second()?;
            Some(self.geometry.piece_size() as f64 / rate.max(1.0))
        };
        let own = piece_time(id)?;
        let asked_once = |piece: &PieceIndex| {
            let asked = self.requests.values().filter(|r| r.waiting.contains(piece));
            asked.count() == 1
        };
        let due_in = |request: &Request| {
            let silent = now.saturating_sub(request.last_progress).as_secs_f64();
            let pace = piece_time(request.provider).unwrap_or(own);
            request.waiting.len() as f64 * pace.max(silent / 2.0)
        };
        let (due, latest) = self
            .requests
            .values()
            .filter(|request| request.provider != id)
            .filter(|request| request.waiting.last().is_some_and(asked_once))
            .map(|request| (due_in(request), request))
            .max_by(|a, b| a.0.total_cmp(&b.0))?;
        let end = latest.waiting.last()? + 1;
        let half = (latest.waiting.len() as u32).div_ceil(2);
        let mut start = end - 1;
        while end - start < half
            && start > 0
            && latest.waiting.contains(&(start - 1))
            && asked_once(&(start - 1))
        {
            start -= 1;
        }
        (own * f64::from(end - start) < due * 0.9).then_some(start..end)
    }

    fn request(
        &mut self,
        now: Duration,
        id: ProviderId,
        run: Range<PieceIndex>,
        actions: &mut Vec<Action>,
    ) {
        let Some(provider) = self.providers.get_mut(&id) else {
            return;
        };
        let request = self.next_request;
        self.next_request += 1;
        if provider.requests.is_empty() {
            provider.rate.begin(now);
        }
        provider.requests.push(request);
        for piece in run.clone() {
            self.missing.remove(piece);
        }
        self.requests.insert(
            request,
            Request {
                provider: id,
                waiting: run.clone().collect(),
                last_progress: now,
            },
        );
        actions.push(Action::Request {
            provider: id,
            request,
            run,
        });
    }

    fn look_for_providers(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.somebody_is_there() {
            self.alone_since = None;
        } else {
            let since = *self.alone_since.get_or_insert(now);
            let all_banned = !self.providers.is_empty()
                && self.providers.values().all(|p| p.state == State::Banned);
            // Whoever else holds the file would have been named by the last answer.
            let asked = self.asked_in_vain > 0;
            if all_banned && asked {
                self.finish(Outcome::NoneHonest, actions);
                return;
            }
            if now >= since + self.limits.patience {
                self.finish(Outcome::NoProviders, actions);
                return;
            }
            let retry: Vec<ProviderId> = self
                .providers
                .iter()
                .filter(|(_, p)| matches!(p.state, State::Lost(until) if until <= now))
                .map(|(id, _)| *id)
                .collect();
            for id in retry {
                self.handle_found(now, id, actions);
            }
            if !self.somebody_is_there() {
                self.ask_soon(now);
            }
        }
        if let Asking::At(at) = self.asking
            && at <= now
        {
            self.asking = Asking::Under;
            actions.push(Action::Locate);
        }
    }
}
