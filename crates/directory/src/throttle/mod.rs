//! Who may try a password now: growing delays for those who fail, decided before anything costly
//! (argon2, the database) is done.
//!
//! Three books of passwords, each of failures that fade with time (`Book`):
//! - an account *from a network*: somebody guesses, or mistypes;
//! - a network, whatever the account: one password is tried on many accounts;
//! - an account from *unfamiliar* networks: many hosts guess at one account. Its delays stay short,
//!   and a network from which the account was logged in to before is not held to it: else anybody
//!   could keep the owner out.
//!
//! And two of a network's invites and links, which are guessed as well.
//!
//! An attempt counts as failed when it begins, so that many at once are no way around; success
//! takes that back. Pure: time is an argument. In memory: a restart, and each replica, begins anew.

mod book;

use std::collections::HashMap;
use std::time::Duration;

use convite_core::UserName;
use convite_net::Network;

use book::Book;
pub use book::Pace;

/// The most accounts whose familiar networks are remembered.
const FAMILIAR_ACCOUNTS_MAX: usize = 16_384;
/// The most familiar networks of an account; the one used longest ago goes first.
const FAMILIAR_MAX: usize = 8;
/// For how long a network stays familiar.
const FAMILIAR: Duration = Duration::from_secs(30 * 24 * 3600);

/// How many failures are free, and how fast the rest may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paces {
    /// Of one account from one network.
    pub account_there: Pace,
    /// Of one network.
    pub network: Pace,
    /// Of one account from all networks that are not familiar.
    pub account: Pace,
    /// Of new accounts from one network, those made as well as those refused.
    pub joining: Pace,
    /// Of links that are none, from one network.
    pub links: Pace,
}

impl Default for Paces {
    fn default() -> Self {
        let pace = |free, slowest| Pace {
            free,
            first: Duration::from_secs(1),
            slowest: Duration::from_secs(slowest),
        };
        Self {
            account_there: pace(5, 15 * 60),
            network: pace(20, 60),
            account: pace(20, 30),
            joining: pace(100, 10),
            links: pace(50, 60),
        }
    }
}

/// What somebody is about to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    network: Network,
    /// None: an account is to be made.
    account: Option<UserName>,
    was_familiar: bool,
}

/// The books.
pub struct Throttle {
    account_there: Book<(UserName, Network)>,
    network: Book<Network>,
    account: Book<UserName>,
    joining: Book<Network>,
    links: Book<Network>,
    familiar: HashMap<UserName, Vec<(Network, Duration)>>,
}

impl Throttle {
    /// Books without a failure.
    pub fn new(paces: Paces) -> Self {
        Self {
            account_there: Book::new(paces.account_there),
            network: Book::new(paces.network),
            account: Book::new(paces.account),
            joining: Book::new(paces.joining),
            links: Book::new(paces.links),
            familiar: HashMap::new(),
        }
    }

    /// Begins to try a password of `account` (a login, or the old password for a new one).
    ///
    /// # Errors
    /// How long to wait, if it must not be tried now. Nothing is counted then, so that asking too
    /// early makes nothing later.
    pub fn password(
        &mut self,
        account: &UserName,
        network: Network,
        now: Duration,
    ) -> Result<Attempt, Duration> {
        let was_familiar = self.is_familiar(account, network, now);
        let there = (account.clone(), network);
        let mut wait = self.account_there.wait(&there, now);
        wait = wait.max(self.network.wait(&network, now));
        if !was_familiar {
            wait = wait.max(self.account.wait(account, now));
        }
        if !wait.is_zero() {
            return Err(wait);
        }
        self.account_there.count(there, now);
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

    /// Begins to make an account.
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

    /// Begins to look a link up, which is taken for a guess until [`Self::link_known`] says other.
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

    /// It was no guess, or nothing is known of it.
    pub fn link_known(&mut self, network: Network, now: Duration) {
        self.links.take_back(&network, now);
    }

    /// The attempt was right. The network's other failures stay: whoever has an account could
    /// else wipe them out by logging in to it between guesses at others.
    pub fn succeeded(&mut self, attempt: Attempt, now: Duration) {
        self.take_back(&attempt, now);
        if let Some(account) = attempt.account {
            self.account_there
                .forget(&(account.clone(), attempt.network));
            self.befriend(account, attempt.network, now);
        }
    }

    /// The attempt said nothing: it was not looked at (too busy), or not to blame.
    pub fn void(&mut self, attempt: Attempt, now: Duration) {
        self.take_back(&attempt, now);
        match attempt.account {
            None => self.joining.take_back(&attempt.network, now),
            Some(account) => self
                .account_there
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
            of_then.is_some_and(|(_, last)| now.saturating_sub(*last) <= FAMILIAR)
        })
    }

    fn befriend(&mut self, account: UserName, network: Network, now: Duration) {
        if self.familiar.len() >= FAMILIAR_ACCOUNTS_MAX && !self.familiar.contains_key(&account) {
            let last_use =
                |known: &[(Network, Duration)]| known.iter().map(|(_, last)| *last).max();
            let mut uses: Vec<_> = self
                .familiar
                .values()
                .map(|known| last_use(known))
                .collect();
            // Half of them at once, so that it is seldom done.
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
