//! Swarms: announcements of partial copies, and watches for the providers of a content.
//!
//! Watchers of one content share a [`Topic`]. Each possible change of its providers increments the
//! topic's counter; one of the watchers that this wakes queries the database, for all of them.
//! Nothing is queued: whenever its reader is ready, a watcher compares the current state with what
//! it has sent, so that a slow reader skips outdated states. Each watcher is one task; it ends with
//! its reader, its session or the directory. Notifications from other replicas increment topics
//! too; a lost one is compensated by a check every [`POLL_INTERVAL`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use convite_core::model::Provider;
use convite_core::{
    ContentHash, EntryKind, ErrorCode, PeerAddress, PeerId, Problem, SearchScope, SpaceName,
    UnixMillis,
};
use convite_net::permits::KeyedPermit;
use convite_net::task;
use convite_store::{News, SecretHash, Viewer};
use tokio::sync::mpsc;

use super::locate::{PROVIDERS_MAX, sample_providers};
use super::state::provider_watchers::{CachedProviders, Topic};
use super::{Caller, Service};

/// Maximum number of watchers of one session.
const WATCHERS_MAX: usize = 64;
/// Minimum interval between two messages of a watcher.
const MESSAGE_INTERVAL_MIN: Duration = Duration::from_millis(20);
/// Interval between checks without a notification.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How long watchers share a query result, unless a change occurs.
const RESULT_LIFETIME: Duration = Duration::from_secs(1);

/// A message to a watcher: providers, or the error that ends the stream.
pub(crate) type ProvidersMessage = Result<Vec<Provider>, Problem>;

/// A slot among the watchers, released when dropped.
struct ProviderWatchSlot {
    service: Arc<Service>,
    hash: ContentHash,
    kind: Option<EntryKind>,
    topic: KeyedPermit<ContentHash, Arc<Topic>>,
    _session: KeyedPermit<SecretHash>,
}

impl ProviderWatchSlot {
    fn take(
        service: &Arc<Service>,
        caller: &Caller,
        hash: ContentHash,
        kind: Option<EntryKind>,
    ) -> Result<Self, Problem> {
        let too_many = || {
            Problem::new(
                ErrorCode::TooManyRequests,
                format!("a session can watch at most {WATCHERS_MAX} files"),
            )
            .hint("end some downloads, or wait for them")
        };
        let watchers = &service.provider_watchers;
        let session = watchers.sessions.acquire(caller.session, WATCHERS_MAX);
        let session = session.ok_or_else(too_many)?;
        // Only the watchers of a session are limited, not those of a content.
        let topic = watchers.topics.acquire_with(hash, usize::MAX, Arc::default);
        Ok(Self {
            service: Arc::clone(service),
            hash,
            kind,
            topic: topic.ok_or_else(too_many)?,
            _session: session,
        })
    }

    /// Returns the online providers that a viewer may see: queried now, or by another watcher with
    /// an equal viewer if nothing has changed since.
    async fn providers(&self, viewer: &Viewer) -> Result<Arc<Vec<Provider>>, Problem> {
        let mut latest = self.topic.value().latest.lock().await;
        let change = *self.topic.value().changes.borrow();
        let key = (viewer.clone(), self.kind);
        if let Some(known) = latest.get(&key)
            && known.change == change
            && known.asked.elapsed() < RESULT_LIFETIME
        {
            return Ok(Arc::clone(&known.providers));
        }
        let asked = Instant::now();
        let (store, now) = (self.service.store(), self.service.now());
        let located = store.locate(viewer, &self.hash, self.kind, now).await?;
        let providers = Arc::new(located.map_or_else(Vec::new, |file| file.providers));
        // Remove outdated results.
        latest.retain(|_, known| known.change == change && known.asked.elapsed() < RESULT_LIFETIME);
        let read = CachedProviders {
            change,
            asked,
            providers: Arc::clone(&providers),
        };
        latest.insert(key, read);
        Ok(providers)
    }
}

/// The last message sent about a provider.
struct SentProvider {
    addresses: Vec<PeerAddress>,
    size: u64,
    partial: bool,
    /// When the ticket must be replaced.
    renew: UnixMillis,
}

/// One watcher, with the providers already sent.
struct ProviderWatcher {
    slot: ProviderWatchSlot,
    caller: Caller,
    within: SearchScope,
    known: HashMap<PeerId, SentProvider>,
}

impl ProviderWatcher {
    /// Returns new and changed providers, each with a ticket.
    async fn news(&mut self) -> ProvidersMessage {
        let service = &self.slot.service;
        let viewer = service
            .restrict_viewer(&self.caller.viewer, &self.within)
            .await?;
        let providers = self.slot.providers(&viewer).await?;
        let now = service.now();
        // Forget providers that left, so that they are sent again when they return.
        if !self.known.is_empty() {
            let online: std::collections::HashSet<_> = providers.iter().map(|p| &p.peer).collect();
            self.known.retain(|peer, _| online.contains(peer));
        }
        let (mut news, strangers): (Vec<_>, Vec<_>) = providers
            .iter()
            .filter(|provider| {
                self.known.get(&provider.peer).is_none_or(|known| {
                    known.addresses != provider.addresses
                        || known.size != provider.size
                        || known.partial != provider.partial
                        || known.renew <= now
                })
            })
            .cloned()
            .partition(|provider| self.known.contains_key(&provider.peer));
        let room = PROVIDERS_MAX.saturating_sub(self.known.len());
        news.extend(sample_providers(strangers, room)?);
        let renewals = service.issue_tickets(&self.caller, &mut news, now).await?;
        for provider in &news {
            let known = SentProvider {
                addresses: provider.addresses.clone(),
                size: provider.size,
                partial: provider.partial,
                renew: renewals.get(&provider.peer).copied().unwrap_or(now),
            };
            self.known.insert(provider.peer.clone(), known);
        }
        Ok(news)
    }

    /// Sends changes to `reader` until the reader, the session or the directory ends.
    async fn run(mut self, reader: mpsc::Sender<ProvidersMessage>) {
        let service = Arc::clone(&self.slot.service);
        let shutdown = service.parts.shutdown.clone();
        let look = POLL_INTERVAL
            .min(service.parts.ticket_lifetime / 4)
            .max(MESSAGE_INTERVAL_MIN);
        let mut changes = self.slot.topic.value().changes.subscribe();
        let mut is_first = true;
        let mut checked = Instant::now();
        loop {
            // Reserve first, so that a slow reader gets the current state.
            let room = tokio::select! {
                () = shutdown.cancelled() => return,
                room = reader.reserve() => match room {
                    Ok(room) => room,
                    Err(_) => return,
                },
            };
            changes.borrow_and_update();
            match self.news().await {
                Ok(news) if news.is_empty() && !is_first => drop(room),
                Ok(news) => room.send(Ok(news)),
                Err(problem) => return room.send(Err(problem)),
            }
            is_first = false;
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = reader.closed() => return,
                () = tokio::time::sleep(look) => {}
                changed = async {
                    tokio::time::sleep(MESSAGE_INTERVAL_MIN).await;
                    changes.changed().await
                } => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
            if checked.elapsed() >= look {
                checked = Instant::now();
                // End the stream with the session.
                match service
                    .caller_of_session(self.caller.session, self.caller.client_address)
                    .await
                {
                    Ok(caller) => self.caller = caller,
                    Err(problem) => {
                        // Dropped if the reader is not ready.
                        let _ = reader.try_send(Err(problem));
                        return;
                    }
                }
            }
        }
    }
}

impl Service {
    /// Lists one of the caller's peers as a partial provider of a content while its lease lasts.
    /// Returns the audience: the spaces in which the caller sees the content. The peer is listed to
    /// accounts that are members of all of them.
    ///
    /// # Errors
    /// Returns `not_found` if the caller has no such listed peer, or may see no file with this
    /// content; `too_many_requests` above 256 contents of one peer; `invalid_argument` for a size
    /// of 0 or out of bounds.
    pub async fn announce(
        &self,
        caller: &Caller,
        peer: &PeerId,
        hash: &ContentHash,
        size: u64,
    ) -> Result<Vec<SpaceName>, Problem> {
        caller.require_sharing_role()?;
        if size == 0 || *hash == ContentHash::EMPTY {
            return Err(Problem::invalid("a content without bytes is not announced"));
        }
        let (store, now) = (self.store(), self.now());
        let announced = store
            .announce(peer, caller.account, &caller.viewer, hash, size, now)
            .await?;
        if announced.is_news {
            self.touch(vec![*hash]);
        }
        Ok(announced.audience)
    }

    /// Withdraws an announcement; does nothing if there is none.
    ///
    /// # Errors
    /// Returns `not_found` if the caller has no such listed peer.
    pub async fn withdraw(
        &self,
        caller: &Caller,
        peer: &PeerId,
        hash: &ContentHash,
    ) -> Result<(), Problem> {
        let (store, now) = (self.store(), self.now());
        store.withdraw(peer, caller.account, hash, now).await?;
        // Watchers get no message about it, but must not reuse the previous result.
        self.touch(vec![*hash]);
        Ok(())
    }

    /// Opens a stream of the providers of a content that the caller may see, of a kind or of the one
    /// that most accounts claim: first all of them
    /// (possibly none, also for an unknown or invisible content), then new and changed ones, each
    /// with a ticket that is replaced before it expires. It ends with an error if the session ends,
    /// or the caller no longer belongs to the space, and when the directory stops.
    ///
    /// # Errors
    /// Returns `too_many_requests` above 64 watchers of one session.
    pub(crate) fn watch(
        self: &Arc<Self>,
        caller: Caller,
        hash: ContentHash,
        kind: Option<EntryKind>,
        within: SearchScope,
    ) -> Result<mpsc::Receiver<ProvidersMessage>, Problem> {
        let watcher = ProviderWatcher {
            slot: ProviderWatchSlot::take(self, &caller, hash, kind)?,
            caller,
            within,
            known: HashMap::new(),
        };
        let (reader, told) = mpsc::channel(1);
        task::spawn("swarm watcher", watcher.run(reader));
        Ok(told)
    }

    /// Reports that the providers of these contents may have changed.
    pub(super) fn touch(&self, hashes: Vec<ContentHash>) {
        self.provider_watchers.touch(&hashes);
        if !hashes.is_empty() {
            self.notify_replicas(News::Providers(hashes));
        }
    }

    /// Reports that a peer was listed or changed its addresses; the directory holds `generation` of
    /// its index.
    pub(super) async fn peer_listed(&self, peer: &PeerId, generation: u64) {
        if generation > 0 {
            self.provider_watchers.touch_all();
            self.notify_replicas(News::Anything);
            return;
        }
        // It shares nothing: only its announcements may have changed.
        match self.store().announced(peer).await {
            Ok(hashes) => self.touch(hashes),
            Err(problem) => {
                tracing::warn!(error = %problem, "cannot notify the watchers of a peer");
            }
        }
    }
}
