//! Reading in order: requests for the pieces in a window that moves with a reader.
//!
//! Several providers send pieces of one window. The next pieces go to the provider that is expected
//! to have sent them first, given its rate and what it is still sending (earliest delivery path
//! first: Chebrolu and Rao, 2006). So a slow provider gets pieces that the reader needs later, or
//! none, and the reader waits for no other than the fastest.

use std::ops::Range;
use std::time::Duration;

use convite_core::PieceIndex;

use crate::event::{Action, ProviderId};
use crate::provider::Provider;
use crate::state::{Download, Request};

/// The assumed rate of providers if none is known, in bytes per second.
const ASSUMED_RATE: f64 = (16 << 20) as f64;

/// A provider that can be sent requests for a window.
pub(crate) struct Lane {
    pub(crate) provider: ProviderId,
    /// Bytes per second, measured or assumed.
    pub(crate) rate: f64,
    pub(crate) is_known: bool,
    /// Seconds until it has sent what it was asked for, and can send more.
    pub(crate) free_in: f64,
    /// The number of requests that it can be sent now.
    pub(crate) slots: usize,
    /// The size of its next request in bytes.
    pub(crate) size: f64,
}

impl Lane {
    /// Returns the seconds until it has sent these bytes, too.
    pub(crate) fn due_in(&self, bytes: u64) -> f64 {
        self.free_in + bytes as f64 / self.rate
    }
}

impl Download {
    pub(crate) fn handle_window(&mut self, window: Range<PieceIndex>, actions: &mut Vec<Action>) {
        let outside = |request: &Request| request.pending.iter().any(|p| !window.contains(p));
        let cancelled: Vec<_> = self
            .requests
            .iter()
            .filter(|(_, request)| outside(request))
            .map(|(id, _)| *id)
            .collect();
        for id in cancelled {
            self.drop_request(id);
            actions.push(Action::Cancel(id));
        }
        self.window = Some(window);
    }

    pub(crate) fn handle_discarded(&mut self, pieces: Range<PieceIndex>) {
        let mut next = pieces.start;
        while let Some(piece) = self.verified.next(next)
            && piece < pieces.end
        {
            self.verified.remove(piece);
            if self.wanted.contains(piece) {
                self.add_missing(piece);
            }
            next = piece + 1;
        }
    }

    /// Returns whether the piece may be requested now.
    pub(crate) fn is_in_window(&self, piece: PieceIndex) -> bool {
        let window = self.window.as_ref();
        window.is_none_or(|window| window.contains(&piece))
    }

    /// Returns whether the provider holds a missing piece that may be requested now.
    pub(crate) fn is_needed(&self, provider: &Provider) -> bool {
        match &self.window {
            None => provider.held.intersects(&self.missing),
            Some(window) => self.missing_in(window).any(|piece| provider.has(piece)),
        }
    }

    /// Returns whether all wanted pieces of the window are verified.
    pub(crate) fn awaits_reader(&self) -> bool {
        let mut requests = self.requests.values();
        self.window.as_ref().is_some_and(|window| {
            self.missing_in(window).next().is_none() && requests.all(|r| r.pending.is_empty())
        })
    }

    fn missing_in(&self, window: &Range<PieceIndex>) -> impl Iterator<Item = PieceIndex> {
        let (mut next, end) = (window.start, window.end);
        std::iter::from_fn(move || {
            let piece = self.missing.next(next).filter(|piece| *piece < end)?;
            next = piece + 1;
            Some(piece)
        })
    }

    /// Requests missing pieces of the window, those at its start first.
    pub(crate) fn request_in_order(
        &mut self,
        now: Duration,
        window: &Range<PieceIndex>,
        actions: &mut Vec<Action>,
    ) {
        let mut lanes = self.lanes(now, window);
        // It is unknown when a provider of unknown rate can send more.
        lanes.retain(|lane| lane.slots > 0 || lane.is_known);
        let mut next = window.start;
        let mut has_short_end = false;
        while lanes.iter().any(|lane| lane.slots > 0)
            && let Some(first) = self.missing.next(next).filter(|first| *first < window.end)
        {
            let Some((at, run)) = self.earliest_run(&lanes, first, window.end) else {
                // No provider holds it now.
                next = first + 1;
                continue;
            };
            next = run.end;
            let cost = self.cost_of(run.clone());
            let lane = &mut lanes[at];
            lane.free_in = lane.due_in(cost);
            // The end of the window is requested when it is worth a request, or after some time.
            let is_short = (cost as f64) < lane.size / 2.0 && first > window.start;
            if is_short && run.end == window.end && self.missing.contains(run.end) {
                has_short_end = true;
                let since = *self.short_end_since.get_or_insert(now);
                if now < since + self.limits.request_time {
                    continue;
                }
                self.short_end_since = None;
            }
            // The pieces are left to a provider that is busy if it is expected to send them first.
            if lane.slots > 0 {
                lane.slots -= 1;
                let provider = lane.provider;
                self.request(now, provider, run.collect(), actions);
            }
        }
        if !has_short_end {
            self.short_end_since = None;
        }
    }

    /// Returns the next pieces to request, and the position of the provider that is expected to
    /// have sent them first.
    fn earliest_run(
        &self,
        lanes: &[Lane],
        first: PieceIndex,
        end: PieceIndex,
    ) -> Option<(usize, Range<PieceIndex>)> {
        let runs = lanes.iter().enumerate().filter_map(|(at, lane)| {
            let run = self.ordered_run(lane, first, end);
            let due = lane.due_in(self.cost_of(run.clone()));
            (!run.is_empty()).then_some((at, run, due))
        });
        let first = runs.min_by(|a, b| a.2.total_cmp(&b.2))?;
        Some((first.0, first.1))
    }

    /// Returns the time at which the end of the window is requested, although it is short.
    pub(crate) fn short_end_due(&self) -> Option<Duration> {
        let due = self.short_end_since? + self.limits.request_time;
        // A past time has already been handled.
        (due > self.now).then_some(due)
    }

    /// Returns the providers that can be sent requests, or will be soon, except silent ones.
    pub(crate) fn lanes(&self, now: Duration, window: &Range<PieceIndex>) -> Vec<Lane> {
        let ready = || {
            let ready = self.providers.iter();
            ready.filter(|(_, p)| p.is_ready() && p.has_reported && !self.is_silent(now, p))
        };
        let known = ready().filter_map(|(_, p)| p.rate.bytes_per_second());
        let assumed = known.fold(0.0, f64::max);
        let assumed = if assumed > 0.0 { assumed } else { ASSUMED_RATE };
        let rate = |p: &Provider| p.rate.bytes_per_second().unwrap_or(assumed).max(1.0);
        let sum: f64 = ready().map(|(_, p)| rate(p)).sum();
        let window = self.cost_of(window.clone()) as f64;
        let lane = |(id, p): (&ProviderId, &Provider)| {
            let rate = rate(p);
            let wanted = match p.rate.bytes_per_second() {
                None => self.limits.request_first as f64 * 4f64.powi(p.answered.min(8) as i32),
                Some(rate) => rate * self.limits.request_time.as_secs_f64(),
            };
            // Two requests of each provider fit into the window.
            let share = window / 2.0 * rate / sum;
            let requests_max = match p.rate.bytes_per_second() {
                None if p.answered == 0 => 1,
                _ => self.limits.requests_per_provider,
            };
            let outstanding = |id| self.requests.get(id).map_or(0, |r| self.outstanding(r));
            let outstanding: u64 = p.requests.iter().map(outstanding).sum();
            let answer = match p.requests.is_empty() {
                true => p.response_time.max(p.avoided_until.saturating_sub(now)),
                false => Duration::ZERO,
            };
            Lane {
                provider: *id,
                rate,
                is_known: p.rate.bytes_per_second().is_some(),
                free_in: answer.as_secs_f64() + outstanding as f64 / rate,
                slots: requests_max.saturating_sub(p.requests.len()),
                size: wanted.min(share).min(self.limits.request_max as f64),
            }
        };
        ready().map(lane).collect()
    }

    /// Returns the consecutive missing pieces from `first` to before `end` that this provider
    /// holds, up to the size of its next request.
    fn ordered_run(&self, lane: &Lane, first: PieceIndex, end: PieceIndex) -> Range<PieceIndex> {
        let Some(provider) = self.providers.get(&lane.provider) else {
            return first..first;
        };
        let mut run = first..first;
        let mut cost = 0;
        while run.end < end
            && self.missing.contains(run.end)
            && provider.has(run.end)
            && (run.is_empty() || (cost as f64) < lane.size)
        {
            cost += self.costs.of(run.end);
            run.end += 1;
        }
        run
    }

    fn cost_of(&self, pieces: Range<PieceIndex>) -> u64 {
        let end = pieces.end.min(self.costs.piece_count());
        (pieces.start..end).map(|piece| self.costs.of(piece)).sum()
    }

    /// Returns the bytes that a request has still to deliver.
    pub(crate) fn outstanding(&self, request: &Request) -> u64 {
        let pending = request.pending.iter().map(|piece| self.costs.of(*piece));
        pending.sum::<u64>().saturating_sub(request.unverified)
    }
}
