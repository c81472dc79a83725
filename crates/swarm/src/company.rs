//! Whom a download connects to.
//!
//! Of more providers than it can connect to, a download keeps those that come first in an order of
//! its own (rendezvous hashing: Thaler and Ravishankar, 1998), so that a crowd becomes a random
//! mesh: were it those that were named first, all would crowd around the same few. The near come
//! before the far. Whole providers are always kept.

use std::time::Duration;

use crate::download::{Asking, Download};
use crate::event::Action;
use crate::pieces::PieceSet;
use crate::provider::{Provider, ProviderId, State};

impl Download {
    /// A provider is named, for the first time or again.
    pub(crate) fn handle_found(
        &mut self,
        now: Duration,
        id: ProviderId,
        actions: &mut Vec<Action>,
    ) {
        let count = self.geometry.piece_count();
        let provider = self
            .providers
            .entry(id)
            .or_insert_with(|| Provider::new(count));
        match provider.state {
            State::Known => {}
            State::Lost(until) if until <= now => provider.state = State::Known,
            _ => return,
        }
        if self.connected() >= self.limits.providers && !self.make_room_for(id, actions) {
            return;
        }
        self.dial(id, actions);
    }

    fn dial(&mut self, id: ProviderId, actions: &mut Vec<Action>) {
        let count = self.geometry.piece_count();
        if let Some(provider) = self.providers.get_mut(&id) {
            provider.state = State::Dialling;
            provider.held = PieceSet::empty(count);
            provider.has_said = false;
            actions.push(Action::Dial(id));
        }
    }

    /// Gives up the connected provider that comes last in this download's order, if it comes after
    /// `id`. Whether there is room now.
    fn make_room_for(&mut self, id: ProviderId, actions: &mut Vec<Action>) -> bool {
        let last = self
            .providers
            .iter()
            .filter(|(_, p)| p.is_ready() && !p.held.is_full())
            .map(|(other, _)| *other)
            .max_by_key(|other| self.rank(*other));
        let Some(last) = last.filter(|last| self.rank(*last) > self.rank(id)) else {
            return false;
        };
        self.drop_requests_of(last);
        if let Some(provider) = self.providers.get_mut(&last) {
            provider.state = State::Known;
        }
        actions.push(Action::HangUp(last));
        true
    }

    /// Where a provider comes in this download's own order: the near before the far.
    fn rank(&self, id: ProviderId) -> (u8, u32) {
        let distance = self.providers.get(&id).map_or(0, |p| p.distance);
        (distance, self.preference(!id))
    }

    /// How many providers are ready or being dialled.
    pub(crate) fn connected(&self) -> usize {
        let there = |p: &&Provider| matches!(p.state, State::Ready | State::Dialling);
        self.providers.values().filter(there).count()
    }

    /// Fills places that became free with providers that had to wait for one.
    fn fill_room(&mut self, actions: &mut Vec<Action>) {
        while self.connected() < self.limits.providers {
            let waiting = self
                .providers
                .iter()
                .filter(|(_, p)| p.state == State::Known);
            let next = waiting.map(|(id, _)| *id).min_by_key(|id| self.rank(*id));
            let Some(next) = next else {
                return;
            };
            self.dial(next, actions);
        }
    }

    /// Sees to it that there is somebody to ask, or ends a download that has nobody.
    pub(crate) fn look_for_providers(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.fill_room(actions);
        if self.note_company(now, actions) {
            return;
        }
        if self.alone_since.is_some() {
            let retry: Vec<ProviderId> = self
                .providers
                .iter()
                .filter(|(_, p)| matches!(p.state, State::Lost(until) if until <= now))
                .map(|(id, _)| *id)
                .collect();
            for id in retry {
                self.handle_found(now, id, actions);
            }
            self.ask_soon(now);
        }
        if let Asking::At(at) = self.asking
            && at <= now
        {
            self.asking = Asking::Under;
            actions.push(Action::Locate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Limits};
    use convite_core::PieceGeometry;
    use std::collections::BTreeSet;

    /// The providers that a download ends up connected to, of 40 that are found in that order.
    fn chosen(
        seed: u64,
        order: impl Iterator<Item = u32>,
        distance: fn(u32) -> u8,
    ) -> BTreeSet<u32> {
        let geometry = PieceGeometry::new(10 << 20).unwrap();
        let limits = Limits {
            providers: 10,
            ..Limits::default()
        };
        let verified = PieceSet::empty(geometry.piece_count());
        let mut download = Download::new(geometry, verified, limits, seed);
        let mut connected = BTreeSet::new();
        for id in order {
            let mut actions = Vec::new();
            for event in [Event::Distance(id, distance(id)), Event::Found(id)] {
                download.handle(Duration::ZERO, event, &mut actions);
            }
            while let Some(action) = actions.pop() {
                match action {
                    Action::Dial(id) => {
                        connected.insert(id);
                        download.handle(Duration::ZERO, Event::Ready(id), &mut actions);
                    }
                    Action::HangUp(id) => {
                        connected.remove(&id);
                    }
                    _ => {}
                }
            }
        }
        connected
    }

    #[test]
    fn each_download_keeps_its_own_choice_of_a_crowd_in_whatever_order_it_is_named() {
        let first = chosen(1, 0..40, |_| 0);
        assert_eq!(first.len(), 10);
        assert_eq!(first, chosen(1, (0..40).rev(), |_| 0));
        assert_ne!(first, chosen(2, 0..40, |_| 0));
    }

    #[test]
    fn the_near_are_kept_before_the_far() {
        let near = |id: u32| u8::from(!id.is_multiple_of(8));
        let chosen = chosen(3, 0..40, near);
        assert!(
            (0u32..40)
                .filter(|id| id.is_multiple_of(8))
                .all(|id| chosen.contains(&id)),
            "{chosen:?}"
        );
        assert_eq!(chosen.len(), 10);
    }
}
