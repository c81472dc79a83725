//! The choice of what to ask of a provider next: of what is missing, or, at the end, of what
//! others are still to bring.
//!
//! Alone, a download takes the next run of missing pieces, which suits the provider's disk; it
//! begins somewhere of its own, so that many that begin at once ask for different pieces before
//! they know of each other. In a swarm it takes the pieces of which there are the fewest copies,
//! counting those that a provider has promised to somebody: so a first provider sends each piece
//! once before it sends any twice (rarest first: Legout, Urvoy-Keller and Michiardi, 2006; the
//! provider's own count of what it handed out is what super-seeding approximates).

use std::collections::BinaryHeap;
use std::time::Duration;

use convite_core::PieceIndex;

use crate::download::{Download, Request};
use crate::provider::{Provider, ProviderId};

impl Download {
    /// What to ask next of a provider that is ready; none if it has enough to do or holds nothing
    /// that is missing.
    pub(crate) fn next_pieces(&self, now: Duration, id: ProviderId) -> Option<Vec<PieceIndex>> {
        let provider = self.providers.get(&id)?;
        if provider.requests.len() >= self.requests_at_once(provider)
            || !provider.held.intersects(&self.missing)
        {
            return None;
        }
        if self
            .held_back_until(provider)
            .is_some_and(|until| now < until)
        {
            return None;
        }
        let last = self.geometry.piece_count() - 1;
        if self.limits.prove_size && self.missing.contains(last) && provider.has(last) {
            return Some(vec![last]);
        }
        let count = self.pieces_at_once(provider);
        if self.in_swarm {
            return Some(self.rarest(provider, count));
        }
        let start = self.first_of_its_own();
        let from_start = self.missing.next(start);
        let first = from_start.or_else(|| self.missing.next(0))?;
        Some(self.missing.run(first, count).collect())
    }

    /// Notes of each whole provider whether it holds anything missing that it has not promised to
    /// somebody.
    pub(crate) fn note_what_is_fresh(&mut self, now: Duration) {
        for provider in self.providers.values_mut() {
            if !provider.is_ready() || !provider.held.is_full() {
                continue;
            }
            let mut missing = provider.held.in_both(&self.missing);
            if missing.any(|piece| self.copies[piece as usize] == 0) {
                provider.all_promised = None;
            } else {
                provider.all_promised.get_or_insert(now);
            }
        }
    }

    /// Until when nothing is asked of a whole provider, because what it has promised others first
    /// is still on its way out: to ask for the same again would only delay that. One and a half
    /// times as long as a piece takes from there.
    pub(crate) fn held_back_until(&self, provider: &Provider) -> Option<Duration> {
        if !self.in_swarm || !provider.is_ready() || !provider.held.is_full() {
            return None;
        }
        let rate = provider.rate.bytes_per_second()?.max(1.0);
        let piece = self.geometry.piece_size() as f64 / rate;
        Some(provider.all_promised? + Duration::from_secs_f64((1.5 * piece).min(5.0)))
    }

    /// How many requests may be under way at a provider: one before the first is answered, lest a
    /// crowd that begins at once asks for much of the same; one where a single piece takes so long
    /// that the way to the provider and back does not matter, since what is asked early in a swarm
    /// may be had elsewhere before it comes.
    fn requests_at_once(&self, provider: &Provider) -> usize {
        let piece = self.geometry.piece_size() as f64;
        let slow = piece / self.limits.request_time_in_swarm.as_secs_f64();
        match provider.rate.bytes_per_second() {
            Some(rate) if self.in_swarm && rate < slow => 1,
            None if provider.answered == 0 => 1,
            _ => self.limits.requests_per_provider,
        }
    }

    /// How many pieces a request to this provider asks for.
    fn pieces_at_once(&self, provider: &Provider) -> u32 {
        let time = if self.in_swarm {
            self.limits.request_time_in_swarm
        } else {
            self.limits.request_time
        };
        let wanted = match provider.rate.bytes_per_second() {
            None => self.limits.request_first as f64 * 4f64.powi(provider.answered.min(8) as i32),
            Some(rate) => rate * time.as_secs_f64(),
        };
        // Near the end everyone gets a share of what is left.
        let left = f64::from(self.missing.len()) * self.geometry.piece_size() as f64;
        let share = match self.ready() {
            0 | 1 => left,
            ready => left / (2 * ready) as f64,
        };
        let bytes = wanted.min(share).min(self.limits.request_max as f64);
        (bytes / self.geometry.piece_size() as f64).ceil().max(1.0) as u32
    }

    /// The missing pieces of which there are the fewest copies, of those that a provider holds.
    fn rarest(&self, provider: &Provider, count: u32) -> Vec<PieceIndex> {
        let mut best = BinaryHeap::with_capacity(count as usize + 1);
        for piece in provider.held.in_both(&self.missing) {
            best.push((self.copies[piece as usize], self.preference(piece), piece));
            if best.len() > count as usize {
                best.pop();
            }
        }
        let ordered = best.into_sorted_vec();
        ordered.into_iter().map(|(_, _, piece)| piece).collect()
    }

    /// An order of the pieces that is this download's own: SplitMix64 (Steele, Lea and Flood,
    /// 2014) of piece and seed.
    pub(crate) fn preference(&self, piece: PieceIndex) -> u32 {
        let mut z = self
            .seed
            .wrapping_add(u64::from(piece).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 32) as u32
    }

    /// Where this download begins when it knows of no other.
    fn first_of_its_own(&self) -> PieceIndex {
        let count = u64::from(self.geometry.piece_count());
        ((u64::from(self.preference(0)) * count) >> 32) as PieceIndex
    }

    /// Pieces that would come latest as things stand, if `id` is likely to bring them sooner: the
    /// later half of what a request still waits for, as far as nobody else was asked for it.
    pub(crate) fn rescue(&self, now: Duration, id: ProviderId) -> Option<Vec<PieceIndex>> {
        let rescuer = self.providers.get(&id)?;
        let piece_time = |provider: ProviderId| {
            let rate = self.providers.get(&provider)?.rate.bytes_per_second()?;
            Some(self.geometry.piece_size() as f64 / rate.max(1.0))
        };
        // Whose rate is not known is asked in place of those who bring next to nothing.
        let is_known = piece_time(id).is_some();
        let own = piece_time(id).unwrap_or(self.limits.stall.as_secs_f64());
        let asked_once = |piece: PieceIndex| {
            let asked = self.requests.values();
            asked.filter(|r| r.waiting.contains(&piece)).count() == 1
        };
        let due_in = |request: &Request| {
            let silent = now.saturating_sub(request.last_progress).as_secs_f64();
            let pace = piece_time(request.provider).unwrap_or(own);
            request.waiting.len() as f64 * pace.max(silent / 2.0)
        };
        // While there is more to fetch, only what does not come at all is asked again.
        let early = !self.missing.is_empty();
        let could = |request: &&Request| {
            if early && now.saturating_sub(request.last_progress) < self.limits.stall / 4 {
                return false;
            }
            if !is_known && piece_time(request.provider).is_none() {
                return false;
            }
            let last = request.waiting.last();
            last.is_some_and(|last| rescuer.has(*last) && asked_once(*last))
        };
        let (due, latest) = self
            .requests
            .values()
            .filter(|request| request.provider != id)
            .filter(could)
            .map(|request| (due_in(request), request))
            .max_by(|a, b| a.0.total_cmp(&b.0))?;
        let half = latest.waiting.len().div_ceil(2);
        let from_the_end = latest.waiting.iter().rev().copied();
        let mut pieces: Vec<PieceIndex> = from_the_end
            .take(half)
            .take_while(|piece| rescuer.has(*piece) && asked_once(*piece))
            .collect();
        pieces.reverse();
        (own * (pieces.len() as f64) < due * 0.9).then_some(pieces)
    }
}
