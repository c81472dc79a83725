//! Piece selection: which pieces to request next from a provider.
//!
//! A download that knows of no other downloaders requests runs of consecutive missing pieces, which
//! suits the provider's disk. Each download starts at its own position, so that many concurrent
//! ones request different pieces before they know of each other. In a swarm it requests the pieces
//! with the fewest copies, including copies that a provider has promised to others, so that a first
//! provider sends each piece once before it sends any twice (rarest first: Legout, Urvoy-Keller and
//! Michiardi, 2006; the provider's own count of handed-out pieces is what super-seeding
//! approximates).

use std::collections::BinaryHeap;
use std::time::Duration;

use convite_core::PieceIndex;

use crate::event::ProviderId;
use crate::provider::Provider;
use crate::state::Download;

impl Download {
    /// Returns the pieces to request next from a ready provider, or `None` if it has enough
    /// requests or holds no missing piece.
    pub(crate) fn next_pieces(&self, now: Duration, id: ProviderId) -> Option<Vec<PieceIndex>> {
        let provider = self.providers.get(&id)?;
        if provider.requests.len() >= self.max_requests(provider)
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
        let last = self.costs.piece_count() - 1;
        if self.limits.prove_size && self.missing.contains(last) && provider.has(last) {
            return Some(vec![last]);
        }
        let bytes = self.request_size(provider);
        if self.in_swarm {
            return Some(self.rarest(provider, bytes));
        }
        let start = self.start_piece();
        let from_start = self.missing.next(start);
        let first = from_start.or_else(|| self.missing.next(0))?;
        Some(self.missing_run(first, bytes))
    }

    /// Updates for each complete provider whether all missing pieces are already promised to
    /// others.
    pub(crate) fn update_promised(&mut self, now: Duration) {
        for provider in self.providers.values_mut() {
            if !provider.is_ready() || !provider.held.is_full() {
                continue;
            }
            let mut missing = provider.held.in_both(&self.missing);
            if missing.any(|piece| self.copies[piece as usize] == 0) {
                provider.all_promised_since = None;
            } else {
                provider.all_promised_since.get_or_insert(now);
            }
        }
    }

    /// Returns the time until which nothing is requested from a complete provider, because it is
    /// still sending the pieces it has promised to others: a second request for them would delay
    /// these. This is one and a half times the duration of a piece from this provider.
    pub(crate) fn held_back_until(&self, provider: &Provider) -> Option<Duration> {
        if !self.in_swarm || !provider.is_ready() || !provider.held.is_full() {
            return None;
        }
        let rate = provider.rate.bytes_per_second()?.max(1.0);
        let piece = self.costs.typical() as f64 / rate;
        Some(provider.all_promised_since? + Duration::from_secs_f64((1.5 * piece).min(5.0)))
    }

    /// Returns the maximum number of concurrent requests to a provider. It is one before the first
    /// reply, so that a starting crowd does not request the same pieces many times. It is also one
    /// if a piece takes so long that the round trip does not matter: in a swarm, another provider
    /// may have the piece by then.
    fn max_requests(&self, provider: &Provider) -> usize {
        let piece = self.costs.typical() as f64;
        let slow = piece / self.limits.request_time_in_swarm.as_secs_f64();
        match provider.rate.bytes_per_second() {
            Some(rate) if self.in_swarm && rate < slow => 1,
            None if provider.answered == 0 => 1,
            _ => self.limits.requests_per_provider,
        }
    }

    /// Returns the size of the next request to this provider in bytes. Its last piece may exceed
    /// it.
    fn request_size(&self, provider: &Provider) -> f64 {
        let time = if self.in_swarm {
            self.limits.request_time_in_swarm
        } else {
            self.limits.request_time
        };
        let wanted = match provider.rate.bytes_per_second() {
            None => self.limits.request_first as f64 * 4f64.powi(provider.answered.min(8) as i32),
            Some(rate) => rate * time.as_secs_f64(),
        };
        // Near the end, the remaining pieces are shared among all providers.
        let left = self.missing_cost as f64;
        let share = match self.ready() {
            0 | 1 => left,
            ready => left / (2 * ready) as f64,
        };
        wanted.min(share).min(self.limits.request_max as f64)
    }

    /// Returns the consecutive missing pieces from `first`, up to this number of bytes.
    fn missing_run(&self, first: PieceIndex, bytes: f64) -> Vec<PieceIndex> {
        let mut cost = self.costs.of(first);
        let mut run = vec![first];
        while let Some(next) = run.last().map(|last| last + 1)
            && (cost as f64) < bytes
            && self.missing.contains(next)
        {
            run.push(next);
            cost += self.costs.of(next);
        }
        run
    }

    /// Returns those missing pieces held by the provider that have the fewest copies, up to this
    /// number of bytes.
    fn rarest(&self, provider: &Provider, bytes: f64) -> Vec<PieceIndex> {
        let mut best = BinaryHeap::new();
        let mut cost = 0;
        for piece in provider.held.in_both(&self.missing) {
            best.push((self.copies[piece as usize], self.preference(piece), piece));
            cost += self.costs.of(piece);
            while let Some(&(.., last)) = best.peek()
                && best.len() > 1
                && (cost - self.costs.of(last)) as f64 >= bytes
            {
                best.pop();
                cost -= self.costs.of(last);
            }
        }
        let ordered = best.into_sorted_vec();
        ordered.into_iter().map(|(_, _, piece)| piece).collect()
    }

    /// Returns the position of a piece in a pseudo-random order of this download: SplitMix64
    /// (Steele, Lea and Flood, 2014) of piece and seed.
    pub(crate) fn preference(&self, piece: PieceIndex) -> u32 {
        let mut z = self
            .seed
            .wrapping_add(u64::from(piece).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z >> 32) as u32
    }

    /// Returns the piece at which this download starts if it knows of no other downloaders.
    fn start_piece(&self) -> PieceIndex {
        let count = u64::from(self.costs.piece_count());
        ((u64::from(self.preference(0)) * count) >> 32) as PieceIndex
    }
}
