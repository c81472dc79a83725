//! The provider pool of a transfer: the providers of one file, and which one is asked next.
//!
//! Providers of the whole file are asked before those of a part, a few of them in rotation. A
//! provider that does not answer or fails twice is excluded until no other is left; one that sends
//! wrong data is excluded permanently. The list and the tickets are renewed when half of the
//! tickets' lifetime is over, when no provider is left, and when a ticket is refused; a reader that
//! loses the permission to read the file therefore loses it during a transfer, too.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use convite_core::model::{LocatedFile, Provider};
use convite_core::{ErrorCode, PeerId, Problem};
use convite_net::random;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::provider::{ProviderConnection, ProviderFailure};
use super::{Gateway, ProviderLookup};

/// Number of providers asked in rotation.
const ROTATION_SIZE: usize = 4;
/// Maximum number of providers whose failure is reported.
const REASONS_MAX: usize = 3;
/// Number of failures after which a provider is excluded.
const FAILURES_MAX: u32 = 2;
/// Pauses before the first, second, … renewal of the list when no provider is left.
const PAUSES: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

pub(super) struct ProviderPool {
    gateway: Arc<Gateway>,
    locate: ProviderLookup,
    /// Providers that claim another size are ignored.
    size: u64,
    state: Mutex<State>,
    /// Held during a renewal, so that concurrent ones cause one lookup.
    renewing: tokio::sync::Mutex<()>,
}

struct State {
    entries: Vec<PoolEntry>,
    dishonest: HashSet<PeerId>,
    /// The last failure of each provider.
    failed: BTreeMap<PeerId, ProviderFailure>,
    located: Instant,
    turn: usize,
}

/// A connection, once dialled; locked during dialling, so that it is dialled once.
type SharedConnection = Arc<tokio::sync::Mutex<Option<Arc<ProviderConnection>>>>;

struct PoolEntry {
    provider: Provider,
    failures: u32,
    connection: SharedConnection,
}

/// The selected provider.
pub(super) struct ConnectedProvider {
    pub(super) peer: PeerId,
    pub(super) connection: Arc<ProviderConnection>,
}

impl ProviderPool {
    pub(super) fn new(
        gateway: &Arc<Gateway>,
        file: &LocatedFile,
        size: u64,
        locate: ProviderLookup,
    ) -> Self {
        Self {
            gateway: Arc::clone(gateway),
            locate,
            size,
            state: Mutex::new(State {
                entries: entries(&file.providers, size),
                dishonest: HashSet::new(),
                failed: BTreeMap::new(),
                located: Instant::now(),
                // A random start spreads the load.
                turn: random::bytes().map_or(0, u16::from_le_bytes).into(),
            }),
            renewing: tokio::sync::Mutex::default(),
        }
    }

    /// Returns the next provider, connected; none of those in `lacking`.
    ///
    /// # Errors
    /// Returns `corrupt_contents` if all remaining providers have sent wrong data, `unavailable` if
    /// none is left; or the error of the lookup.
    pub(super) async fn next(
        &self,
        lacking: &HashSet<PeerId>,
    ) -> Result<ConnectedProvider, Problem> {
        let mut pauses = PAUSES.iter();
        if self.is_stale() {
            self.renew().await?;
        }
        loop {
            let Some((provider, connection)) = self.choose(lacking) else {
                let Some(pause) = pauses.next() else {
                    return Err(self.exhausted());
                };
                sleep(*pause).await;
                self.renew().await?;
                if self.state.lock().entries.is_empty() {
                    return Err(self.exhausted());
                }
                continue;
            };
            let mut dialled = connection.lock().await;
            if let Some(connection) = dialled
                .as_ref()
                .filter(|connection| !connection.is_closed())
            {
                return Ok(ConnectedProvider {
                    peer: provider.peer,
                    connection: Arc::clone(connection),
                });
            }
            match ProviderConnection::dial(&self.gateway, &provider).await {
                Ok(connection) => {
                    let connection = Arc::new(connection);
                    *dialled = Some(Arc::clone(&connection));
                    return Ok(ConnectedProvider {
                        peer: provider.peer,
                        connection,
                    });
                }
                Err(failure) => {
                    drop(dialled);
                    self.failed(&provider.peer, failure);
                }
            }
        }
    }

    /// Records a provider's failure.
    pub(super) fn failed(&self, peer: &PeerId, failure: ProviderFailure) {
        tracing::debug!(%peer, ?failure, "a provider failed");
        let mut state = self.state.lock();
        state.failed.insert(peer.clone(), failure);
        if failure == ProviderFailure::Dishonest {
            tracing::warn!(%peer, "a provider sent wrong data");
            state.dishonest.insert(peer.clone());
            state.entries.retain(|entry| entry.provider.peer != *peer);
            return;
        }
        let lifetime = self.gateway.ticket_lifetime;
        if failure == ProviderFailure::Refused {
            // Renew the tickets before the next request.
            state.located = state.located.checked_sub(lifetime).unwrap_or(state.located);
        }
        if let Some(entry) = state.entries.iter_mut().find(|e| e.provider.peer == *peer) {
            entry.failures += match failure {
                ProviderFailure::Lacking if entry.provider.partial => 0,
                ProviderFailure::Lacking | ProviderFailure::Absent => FAILURES_MAX,
                _ => 1,
            };
            // Reconnect after a failure, and do not keep a connection with a refused ticket.
            entry.connection = Arc::default();
        }
    }

    fn choose(&self, lacking: &HashSet<PeerId>) -> Option<(Provider, SharedConnection)> {
        let mut state = self.state.lock();
        let usable = |entry: &&PoolEntry| {
            entry.failures < FAILURES_MAX && !lacking.contains(&entry.provider.peer)
        };
        let turn = state.turn;
        state.turn = turn.wrapping_add(1);
        let mut usable = state
            .entries
            .iter()
            .filter(usable)
            .take(ROTATION_SIZE)
            .peekable();
        // Partial providers are last, and are used only when no whole one is left.
        let partial = usable.peek()?.provider.partial;
        let alike: Vec<&PoolEntry> = usable.filter(|e| e.provider.partial == partial).collect();
        let entry = alike.get(turn % alike.len())?;
        Some((entry.provider.clone(), Arc::clone(&entry.connection)))
    }

    fn is_stale(&self) -> bool {
        self.state.lock().located.elapsed() >= self.gateway.ticket_lifetime / 2
    }

    /// Repeats the lookup, and resets the failures of all providers except those that sent wrong
    /// data.
    async fn renew(&self) -> Result<(), Problem> {
        let asked = Instant::now();
        let _renewing = self.renewing.lock().await;
        if self.state.lock().located > asked {
            return Ok(());
        }
        let file = (self.locate)().await?;
        let mut state = self.state.lock();
        let mut entries = entries(&file.providers, self.size);
        entries.retain(|entry| !state.dishonest.contains(&entry.provider.peer));
        state.entries = entries;
        state.located = Instant::now();
        Ok(())
    }

    /// Returns the error if no provider can be selected.
    fn exhausted(&self) -> Problem {
        let state = self.state.lock();
        if state.entries.is_empty() && !state.dishonest.is_empty() {
            Problem::new(
                ErrorCode::CorruptContents,
                "every source of this file sent wrong data",
            )
        } else {
            let reasons = state.failed.iter().take(REASONS_MAX);
            let reasons =
                reasons.map(|(peer, failure)| format!("{peer}: {}", failure.description()));
            let mut message = "no source of this file can be reached".to_owned();
            for reason in reasons {
                message.push_str("; ");
                message.push_str(&reason);
            }
            Problem::new(ErrorCode::Unavailable, message).hint("try again in a moment")
        }
    }
}

fn entries(providers: &[Provider], size: u64) -> Vec<PoolEntry> {
    let same_size = providers.iter().filter(|provider| provider.size == size);
    same_size
        .map(|provider| PoolEntry {
            provider: provider.clone(),
            failures: 0,
            connection: Arc::default(),
        })
        .collect()
}
