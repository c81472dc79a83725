//! The provider pool: which providers a download connects to.
//!
//! If there are more providers than allowed connections, a download keeps those that come first in
//! its own pseudo-random order (rendezvous hashing: Thaler and Ravishankar, 1998), so that a crowd
//! becomes a random mesh. If all kept the providers listed first, they would crowd around the same
//! few. Nearer providers come first. Complete providers are always kept.

use std::time::Duration;

use crate::event::{Action, ProviderId};
use crate::pieces::PieceSet;
use crate::provider::{Provider, ProviderState};
use crate::state::{Download, LocateState};

/// Delay before a provider that lacks the piece that a reader needs is dialled again, doubled with
/// each connection.
const RETRY_WITHOUT_HEAD: Duration = Duration::from_millis(500);

fn is_connected(provider: &Provider) -> bool {
    matches!(
        provider.state,
        ProviderState::Ready | ProviderState::Dialling
    )
}

impl Download {
    /// Handles a provider named by the directory, for the first time or again.
    pub(crate) fn handle_found(
        &mut self,
        now: Duration,
        id: ProviderId,
        actions: &mut Vec<Action>,
    ) {
        let count = self.costs.piece_count();
        let provider = self
            .providers
            .entry(id)
            .or_insert_with(|| Provider::new(count));
        match provider.state {
            ProviderState::Known => {}
            ProviderState::Lost(until) if until <= now => provider.state = ProviderState::Known,
            _ => return,
        }
        if self.connected() >= self.limits.max_providers && !self.make_room_for(id, actions) {
            return;
        }
        self.dial(id, actions);
    }

    fn dial(&mut self, id: ProviderId, actions: &mut Vec<Action>) {
        let count = self.costs.piece_count();
        if let Some(provider) = self.providers.get_mut(&id) {
            provider.state = ProviderState::Dialling;
            provider.held = PieceSet::empty(count);
            provider.has_reported = false;
            actions.push(Action::Dial(id));
        }
    }

    /// Disconnects the last provider in this download's order if it comes after `id`. Returns
    /// whether there is room now.
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
            provider.state = ProviderState::Known;
        }
        actions.push(Action::Disconnect(last));
        true
    }

    /// Returns the position of a provider in this download's order; nearer ones come first.
    fn rank(&self, id: ProviderId) -> (u8, u32) {
        let distance = self.providers.get(&id).map_or(0, |p| p.distance);
        (distance, self.preference(!id))
    }

    /// Returns the number of providers that are ready or being dialled.
    pub(crate) fn connected(&self) -> usize {
        self.providers.values().filter(|p| is_connected(p)).count()
    }

    /// Dials waiting providers while connections are available.
    fn fill_pool(&mut self, actions: &mut Vec<Action>) {
        while self.connected() < self.limits.max_providers {
            let waiting = self
                .providers
                .iter()
                .filter(|(_, p)| p.state == ProviderState::Known);
            let next = waiting.map(|(id, _)| *id).min_by_key(|id| self.rank(*id));
            let Some(next) = next else {
                return;
            };
            self.dial(next, actions);
        }
    }

    /// Disconnects a provider of a full pool if no connected one holds the piece that a reader needs
    /// next, so that another can be dialled.
    fn make_room_for_head(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let head = self.window.clone().and_then(|window| {
            let head = self.missing.next(window.start);
            head.filter(|head| window.contains(head))
        });
        let known = |p: &&Provider| p.state == ProviderState::Known;
        let Some(head) = head.filter(|_| self.providers.values().any(|p| known(&p))) else {
            return;
        };
        let mut connected = self.providers.values().filter(|p| is_connected(p));
        let may_hold = |p: &Provider| !p.has_reported || p.has(head);
        if self.connected() < self.limits.max_providers || connected.any(may_hold) {
            return;
        }
        let last = self
            .providers
            .iter()
            .filter(|(_, p)| p.is_ready() && p.requests.is_empty())
            .map(|(id, _)| *id)
            .max_by_key(|id| self.rank(*id));
        if let Some(last) = last
            && let Some(provider) = self.providers.get_mut(&last)
        {
            let wait = RETRY_WITHOUT_HEAD * (1 << provider.connections.min(4));
            provider.state = ProviderState::Lost(now + wait);
            actions.push(Action::Disconnect(last));
            self.fill_pool(actions);
        }
    }

    /// Dials and locates providers as needed, and ends a download that has waited too long for one.
    pub(crate) fn update_pool(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.fill_pool(actions);
        if self.update_usable(now, actions) {
            return;
        }
        self.make_room_for_head(now, actions);
        if self.unusable_since.is_some() {
            let retry: Vec<ProviderId> = self
                .providers
                .iter()
                .filter(|(_, p)| matches!(p.state, ProviderState::Lost(until) if until <= now))
                .map(|(id, _)| *id)
                .collect();
            for id in retry {
                self.handle_found(now, id, actions);
            }
            self.locate_soon(now);
        }
        if let LocateState::DueAt(at) = self.locate
            && at <= now
        {
            self.locate = LocateState::Pending;
            actions.push(Action::Locate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{DownloadLimits, Event};
    use convite_core::PieceGeometry;
    use std::collections::BTreeSet;

    /// Returns the connected providers after 40 are found in this order.
    fn chosen(
        seed: u64,
        order: impl Iterator<Item = u32>,
        distance: fn(u32) -> u8,
    ) -> BTreeSet<u32> {
        let geometry = PieceGeometry::new(10 << 20).unwrap();
        let limits = DownloadLimits {
            max_providers: 10,
            ..DownloadLimits::default()
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
                    Action::Disconnect(id) => {
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
