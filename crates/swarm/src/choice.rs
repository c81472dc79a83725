//! The choice of what to ask of a provider next: of what is missing, or, at the end, of what
//! others are still to bring.

use std::ops::Range;
use std::time::Duration;

use convite_core::PieceIndex;

use crate::download::{Download, Request};
use crate::provider::ProviderId;

impl Download {
    /// What to ask next of a provider that is ready; none if it has enough to do or nothing is
    /// missing.
    pub(crate) fn next_run(&self, id: ProviderId) -> Option<Range<PieceIndex>> {
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

    /// The run that would come latest as things stand, if `id` is likely to bring it sooner: the
    /// later half of what a request still waits for, as far as nobody else was asked for it.
    pub(crate) fn rescue(&self, now: Duration, id: ProviderId) -> Option<Range<PieceIndex>> {
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
}
