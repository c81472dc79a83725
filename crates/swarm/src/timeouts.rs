//! Timeouts: how long a download waits for bytes, for pieces, for reports of held pieces, and for
//! providers.
//!
//! A provider is usable while a piece can be expected from it: it has not failed since it delivered
//! one, and it holds a missing piece or has not reported its pieces yet. A provider that only
//! connects repeatedly is not usable, so it cannot prevent a download from ending without
//! delivering anything.

use std::time::Duration;

use crate::event::{Action, DownloadOutcome, ProviderFailure, ProviderId};
use crate::provider::{Provider, ProviderState};
use crate::state::{Download, Request};

/// After this many consecutive failures, received bytes without a complete piece no longer count.
const FAILURES_MAX: u32 = 4;

impl Download {
    /// Returns the first deadline of all timeouts.
    pub(crate) fn next_timeout(&self) -> Option<Duration> {
        let stalls = self
            .requests
            .values()
            .map(|request| request.last_progress + self.limits.stall_timeout);
        let of_providers = self.providers.values().filter_map(|provider| {
            let report = self.report_deadline(provider);
            report
                .into_iter()
                .chain(self.piece_deadline(provider))
                .min()
        });
        let alone = self.give_up_deadline();
        let of_window = self.next_hedge().into_iter().chain(self.short_end_due());
        stalls
            .chain(of_providers)
            .chain(alone)
            .chain(of_window)
            .min()
    }

    /// Handles the providers and requests that timed out.
    pub(crate) fn handle_timeouts(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.handle_stalls(now, actions);
        let is_over = |until: Option<Duration>| until.is_some_and(|until| until <= now);
        let late: Vec<(ProviderId, bool)> = self
            .providers
            .iter()
            .filter_map(|(id, p)| {
                let is_slow = is_over(self.piece_deadline(p));
                let is_late = is_slow || is_over(self.report_deadline(p));
                is_late.then_some((*id, is_slow))
            })
            .collect();
        for (id, is_slow) in late {
            self.cancel_requests_of(id, actions);
            actions.push(Action::Disconnect(id));
            if let Some(provider) = self.providers.get_mut(&id)
                && is_slow
            {
                provider.failures = provider.failures.max(FAILURES_MAX);
            }
            self.handle_lost(now, id, ProviderFailure::Unreachable, actions);
        }
    }

    fn handle_stalls(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let stall = self.limits.stall_timeout;
        let is_moving = |request: &Request| request.last_progress + stall > now;
        let stalled: Vec<ProviderId> = self
            .requests
            .values()
            .filter(|request| !is_moving(request))
            .map(|request| request.provider)
            .collect();
        for id in stalled {
            let Some(provider) = self.providers.get(&id) else {
                continue;
            };
            let requests = provider.requests.clone();
            let of_it = || requests.iter().filter_map(|other| self.requests.get(other));
            // A request waits while an older one at the same provider receives bytes.
            if of_it().any(is_moving) {
                for other in &requests {
                    if let Some(request) = self.requests.get_mut(other) {
                        request.last_progress = now;
                    }
                }
                continue;
            }
            self.lose_stalled(now, id, actions);
        }
    }

    /// Handles a provider that stopped sending as lost.
    pub(crate) fn lose_stalled(
        &mut self,
        now: Duration,
        id: ProviderId,
        actions: &mut Vec<Action>,
    ) {
        // If nothing was received, the provider may be serving others first.
        let mut of_it = self.requests.values().filter(|r| r.provider == id);
        let failure = if of_it.any(|request| request.has_received) {
            ProviderFailure::Unreachable
        } else {
            ProviderFailure::Busy
        };
        self.cancel_requests_of(id, actions);
        self.handle_lost(now, id, failure, actions);
    }

    fn cancel_requests_of(&self, id: ProviderId, actions: &mut Vec<Action>) {
        let requests = self.providers.get(&id).map(|p| &p.requests);
        actions.extend(requests.into_iter().flatten().copied().map(Action::Cancel));
    }

    /// Returns the deadline for a provider to report the pieces it holds, if it has not.
    fn report_deadline(&self, provider: &Provider) -> Option<Duration> {
        let is_awaited = provider.is_ready() && !provider.has_reported;
        is_awaited.then(|| provider.ready_since + self.limits.report_timeout)
    }

    /// Returns the deadline for the next complete piece from a provider.
    fn piece_deadline(&self, provider: &Provider) -> Option<Duration> {
        let since = provider.waiting_since?;
        let slowest = self.costs.longest() / self.limits.min_rate.max(1);
        Some(since + self.limits.stall_timeout + Duration::from_secs(slowest))
    }

    /// Returns whether there is a usable provider, or none is needed because the reader has every
    /// piece of the window.
    pub(crate) fn has_usable_provider(&self) -> bool {
        self.awaits_reader() || self.providers.values().any(|p| self.is_usable(p))
    }

    fn is_usable(&self, provider: &Provider) -> bool {
        // With a window, a provider that was disconnected because it lacked pieces is dialled again.
        let may_be_new = |known| self.window.is_none() || provider.connections <= known;
        match provider.state {
            // Dialling a provider that was lost does not count: otherwise dead providers would be
            // dialled forever.
            ProviderState::Dialling => provider.failures == 0 && may_be_new(0),
            ProviderState::Ready if provider.failures == 0 => {
                (!provider.has_reported && may_be_new(1))
                    || !provider.requests.is_empty()
                    || self.is_needed(provider)
            }
            ProviderState::Ready => {
                let requests = provider.requests.iter();
                let mut requests = requests.filter_map(|request| self.requests.get(request));
                provider.failures < FAILURES_MAX && requests.any(|request| request.has_received)
            }
            _ => false,
        }
    }

    /// Returns whether every known provider is certainly lost.
    fn all_are_gone(&self) -> bool {
        let is_lost = |p: &Provider| match p.state {
            ProviderState::Banned => true,
            ProviderState::Lost(_) | ProviderState::Dialling => p.is_gone,
            ProviderState::Known | ProviderState::Ready => false,
        };
        !self.providers.is_empty() && self.providers.values().all(is_lost)
    }

    /// Returns the time at which a download without a usable provider fails.
    fn give_up_deadline(&self) -> Option<Duration> {
        let since = self.unusable_since?;
        if self.all_are_gone() && self.located_none {
            return Some(since + self.limits.give_up_after_gone);
        }
        let may_get_better = self.providers.values().any(|p| match p.state {
            ProviderState::Banned => false,
            // Other downloaders may get the missing pieces.
            ProviderState::Ready => p.is_busy || p.failures == 0,
            _ => p.is_busy,
        });
        Some(if may_get_better {
            since + self.limits.give_up_after_busy
        } else {
            since + self.limits.give_up_after
        })
    }

    /// Updates whether there is a usable provider, and ends a download that had none for too long.
    /// Returns whether it ended.
    pub(crate) fn update_usable(&mut self, now: Duration, actions: &mut Vec<Action>) -> bool {
        if self.has_usable_provider() {
            self.unusable_since = None;
            self.located_none = false;
            return false;
        }
        self.unusable_since.get_or_insert(now);
        let all_banned = !self.providers.is_empty()
            && self
                .providers
                .values()
                .all(|p| p.state == ProviderState::Banned);
        // The last reply of the directory would have named any other provider.
        let asked = self.failed_locates > 0;
        if all_banned && asked {
            self.finish(DownloadOutcome::AllDishonest, actions);
        } else if self.give_up_deadline().is_some_and(|at| at <= now) {
            self.finish(DownloadOutcome::NoProviders, actions);
        }
        self.outcome.is_some()
    }
}
