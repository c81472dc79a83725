//! The providers of one file while it is relayed: who is asked next, who is out.
//!
//! Those who hold all of it are asked before those who hold a part, a few of them in turn. Who
//! does not answer or fails twice is out until nobody else is left; who lies is out for good. The list and the
//! tickets are had anew from the directory when half of the tickets' life is over, when nobody is
//! left, and when a ticket is refused; so a reader who loses his right to the file loses it in the
//! middle of it too.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use convite_core::model::{LocatedFile, Provider};
use convite_core::{ErrorCode, PeerId, Problem};
use tokio::time::{Instant, sleep};

use super::provider::{Failure, Line};
use super::{Locate, Relay};

/// How many providers are asked in turn.
const IN_TURN: usize = 4;
/// A provider that failed so often is out.
const FAILURES_MAX: u32 = 2;
/// How long to wait before the list is had anew, once, twice and so on, when nobody is left.
const PAUSES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

pub(super) struct Company {
    relay: Arc<Relay>,
    locate: Locate,
    /// Providers that claim another size speak of another content.
    size: u64,
    state: Mutex<State>,
    /// Held while the list is had anew, so that it is had once.
    renewing: tokio::sync::Mutex<()>,
}

struct State {
    members: Vec<Member>,
    liars: HashSet<PeerId>,
    located: Instant,
    turn: usize,
}

/// A connection, once dialled; held while dialling, so that it is dialled once.
type Dialled = Arc<tokio::sync::Mutex<Option<Arc<Line>>>>;

struct Member {
    provider: Provider,
    failures: u32,
    line: Dialled,
}

/// A provider whose turn it is.
pub(super) struct Chosen {
    pub(super) peer: PeerId,
    pub(super) line: Arc<Line>,
}

impl Company {
    pub(super) fn new(relay: &Arc<Relay>, file: &LocatedFile, size: u64, locate: Locate) -> Self {
        Self {
            relay: Arc::clone(relay),
            locate,
            size,
            state: Mutex::new(State {
                members: members(&file.providers, size),
                liars: HashSet::new(),
                located: Instant::now(),
                // Not always the same first.
                turn: crate::random_bytes().map_or(0, u16::from_le_bytes).into(),
            }),
            renewing: tokio::sync::Mutex::default(),
        }
    }

    /// The provider to ask now, dialled; none of those in `lacking`.
    ///
    /// # Errors
    /// `corrupt_contents` if only liars are left, `unavailable` if nobody is; those of `locate`.
    pub(super) async fn next(&self, lacking: &HashSet<PeerId>) -> Result<Chosen, Problem> {
        let mut pauses = PAUSES.iter();
        if self.is_stale() {
            self.renew().await?;
        }
        loop {
            let Some((provider, line)) = self.choose(lacking) else {
                let Some(pause) = pauses.next() else {
                    return Err(self.nobody());
                };
                sleep(*pause).await;
                self.renew().await?;
                if self.state().members.is_empty() {
                    return Err(self.nobody());
                }
                continue;
            };
            let mut dialled = line.lock().await;
            if let Some(line) = dialled.as_ref().filter(|line| !line.is_closed()) {
                return Ok(Chosen {
                    peer: provider.peer,
                    line: Arc::clone(line),
                });
            }
            match Line::dial(&self.relay, &provider).await {
                Ok(line) => {
                    let line = Arc::new(line);
                    *dialled = Some(Arc::clone(&line));
                    return Ok(Chosen {
                        peer: provider.peer,
                        line,
                    });
                }
                Err(failure) => {
                    drop(dialled);
                    self.failed(&provider.peer, failure);
                }
            }
        }
    }

    /// Notes why a provider did not give what was asked for.
    pub(super) fn failed(&self, peer: &PeerId, failure: Failure) {
        tracing::debug!(%peer, ?failure, "a provider failed");
        let mut state = self.state();
        if failure == Failure::Dishonest {
            tracing::warn!(%peer, "a provider sent wrong bytes");
            state.liars.insert(peer.clone());
            state.members.retain(|member| member.provider.peer != *peer);
            return;
        }
        let lifetime = self.relay.ticket_lifetime;
        if failure == Failure::Refused {
            // Time for new tickets.
            state.located = state.located.checked_sub(lifetime).unwrap_or(state.located);
        }
        if let Some(member) = state.members.iter_mut().find(|m| m.provider.peer == *peer) {
            member.failures += match failure {
                Failure::Lacking if member.provider.partial => 0,
                Failure::Lacking | Failure::Absent => FAILURES_MAX,
                _ => 1,
            };
            // A connection that broke is made anew, and none is kept for a ticket that is refused.
            member.line = Arc::default();
        }
    }

    fn choose(&self, lacking: &HashSet<PeerId>) -> Option<(Provider, Dialled)> {
        let mut state = self.state();
        let usable = |member: &&Member| {
            member.failures < FAILURES_MAX && !lacking.contains(&member.provider.peer)
        };
        let turn = state.turn;
        state.turn = turn.wrapping_add(1);
        let mut usable = state.members.iter().filter(usable).take(IN_TURN).peekable();
        // Partial ones come last, and have their turn only when no whole one is left.
        let partial = usable.peek()?.provider.partial;
        let alike: Vec<&Member> = usable.filter(|m| m.provider.partial == partial).collect();
        let member = alike.get(turn % alike.len())?;
        Some((member.provider.clone(), Arc::clone(&member.line)))
    }

    fn is_stale(&self) -> bool {
        self.state().located.elapsed() >= self.relay.ticket_lifetime / 2
    }

    /// Asks the directory again. Everybody has another chance, but for liars.
    async fn renew(&self) -> Result<(), Problem> {
        let asked = Instant::now();
        let _renewing = self.renewing.lock().await;
        if self.state().located > asked {
            return Ok(());
        }
        let file = (self.locate)().await?;
        let mut state = self.state();
        let mut members = members(&file.providers, self.size);
        members.retain(|member| !state.liars.contains(&member.provider.peer));
        state.members = members;
        state.located = Instant::now();
        Ok(())
    }

    fn nobody(&self) -> Problem {
        let state = self.state();
        match state.members.is_empty() && !state.liars.is_empty() {
            true => Problem::new(
                ErrorCode::CorruptContents,
                "every provider of this file sent wrong bytes",
            ),
            false => Problem::new(
                ErrorCode::Unavailable,
                "no provider of this file can be reached just now",
            )
            .hint("try again in a moment"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn members(providers: &[Provider], size: u64) -> Vec<Member> {
    let same_size = providers.iter().filter(|provider| provider.size == size);
    same_size
        .map(|provider| Member {
            provider: provider.clone(),
            failures: 0,
            line: Arc::default(),
        })
        .collect()
}
