//! How long a download waits, and for what: for bytes, for pieces, for word of what a provider
//! holds, and for company.
//!
//! A provider is company while there is reason to expect a piece of it: it has not failed since it
//! delivered one, and holds something that is missing or is still to say what it holds. One that
//! only connects, over and over, is none: nobody may keep a download from its end without
//! delivering anything.

use std::time::Duration;

use crate::download::{Download, Request};
use crate::event::{Action, Failure, Outcome};
use crate::provider::{Provider, ProviderId, State};

/// After so many failures in a row, bytes that never become a piece are no sign of life.
const TRIES: u32 = 4;

impl Download {
    /// When the first of what is waited for is waited for no longer.
    pub(crate) fn end_of_waiting(&self) -> Option<Duration> {
        let stalls = self
            .requests
            .values()
            .map(|request| request.last_progress + self.limits.stall);
        let of_providers = self.providers.values().filter_map(|provider| {
            let silent = self.silent_until(provider);
            let crawls = self.crawls_until(provider);
            silent.into_iter().chain(crawls).min()
        });
        let alone = self.gives_up_at();
        stalls.chain(of_providers).chain(alone).min()
    }

    /// Gives up those who were waited for in vain.
    pub(crate) fn stop_waiting(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.handle_stalls(now, actions);
        let is_over = |until: Option<Duration>| until.is_some_and(|until| until <= now);
        let late: Vec<(ProviderId, bool)> = self
            .providers
            .iter()
            .map(|(id, p)| {
                let crawls = is_over(self.crawls_until(p));
                (*id, is_over(self.silent_until(p)), crawls)
            })
            .filter(|(_, is_silent, crawls)| *is_silent || *crawls)
            .map(|(id, _, crawls)| (id, crawls))
            .collect();
        for (id, crawls) in late {
            self.cancel_requests_of(id, actions);
            actions.push(Action::HangUp(id));
            if let Some(provider) = self.providers.get_mut(&id)
                && crawls
            {
                provider.failures = provider.failures.max(TRIES);
            }
            self.handle_lost(now, id, Failure::Unreachable, actions);
        }
    }

    fn handle_stalls(&mut self, now: Duration, actions: &mut Vec<Action>) {
        let stall = self.limits.stall;
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
            // A request waits while an older one at the same provider brings bytes.
            if of_it().any(is_moving) {
                for other in &requests {
                    if let Some(request) = self.requests.get_mut(other) {
                        request.last_progress = now;
                    }
                }
                continue;
            }
            // Nothing at all has come: it may have others to serve first.
            let failure = match of_it().any(|request| request.moved) {
                true => Failure::Unreachable,
                false => Failure::Busy,
            };
            self.cancel_requests_of(id, actions);
            self.handle_lost(now, id, failure, actions);
        }
    }

    fn cancel_requests_of(&self, id: ProviderId, actions: &mut Vec<Action>) {
        let requests = self.providers.get(&id).map(|p| &p.requests);
        actions.extend(requests.into_iter().flatten().copied().map(Action::Cancel));
    }

    /// Until when a provider has to say what it holds, if it has not.
    fn silent_until(&self, provider: &Provider) -> Option<Duration> {
        let is_awaited = provider.is_ready() && !provider.has_said;
        is_awaited.then(|| provider.ready_since + self.limits.say)
    }

    /// Until when a provider has to bring the next whole piece of those asked of it.
    fn crawls_until(&self, provider: &Provider) -> Option<Duration> {
        let since = provider.awaited_since?;
        let slowest = self.geometry.piece_size() / self.limits.crawl.max(1);
        Some(since + self.limits.stall + Duration::from_secs(slowest))
    }

    /// Whether there is anyone of whom a piece can be expected.
    pub(crate) fn has_company(&self) -> bool {
        self.providers.values().any(|p| self.is_company(p))
    }

    fn is_company(&self, provider: &Provider) -> bool {
        match provider.state {
            // A dial to one that was lost is a hope and no company: the dead would be dialled for
            // ever.
            State::Dialling => provider.failures == 0,
            State::Ready if provider.failures == 0 => {
                !provider.has_said
                    || !provider.requests.is_empty()
                    || provider.held.intersects(&self.missing)
            }
            State::Ready => {
                let requests = provider.requests.iter();
                let mut requests = requests.filter_map(|request| self.requests.get(request));
                provider.failures < TRIES && requests.any(|request| request.moved)
            }
            _ => false,
        }
    }

    /// When a download without company gives up.
    fn gives_up_at(&self) -> Option<Duration> {
        let since = self.alone_since?;
        let may_get_better = self.providers.values().any(|p| match p.state {
            State::Banned => false,
            // Others who fetch the file may come to hold what is missing.
            State::Ready => p.is_busy || p.failures == 0,
            _ => p.is_busy,
        });
        Some(match may_get_better {
            true => since + self.limits.patience_with_others,
            false => since + self.limits.patience,
        })
    }

    /// Notes whether there is company, and ends a download that was without for too long. Whether
    /// it was ended.
    pub(crate) fn note_company(&mut self, now: Duration, actions: &mut Vec<Action>) -> bool {
        if self.has_company() {
            self.alone_since = None;
            return false;
        }
        self.alone_since.get_or_insert(now);
        let all_banned =
            !self.providers.is_empty() && self.providers.values().all(|p| p.state == State::Banned);
        // Whoever else holds the file would have been named by the last answer.
        let asked = self.asked_in_vain > 0;
        if all_banned && asked {
            self.finish(Outcome::NoneHonest, actions);
        } else if self.gives_up_at().is_some_and(|at| at <= now) {
            self.finish(Outcome::NoProviders, actions);
        }
        self.outcome.is_some()
    }
}
