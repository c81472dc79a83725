//! The end game: idle providers also send pieces that were requested from slower ones.
//!
//! A piece is requested from at most two providers. If both of them deliver almost nothing, one
//! request is cancelled in favour of a third provider.

use std::time::Duration;

use convite_core::PieceIndex;

use crate::event::{Action, ProviderId, RequestId};
use crate::state::{Download, Request};

/// A third provider replaces one of two that need this many times as long.
const MUCH_FASTER: f64 = 10.0;

impl Download {
    /// Lets idle providers duplicate requests of the slowest ones.
    pub(crate) fn request_duplicates(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let idle: Vec<ProviderId> = self
            .providers
            .iter()
            .filter(|(_, p)| p.is_ready() && p.requests.is_empty())
            .filter(|(_, p)| !p.held.intersects(&self.missing))
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            let mut pieces = self.duplicate_of_slowest(now, id);
            if pieces.is_none()
                && let Some(slow) = self.hopeless_request(now, id)
            {
                self.drop_request(slow);
                actions.push(Action::Cancel(slow));
                pieces = self.duplicate_of_slowest(now, id);
            }
            if let Some(pieces) = pieces {
                self.request(now, id, pieces, actions);
            }
        }
    }

    /// Returns pieces of the request expected to finish last, if provider `id` is likely to deliver
    /// them sooner: the later half of its waiting pieces, unless a second provider was already
    /// asked.
    fn duplicate_of_slowest(&self, now: Duration, id: ProviderId) -> Option<Vec<PieceIndex>> {
        let rescuer = self.providers.get(&id)?;
        // A provider of unknown rate only replaces providers that deliver almost nothing.
        let is_known = self.piece_time(id).is_some();
        let own = self.assumed_piece_time(id);
        let asked_once = |piece: PieceIndex| {
            let asked = self.requests.values();
            asked.filter(|r| r.pending.contains(&piece)).count() == 1
        };
        // While pieces are missing, only stalled requests are duplicated.
        let early = !self.missing.is_empty();
        let could = |request: &&Request| {
            if early && now.saturating_sub(request.last_progress) < self.limits.stall_timeout / 4 {
                return false;
            }
            if !is_known && self.piece_time(request.provider).is_none() {
                return false;
            }
            let last = request.pending.last();
            last.is_some_and(|last| rescuer.has(*last) && asked_once(*last))
        };
        let (due, latest) = self
            .requests
            .values()
            .filter(|request| request.provider != id)
            .filter(could)
            .map(|request| (self.due_in(now, request, own), request))
            .max_by(|a, b| a.0.total_cmp(&b.0))?;
        let half = self.costs.in_typical(&latest.pending) / 2.0;
        let mut taken = 0.0;
        let from_the_end = latest.pending.iter().rev().copied();
        let mut pieces: Vec<PieceIndex> = from_the_end
            .take_while(|piece| {
                let is_enough = taken >= half;
                taken += self.costs.in_typical(&[*piece]);
                !is_enough && rescuer.has(*piece) && asked_once(*piece)
            })
            .collect();
        pieces.reverse();
        (own * self.costs.in_typical(&pieces) < due * 0.9).then_some(pieces)
    }

    /// Returns the slower of two requests for the same piece, if provider `id` is likely to deliver
    /// it much sooner than both.
    fn hopeless_request(&self, now: Duration, id: ProviderId) -> Option<RequestId> {
        let rescuer = self.providers.get(&id)?;
        let own = self.assumed_piece_time(id);
        self.requests.iter().find_map(|(slow, request)| {
            let last = *request.pending.last()?;
            let mut others = self
                .requests
                .iter()
                .filter(|(other, r)| *other != slow && r.pending.contains(&last));
            let (_, other) = others.next()?;
            let due = self.due_in(now, request, own);
            let sooner = self.due_in(now, other, own);
            let much_later = (MUCH_FASTER * own * self.costs.in_typical(&[last]))
                .max(self.limits.stall_timeout.as_secs_f64());
            (rescuer.has(last) && sooner <= due && sooner > much_later).then_some(*slow)
        })
    }

    /// Returns the seconds that a typical piece takes from a provider, or `None` if its rate is
    /// unknown.
    fn piece_time(&self, id: ProviderId) -> Option<f64> {
        let rate = self.providers.get(&id)?.rate.bytes_per_second()?;
        Some(self.costs.typical() as f64 / rate.max(1.0))
    }

    fn assumed_piece_time(&self, id: ProviderId) -> f64 {
        let unknown = self.limits.stall_timeout.as_secs_f64();
        self.piece_time(id).unwrap_or(unknown)
    }

    /// Returns the expected seconds until a request is complete. `unknown` are the seconds for a
    /// typical piece if the rate is unknown.
    fn due_in(&self, now: Duration, request: &Request, unknown: f64) -> f64 {
        let silent = now.saturating_sub(request.last_progress).as_secs_f64();
        let pace = self.piece_time(request.provider).unwrap_or(unknown);
        let pieces = self.costs.in_typical(&request.pending);
        // A stalled piece is late, however small it is.
        (pieces * pace).max(pieces.max(1.0) * silent / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{DownloadLimits, Event};
    use crate::pieces::PieceSet;
    use convite_core::PieceLayout;

    #[test]
    fn two_providers_that_crawl_do_not_hold_up_a_third() {
        let layout = PieceLayout::listed([4 << 20]).unwrap();
        let limits = DownloadLimits::default();
        let mut download = Download::new(layout, PieceSet::empty(1), limits, 1);
        let mut asked = Vec::new();
        let mut cancelled = Vec::new();
        let mut tell = |seconds, event| {
            let mut actions = Vec::new();
            download.handle(Duration::from_secs(seconds), event, &mut actions);
            for action in actions {
                match action {
                    Action::Request { provider, .. } => asked.push(provider),
                    Action::Cancel(request) => cancelled.push(request),
                    _ => {}
                }
            }
        };
        // Each connects, and then sends one byte per second.
        for provider in 0..3 {
            tell(u64::from(provider), Event::Found(provider));
            tell(u64::from(provider), Event::Ready(provider));
            tell(u64::from(provider), Event::HasAll(provider));
            tell(u64::from(provider) + 1, Event::Received(provider.into(), 1));
        }
        assert_eq!(asked, [0, 1, 2]);
        assert_eq!(cancelled.len(), 1);
    }
}
