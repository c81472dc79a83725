//! Hedged requests: a reader does not wait for a provider that stalls.
//!
//! Pieces of the window that a silent provider was asked for are also requested from another one
//! (hedged requests: Dean and Barroso, "The tail at scale", 2013). If that one is silent, too, the
//! first is lost, and a third one is asked. The piece for which the reader waits is also requested
//! from an idle provider that is much faster than the one that is sending it.

use std::ops::Range;
use std::time::Duration;

use convite_core::PieceIndex;

use crate::event::{Action, ProviderId, RequestId};
use crate::provider::Provider;
use crate::sequential::Lane;
use crate::state::Download;

/// The factor by which another provider must be faster to send the piece for which a reader waits.
const MUCH_FASTER: f64 = 2.0;

impl Download {
    /// Returns the time without received bytes after which a provider is silent: its usual time to
    /// answer is not a stall.
    fn silent_after(&self, provider: &Provider) -> Duration {
        let usual = provider.response_time * 2;
        let after = self.limits.hedge_after.max(usual);
        provider.last_progress + after.min(self.limits.stall_timeout)
    }

    /// Returns whether the provider stalls.
    pub(crate) fn is_silent(&self, now: Duration, provider: &Provider) -> bool {
        self.owes_pieces(provider) && self.silent_after(provider) <= now
    }

    /// Records that a request is superfluous, because another provider sent its pieces.
    pub(crate) fn note_stall(&mut self, now: Duration, id: RequestId) {
        let id = self.requests.get(&id).map(|request| request.provider);
        // Its pieces are no longer pending, so `is_silent` does not apply.
        let until = |provider| self.silent_after(provider);
        let until = id.and_then(|id| self.providers.get(&id)).map(until);
        if until.is_some_and(|until| until <= now)
            && let Some(provider) = id.and_then(|id| self.providers.get_mut(&id))
        {
            provider.stalled(now);
        }
    }

    fn owes_pieces(&self, provider: &Provider) -> bool {
        let mut requests = provider.requests.iter();
        let request = |id: &RequestId| self.requests.get(id);
        requests.any(|id| request(id).is_some_and(|request| !request.pending.is_empty()))
    }

    /// Returns the first time at which a provider becomes silent.
    pub(crate) fn next_hedge(&self) -> Option<Duration> {
        self.window.as_ref()?;
        let waiting = self.providers.values().filter(|p| self.owes_pieces(p));
        let silent = waiting.map(|provider| self.silent_after(provider));
        // A past time has already been handled.
        silent.filter(|at| *at > self.now).min()
    }

    /// Requests pieces of silent providers from others, and the piece for which the reader waits
    /// from a faster one.
    pub(crate) fn hedge(
        &mut self,
        now: Duration,
        window: &Range<PieceIndex>,
        actions: &mut Vec<Action>,
    ) {
        let mut lanes = self.lanes(now, window);
        lanes.retain(|lane| lane.slots > 0);
        let mut next = window.start;
        while !lanes.is_empty()
            && let Some(piece) = self.stalled_piece(now, next, window.end)
        {
            next = piece + 1;
            let Some(at) = self.earliest(&lanes, piece) else {
                continue;
            };
            if let [first, _] = self.requests_for(piece)[..]
                && let Some(provider) = self.requests.get(&first).map(|r| r.provider)
            {
                self.lose_stalled(now, provider, actions);
            }
            self.duplicate(now, piece, lanes.swap_remove(at), actions);
        }
        self.hedge_head(now, window, lanes, actions);
    }

    /// Returns the first piece from `start` to before `end` for which only silent providers were
    /// asked.
    fn stalled_piece(
        &self,
        now: Duration,
        start: PieceIndex,
        end: PieceIndex,
    ) -> Option<PieceIndex> {
        let is_silent = |id: &ProviderId| {
            let provider = self.providers.get(id);
            provider.is_some_and(|provider| self.is_silent(now, provider))
        };
        let requests = || self.requests.values();
        let silent = requests().filter(|request| is_silent(&request.provider));
        let pieces = silent.flat_map(|request| request.pending.iter().copied());
        let pieces = pieces.filter(|piece| (start..end).contains(piece));
        let is_coming = |piece: &PieceIndex| {
            let mut moving = requests().filter(|request| !is_silent(&request.provider));
            moving.any(|request| request.pending.contains(piece))
        };
        pieces.filter(|piece| !is_coming(piece)).min()
    }

    /// Returns a piece of the window that only silent providers were asked for, although an idle one
    /// holds it.
    pub(crate) fn needlessly_stalled(&self) -> Option<PieceIndex> {
        let window = self.window.clone()?;
        let idle = |p: &&Provider| p.is_ready() && p.has_reported && p.requests.is_empty();
        let mut next = window.start;
        while let Some(piece) = self.stalled_piece(self.now, next, window.end) {
            if self.providers.values().filter(idle).any(|p| p.has(piece)) {
                return Some(piece);
            }
            next = piece + 1;
        }
        None
    }

    /// Returns the requests for a piece, oldest first.
    fn requests_for(&self, piece: PieceIndex) -> Vec<RequestId> {
        let requests = self.requests.iter();
        let asked = requests.filter(|(_, request)| request.pending.contains(&piece));
        asked.map(|(id, _)| *id).collect()
    }

    /// Returns the position of the provider that is expected to send a piece first.
    fn earliest(&self, lanes: &[Lane], piece: PieceIndex) -> Option<usize> {
        let cost = self.costs.of(piece);
        let holds = |lane: &Lane| {
            let provider = self.providers.get(&lane.provider);
            provider.is_some_and(|provider| provider.has(piece))
        };
        let able = lanes.iter().enumerate().filter(|(_, lane)| holds(lane));
        able.min_by(|a, b| a.1.due_in(cost).total_cmp(&b.1.due_in(cost)))
            .map(|(at, _)| at)
    }

    /// Requests a piece and those after it in the same request from a second provider.
    fn duplicate(
        &mut self,
        now: Duration,
        piece: PieceIndex,
        lane: Lane,
        actions: &mut Vec<Action>,
    ) {
        let Some(provider) = self.providers.get(&lane.provider) else {
            return;
        };
        let asked = self.requests_for(piece);
        let pending = asked.first().and_then(|id| self.requests.get(id));
        let pending = pending.map_or_else(|| vec![piece], |request| request.pending.clone());
        let mut cost = 0;
        let pieces: Vec<PieceIndex> = pending
            .into_iter()
            .skip_while(|other| *other != piece)
            .take_while(|other| {
                let is_first = cost == 0;
                let fits = is_first || (cost as f64) < lane.size;
                cost += self.costs.of(*other);
                fits && provider.has(*other) && self.requests_for(*other).len() <= 1
            })
            .collect();
        if !pieces.is_empty() {
            self.request(now, lane.provider, pieces, actions);
        }
    }

    /// Requests the piece for which the reader waits from an idle provider that is much faster.
    fn hedge_head(
        &mut self,
        now: Duration,
        window: &Range<PieceIndex>,
        mut lanes: Vec<Lane>,
        actions: &mut Vec<Action>,
    ) {
        let head = window.start;
        let [asked] = self.requests_for(head)[..] else {
            return;
        };
        let Some(request) = self.requests.get(&asked) else {
            return;
        };
        let is_idle = |id| {
            self.providers
                .get(&id)
                .is_some_and(|p| p.requests.is_empty())
        };
        let idle = |lane: &Lane| lane.provider != request.provider && is_idle(lane.provider);
        lanes.retain(idle);
        let all = self.lanes(now, window);
        let Some(sender) = all.iter().find(|lane| lane.provider == request.provider) else {
            return;
        };
        let due = self.outstanding_until(asked, head) as f64 / sender.rate;
        let Some(at) = self.earliest(&lanes, head) else {
            return;
        };
        let sooner = lanes[at].due_in(self.costs.of(head));
        if due > self.limits.hedge_after.as_secs_f64() && sooner * MUCH_FASTER < due {
            self.duplicate(now, head, lanes.swap_remove(at), actions);
        }
    }

    /// Returns the bytes that a provider still sends until this piece of a request is complete.
    fn outstanding_until(&self, id: RequestId, piece: PieceIndex) -> u64 {
        let Some(request) = self.requests.get(&id) else {
            return 0;
        };
        let requests = self.requests.range(..id).map(|(_, other)| other);
        let older = requests.filter(|other| other.provider == request.provider);
        let older: u64 = older.map(|other| self.outstanding(other)).sum();
        let before = request.pending.iter().take_while(|other| **other != piece);
        let pieces = before.chain([&piece]).map(|piece| self.costs.of(*piece));
        older + pieces.sum::<u64>().saturating_sub(request.unverified)
    }
}
