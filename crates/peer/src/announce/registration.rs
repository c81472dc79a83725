//! The registration with the directory, as the tasks of a peer see it.

use convite_core::{PeerAddress, PeerId, Problem, UnixMillis};
use convite_net::clock::DirectoryClock;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::announce::refused_spaces::RefusedSpaces;
use crate::sharing::shared_files::SharedFiles;

/// The state of the registration with the directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrationState {
    /// Whether the directory lists this peer.
    pub is_listed: bool,
    /// Why it does not, if the reason is known.
    pub problem: Option<Problem>,
    /// The time of the last change; `None` before the first attempt.
    pub since: Option<UnixMillis>,
}

impl RegistrationState {
    /// Sets the state at `now`: listed, or not listed because of `problem`. Returns whether it
    /// changed.
    pub fn update(&mut self, problem: Option<Problem>, now: UnixMillis) -> bool {
        let is_listed = problem.is_none();
        if (self.is_listed, &self.problem) == (is_listed, &problem) {
            return false;
        }
        if self.is_listed != is_listed || self.since.is_none() {
            self.since = Some(now);
        }
        (self.is_listed, self.problem) = (is_listed, problem);
        true
    }
}

/// A peer's registration with its directory.
pub struct Registration {
    /// The peer's id.
    pub id: PeerId,
    /// The peer's URL, once it listens.
    pub url: watch::Sender<String>,
    /// The clock by which tickets and certificates are checked.
    pub clock: DirectoryClock,
    /// Whether the peer is listed.
    pub state: watch::Sender<RegistrationState>,
    /// Spaces in which the directory refuses this peer's files.
    pub refused_spaces: RefusedSpaces,
    /// Requests a new certificate.
    pub renew: Notify,
    /// Stops the peer.
    pub stop: CancellationToken,
}

impl Registration {
    /// Creates the registration of a peer that has not registered.
    pub fn new(id: PeerId, stop: CancellationToken) -> Self {
        Self {
            id,
            url: watch::Sender::default(),
            clock: DirectoryClock::default(),
            state: watch::Sender::default(),
            refused_spaces: RefusedSpaces::default(),
            renew: Notify::new(),
            stop,
        }
    }

    /// Sets the address in the peer's URL.
    pub fn set_address(&self, address: &PeerAddress) {
        self.url.send_if_modified(|url| {
            let Some((scheme, _)) = url.split_once("://") else {
                return false;
            };
            let new = format!("{scheme}://{address}");
            let is_news = *url != new;
            *url = new;
            is_news
        });
    }

    /// Retries the files that the directory refused.
    pub fn retry_refused(&self, files: &SharedFiles) {
        if self.refused_spaces.forget_all() {
            files.queue_files_in_spaces(|_| true);
        }
    }
}
