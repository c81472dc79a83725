//! The state machine of a download: applies events to its [`state`](crate::state).

use std::time::Duration;

use convite_core::PieceIndex;

use crate::event::{Action, DownloadOutcome, Event, ProviderFailure, ProviderId, RequestId};
use crate::invariants;
use crate::pieces::PieceSet;
use crate::provider::{Provider, ProviderState};
use crate::state::{Download, LocateState, Request};

/// The maximum delay before a provider that is certainly lost is dialled again.
const GONE_RETRY: Duration = Duration::from_millis(500);

impl Download {
    /// Handles an event at `now` (time since the start, never decreasing) and appends the resulting
    /// actions. Events of cancelled requests are ignored, except for the pieces that they
    /// delivered.
    pub fn handle(&mut self, now: Duration, event: Event, actions: &mut Vec<Action>) {
        if self.outcome.is_some() {
            return;
        }
        self.now = now;
        match event {
            Event::Tick => {}
            Event::Found(provider) => self.handle_found(now, provider, actions),
            Event::Distance(provider, distance) => {
                let count = self.costs.piece_count();
                let provider = self.providers.entry(provider);
                provider.or_insert_with(|| Provider::new(count)).distance = distance;
            }
            Event::Located => self.handle_located(now),
            Event::LocateFailed => self.handle_locate_failed(now),
            Event::Unlisted(provider) => {
                if let Some(p) = self.providers.get_mut(&provider)
                    && let ProviderState::Lost(until) = p.state
                {
                    p.is_gone = true;
                    p.state = ProviderState::Lost(until.min(now + GONE_RETRY));
                }
            }
            Event::Ready(provider) => {
                if let Some(p) = self.providers.get_mut(&provider)
                    && p.state == ProviderState::Dialling
                {
                    p.state = ProviderState::Ready;
                    p.connections += 1;
                    p.is_gone = false;
                    p.ready_since = now;
                }
            }
            Event::HasAll(provider) => {
                if let Some(p) = self.providers.get_mut(&provider) {
                    p.held = PieceSet::full(self.costs.piece_count());
                    p.has_reported = true;
                }
            }
            Event::Has(provider, pieces) => self.handle_has(provider, &pieces),
            Event::Promised(_, pieces) => self.handle_promised(&pieces, true),
            Event::PromisedBefore(_, pieces) => self.handle_promised(&pieces, false),
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
            Event::Window(window) => self.handle_window(window, actions),
            Event::Discarded(pieces) => self.handle_discarded(pieces),
            Event::Pause => self.pause(actions),
            Event::Resume => self.resume(now),
            Event::Cancel => self.finish(DownloadOutcome::Cancelled, actions),
        }
        self.plan(now, actions);
        invariants::check(self);
    }

    /// Returns the time at which [`Event::Tick`] is due if no other event happens before.
    pub fn next_deadline(&self) -> Option<Duration> {
        if self.outcome.is_some() || self.paused {
            return None;
        }
        let asking = match self.locate {
            LocateState::Pending => None,
            LocateState::DueAt(at) => Some(at),
        };
        let retries = self.providers.values().filter_map(|p| match p.state {
            ProviderState::Lost(until) => Some(until),
            _ => None,
        });
        let retries = self.unusable_since.and_then(|_| retries.min());
        let held_back = self
            .providers
            .values()
            .filter_map(|p| self.held_back_until(p))
            // A past deadline has already been handled.
            .filter(|until| *until > self.now);
        let waiting = self.next_timeout().into_iter();
        waiting.chain(asking).chain(retries).chain(held_back).min()
    }

    fn handle_has(&mut self, id: ProviderId, pieces: &[PieceIndex]) {
        let Some(provider) = self.providers.get_mut(&id) else {
            return;
        };
        self.in_swarm = true;
        provider.has_reported = true;
        for piece in pieces {
            if provider.held.insert(*piece)
                && let Some(copies) = self.copies.get_mut(*piece as usize)
            {
                *copies = copies.saturating_add(1);
            }
        }
    }

    fn handle_promised(&mut self, pieces: &[PieceIndex], just_now: bool) {
        for piece in pieces {
            // Pieces that are not missing were promised to this download, or do not matter to it.
            if self.missing.contains(*piece) {
                self.in_swarm |= just_now;
                let copies = &mut self.copies[*piece as usize];
                *copies = copies.saturating_add(1);
            }
        }
    }

    fn handle_located(&mut self, now: Duration) {
        self.located_none = !self.has_usable_provider();
        let delay = if self.located_none {
            self.failed_locates += 1;
            self.backoff()
        } else {
            self.failed_locates = 0;
            self.limits.locate_interval
        };
        self.locate = LocateState::DueAt(now + delay);
    }

    fn handle_locate_failed(&mut self, now: Duration) {
        self.located_none = false;
        self.failed_locates += 1;
        self.locate = LocateState::DueAt(now + self.backoff());
    }

    /// Returns 250 ms, doubled with each query in vain, up to 4 s.
    fn backoff(&self) -> Duration {
        Duration::from_millis(250) * (1 << self.failed_locates.saturating_sub(1).min(4))
    }

    pub(crate) fn handle_lost(
        &mut self,
        now: Duration,
        id: ProviderId,
        failure: ProviderFailure,
        actions: &mut Vec<Action>,
    ) {
        if failure == ProviderFailure::Dishonest {
            self.ban(id, actions);
            return;
        }
        self.drop_requests_of(id);
        let Some(provider) = self.providers.get_mut(&id) else {
            return;
        };
        if provider.state == ProviderState::Banned {
            return;
        }
        provider.failures += 1;
        provider.is_busy = failure == ProviderFailure::Busy;
        provider.is_gone = failure == ProviderFailure::Gone;
        // No delay after the first loss: a new connection usually works.
        let wait = Duration::from_millis(250) * ((1u32 << provider.failures.min(5)) - 2);
        // Dial a provider that is given up soon often enough to notice its return in time.
        let wait = if provider.is_gone {
            wait.min(GONE_RETRY)
        } else {
            wait
        };
        provider.state = ProviderState::Lost(now + wait);
        if failure == ProviderFailure::Refused {
            self.locate_soon(now);
        }
    }

    /// Makes the next directory query due now, unless the previous one was in vain.
    pub(crate) fn locate_soon(&mut self, now: Duration) {
        if let LocateState::DueAt(at) = self.locate {
            let soonest = if self.failed_locates == 0 { now } else { at };
            self.locate = LocateState::DueAt(at.min(soonest));
        }
    }

    fn handle_received(&mut self, now: Duration, id: RequestId, bytes: u64) {
        if let Some(request) = self.requests.get_mut(&id) {
            request.last_progress = now;
            request.has_received |= bytes > 0;
            request.unverified += bytes;
            if let Some(provider) = self.providers.get_mut(&request.provider) {
                provider.received(now, bytes);
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
        if let Some(since) = &mut self.unusable_since {
            *since = now;
        }
        let cost = self.costs.of(piece);
        let sender = self.requests.get_mut(&id).map(|request| {
            request.unverified = request.unverified.saturating_sub(cost);
            request.provider
        });
        if let Some(provider) = sender.and_then(|sender| self.providers.get_mut(&sender)) {
            provider.failures = 0;
            provider.is_busy = false;
            provider.stalls = 0;
            provider.waiting_since = Some(now);
        }
        // Also for cancelled requests: the piece is verified, whichever request delivered it. Only
        // a piece outside the window is not kept.
        if !self.is_in_window(piece) {
            return;
        }
        self.verified.insert(piece);
        self.remove_missing(piece);
        // Near the end, the piece may have been requested from a second provider.
        let mut superfluous = Vec::new();
        for (other, request) in &mut self.requests {
            request.pending.retain(|waiting| *waiting != piece);
            if request.pending.is_empty() && *other != id {
                superfluous.push(*other);
            }
        }
        for other in superfluous {
            self.note_stall(now, other);
            self.drop_request(other);
            actions.push(Action::Cancel(other));
        }
    }

    fn ban(&mut self, id: ProviderId, actions: &mut Vec<Action>) {
        self.drop_requests_of(id);
        if let Some(provider) = self.providers.get_mut(&id)
            && provider.state != ProviderState::Banned
        {
            provider.state = ProviderState::Banned;
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

    /// Removes a request. Its undelivered pieces are missing again, unless another request covers
    /// them.
    pub(crate) fn drop_request(&mut self, id: RequestId) {
        let Some(request) = self.requests.remove(&id) else {
            return;
        };
        if let Some(provider) = self.providers.get_mut(&request.provider) {
            provider.requests.retain(|other| *other != id);
            if provider.requests.is_empty() {
                provider.waiting_since = None;
            }
        }
        for piece in request.pending {
            let asked = self.requests.values().any(|r| r.pending.contains(&piece));
            if !asked && !self.verified.contains(piece) {
                self.add_missing(piece);
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
        // No providers were searched during the pause, so its time does not count.
        if let Some(since) = &mut self.unusable_since {
            *since = now;
        }
    }

    /// Plans the next steps after an event: finishes, or sends requests and queries.
    fn plan(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.outcome.is_some() {
            return;
        }
        if self.is_complete() {
            self.finish(DownloadOutcome::Complete, actions);
            return;
        }
        if self.paused {
            return;
        }
        self.handle_timeouts(now, actions);
        if let Some(window) = self.window.clone() {
            self.hedge(now, &window, actions);
            self.request_in_order(now, &window, actions);
        } else {
            self.request_missing(now, actions);
            self.request_duplicates(now, actions);
        }
        self.update_pool(now, actions);
    }

    fn is_complete(&self) -> bool {
        let mut requests = self.requests.values();
        self.missing.is_empty() && requests.all(|request| request.pending.is_empty())
    }

    pub(crate) fn finish(&mut self, outcome: DownloadOutcome, actions: &mut Vec<Action>) {
        for id in std::mem::take(&mut self.requests).into_keys() {
            actions.push(Action::Cancel(id));
        }
        for provider in self.providers.values_mut() {
            provider.requests.clear();
            provider.waiting_since = None;
        }
        self.outcome = Some(outcome);
        actions.push(Action::Finish(outcome));
    }

    fn request_missing(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.in_swarm {
            self.update_promised(now);
        }
        // Nearest providers first, which saves traffic between networks; among those the fastest
        // first, so that near the end no pieces are left for slow ones to delay.
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

    pub(crate) fn request(
        &mut self,
        now: Duration,
        id: ProviderId,
        pieces: Vec<PieceIndex>,
        actions: &mut Vec<Action>,
    ) {
        for piece in &pieces {
            self.remove_missing(*piece);
        }
        let Some(provider) = self.providers.get_mut(&id) else {
            return;
        };
        let request = self.next_request;
        self.next_request += 1;
        provider.asked(now, request);
        self.requests.insert(
            request,
            Request {
                provider: id,
                pending: pieces.clone(),
                last_progress: now,
                has_received: false,
                unverified: 0,
            },
        );
        actions.push(Action::Request {
            provider: id,
            request,
            pieces,
        });
    }
}
