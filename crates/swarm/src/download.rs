//! The state machine of one download.

use std::collections::BTreeMap;
use std::ops::Range;
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
    /// Since when nobody is ready or being dialled for the first time.
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
        // A dial to one that was lost is a hope and no company: the dead would be dialled for ever.
        let has_company = self
            .providers
            .values()
            .any(|p| p.is_ready() || (p.state == State::Dialling && p.failures == 0));
        if has_company {
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
