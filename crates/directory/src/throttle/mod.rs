//! Rate limits for failed attempts: growing delays, applied before expensive work (argon2, the
//! database).
//!
//! Failures of passwords are counted in three tables, and fade with time (`FailureTable`):
//! - per account and network, against guessing the password of one account;
//! - per network, against trying one password on many accounts;
//! - per account for *unfamiliar* networks, against many hosts that guess the password of one
//!   account. The delays stay short, and do not apply to networks from which the account has logged
//!   in before: otherwise anyone could lock out the owner.
//!
//! Two further tables count a network's invites and links, which can be guessed too.
//!
//! An attempt counts as failed when it begins, so that concurrent attempts are no way around the
//! limits; success removes the failure. Pure: time is an argument. The state is in memory: it is
//! lost at a restart, and each replica has its own.

mod failure_table;

use std::collections::HashMap;
use std::time::Duration;

use convite_core::UserName;
use convite_net::Network;

pub use failure_table::FailureRate;
use failure_table::FailureTable;

/// Maximum number of accounts with stored familiar networks.
const FAMILIAR_ACCOUNTS_MAX: usize = 16_384;
/// Maximum number of familiar networks per account; the least recently used one is removed first.
const FAMILIAR_MAX: usize = 8;
/// How long a network stays familiar.
const FAMILIAR_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// The rate limits of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptLimits {
    /// Per account and network.
    pub account_and_network: FailureRate,
    /// Per network.
    pub network: FailureRate,
    /// Per account, for unfamiliar networks.
    pub account: FailureRate,
    /// New accounts per network, both created and refused.
    pub joining: FailureRate,
    /// Unknown links per network.
    pub links: FailureRate,
}

impl Default for AttemptLimits {
    fn default() -> Self {
        let pace = |free_failures, max_delay| FailureRate {
            free_failures,
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(max_delay),
        };
        Self {
            account_and_network: pace(5, 15 * 60),
            network: pace(20, 60),
            account: pace(20, 30),
            joining: pace(100, 10),
            links: pace(50, 60),
        }
    }
}

/// An attempt that was admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    network: Network,
    /// The account; `None` for the creation of one.
    account: Option<UserName>,
    was_familiar: bool,
}

/// The tables of failures.
pub struct AttemptLimiter {
    account_and_network: FailureTable<(UserName, Network)>,
    network: FailureTable<Network>,
    account: FailureTable<UserName>,
    joining: FailureTable<Network>,
    links: FailureTable<Network>,
    familiar: HashMap<UserName, Vec<(Network, Duration)>>,
}

impl AttemptLimiter {
    /// Returns a limiter without failures.
    pub fn new(limits: AttemptLimits) -> Self {
        Self {
            account_and_network: FailureTable::new(limits.account_and_network),
            network: FailureTable::new(limits.network),
            account: FailureTable::new(limits.account),
            joining: FailureTable::new(limits.joining),
            links: FailureTable::new(limits.links),
            familiar: HashMap::new(),
        }
    }

    /// Admits an attempt at a password of `account` (a login, or the current password for a
    /// change).
    ///
    /// # Errors
    /// Returns the time to wait, if no attempt is admitted now. Refused attempts are not counted,
    /// so that they do not extend the wait.
    pub fn password(
        &mut self,
        account: &UserName,
        network: Network,
        now: Duration,
    ) -> Result<Attempt, Duration> {
        let was_familiar = self.is_familiar(account, network, now);
        let there = (account.clone(), network);
        let mut wait = self.account_and_network.wait(&there, now);
        wait = wait.max(self.network.wait(&network, now));
        if !was_familiar {
            wait = wait.max(self.account.wait(account, now));
        }
        if !wait.is_zero() {
            return Err(wait);
        }
        self.account_and_network.count(there, now);
        self.network.count(network, now);
        if !was_familiar {
            self.account.count(account.clone(), now);
        }
        Ok(Attempt {
            network,
            account: Some(account.clone()),
            was_familiar,
        })
    }

    /// Admits an attempt to create an account.
    ///
    /// # Errors
    /// As [`Self::password`].
    pub fn join(&mut self, network: Network, now: Duration) -> Result<Attempt, Duration> {
        let wait = self.network.wait(&network, now);
        let wait = wait.max(self.joining.wait(&network, now));
        if !wait.is_zero() {
            return Err(wait);
        }
        self.network.count(network, now);
        self.joining.count(network, now);
        Ok(Attempt {
            network,
            account: None,
            was_familiar: false,
        })
    }

    /// Admits the lookup of a link, which counts as a failure until [`Self::link_found`] is called.
    ///
    /// # Errors
    /// As [`Self::password`].
    pub fn link(&mut self, network: Network, now: Duration) -> Result<(), Duration> {
        let wait = self.links.wait(&network, now);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.links.count(network, now);
        Ok(())
    }

    /// Removes the failure of a lookup that found a link or failed for another reason.
    pub fn link_found(&mut self, network: Network, now: Duration) {
        self.links.take_back(&network, now);
    }

    /// Records a successful attempt. The network's other failures stay: otherwise the owner of an
    /// account could remove them by logging in between guesses at others.
    pub fn succeeded(&mut self, attempt: Attempt, now: Duration) {
        self.take_back(&attempt, now);
        if let Some(account) = attempt.account {
            self.account_and_network
                .forget(&(account.clone(), attempt.network));
            self.add_familiar(account, attempt.network, now);
        }
    }

    /// Removes an attempt that was not decided: for example because the directory was overloaded.
    pub fn cancelled(&mut self, attempt: Attempt, now: Duration) {
        self.take_back(&attempt, now);
        match attempt.account {
            None => self.joining.take_back(&attempt.network, now),
            Some(account) => self
                .account_and_network
                .take_back(&(account, attempt.network), now),
        }
    }

    fn take_back(&mut self, attempt: &Attempt, now: Duration) {
        self.network.take_back(&attempt.network, now);
        if let Some(account) = &attempt.account
            && !attempt.was_familiar
        {
            self.account.take_back(account, now);
        }
    }

    fn is_familiar(&self, account: &UserName, network: Network, now: Duration) -> bool {
        let known = self.familiar.get(account);
        known.is_some_and(|known| {
            let of_then = known.iter().find(|(other, _)| *other == network);
            of_then.is_some_and(|(_, last)| now.saturating_sub(*last) <= FAMILIAR_LIFETIME)
        })
    }

    fn add_familiar(&mut self, account: UserName, network: Network, now: Duration) {
        if self.familiar.len() >= FAMILIAR_ACCOUNTS_MAX && !self.familiar.contains_key(&account) {
            let last_use =
                |known: &[(Network, Duration)]| known.iter().map(|(_, last)| *last).max();
            let mut uses: Vec<_> = self
                .familiar
                .values()
                .map(|known| last_use(known))
                .collect();
            // Remove half of them, so that this is rare.
            let middle = uses.len() / 2;
            let (_, middle, _) = uses.select_nth_unstable(middle);
            let middle = *middle;
            self.familiar.retain(|_, known| last_use(known) > middle);
        }
        let known = self.familiar.entry(account).or_default();
        known.retain(|(other, _)| *other != network);
        if known.len() >= FAMILIAR_MAX {
            known.remove(0);
        }
        known.push((network, now));
    }
}

#[cfg(test)]
mod tests;
