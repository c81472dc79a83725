//! Swarms: who announces to be fetching a file, and who watches for its providers.
//!
//! Watchers of one content share a [`Topic`]: whatever may have changed its providers counts the
//! topic up, and of the watchers that this wakes one asks the database, for all. Nothing is queued:
//! a watcher compares the state of now with what it has told, whenever its reader is ready, so a
//! slow reader skips what is old. Each is one task; it ends with its reader, its session or the
//! directory. What other replicas tell counts topics up too, and what got lost is found by looking
//! every [`LOOK`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use convite_core::model::Provider;
use convite_core::{ContentHash, ErrorCode, PeerAddress, PeerId, Problem, UnixMillis, Within};
use convite_store::{News, SecretHash, Viewer};
use tokio::sync::{mpsc, watch};

use super::locate::{PROVIDERS_MAX, choose};
use super::{Caller, Service};

/// The most watchers of one session at a time.
const WATCHERS_MAX: usize = 64;
/// The shortest time between two messages of a watcher.
const COALESCE: Duration = Duration::from_millis(20);
/// How often a watcher looks without being woken.
const LOOK: Duration = Duration::from_secs(5);
/// For how long watchers share an answer of the database that nothing here has overtaken.
const SHARED: Duration = Duration::from_secs(1);

/// What a watcher is told: providers, or why there will be no more.
pub(crate) type Told = Result<Vec<Provider>, Problem>;

/// The contents that are watched here, and how many watchers each session has.
#[derive(Default)]
pub(super) struct Watched {
    rooms: Mutex<Rooms>,
}

#[derive(Default)]
struct Rooms {
    topics: HashMap<ContentHash, (Arc<Topic>, usize)>,
    sessions: HashMap<SecretHash, usize>,
}

/// One content that is watched.
struct Topic {
    /// Counts what may have changed its providers.
    changes: watch::Sender<u64>,
    /// Of each kind of viewer what was last read: some see providers that others do not.
    latest: tokio::sync::Mutex<HashMap<Viewer, Latest>>,
}

/// The providers of a content as the database had them.
struct Latest {
    /// The count before it was asked.
    change: u64,
    asked: Instant,
    providers: Arc<Vec<Provider>>,
}

impl Watched {
    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The providers of these contents may have changed.
    pub(super) fn touch<'a>(&self, hashes: impl IntoIterator<Item = &'a ContentHash>) {
        let rooms = self.rooms();
        if rooms.topics.is_empty() {
            return;
        }
        for hash in hashes {
            if let Some((topic, _)) = rooms.topics.get(hash) {
                topic.changes.send_modify(|count| *count += 1);
            }
        }
    }

    /// Those of any content may have.
    pub(super) fn touch_all(&self) {
        for (topic, _) in self.rooms().topics.values() {
            topic.changes.send_modify(|count| *count += 1);
        }
    }
}

/// A place among the watchers, given up when dropped.
struct Seat {
    service: Arc<Service>,
    hash: ContentHash,
    session: SecretHash,
    topic: Arc<Topic>,
}

impl Seat {
    fn take(service: &Arc<Service>, caller: &Caller, hash: ContentHash) -> Result<Self, Problem> {
        let mut rooms = service.watched.rooms();
        let watchers = rooms.sessions.entry(caller.session).or_default();
        if *watchers >= WATCHERS_MAX {
            return Err(Problem::new(
                ErrorCode::TooManyRequests,
                format!("a session watches at most {WATCHERS_MAX} files at a time"),
            )
            .hint("end some downloads, or wait for them"));
        }
        *watchers += 1;
        let (topic, watchers) = rooms.topics.entry(hash).or_insert_with(|| {
            let topic = Topic {
                changes: watch::Sender::new(0),
                latest: tokio::sync::Mutex::default(),
            };
            (Arc::new(topic), 0)
        });
        *watchers += 1;
        Ok(Self {
            service: Arc::clone(service),
            hash,
            session: caller.session,
            topic: Arc::clone(topic),
        })
    }

    /// The providers online that a viewer may see: as of now, or as of another watcher with equal
    /// eyes that nothing has overtaken.
    async fn providers(&self, viewer: &Viewer) -> Result<Arc<Vec<Provider>>, Problem> {
        let mut latest = self.topic.latest.lock().await;
        let change = *self.topic.changes.borrow();
        if let Some(known) = latest.get(viewer)
            && known.change == change
            && known.asked.elapsed() < SHARED
        {
            return Ok(Arc::clone(&known.providers));
        }
        let asked = Instant::now();
        let (store, now) = (self.service.store(), self.service.now());
        let located = store.locate(viewer, &self.hash, now).await?;
        let providers = Arc::new(located.map_or_else(Vec::new, |file| file.providers));
        // What is old is of no use to anybody.
        latest.retain(|_, known| known.change == change && known.asked.elapsed() < SHARED);
        let read = Latest {
            change,
            asked,
            providers: Arc::clone(&providers),
        };
        latest.insert(viewer.clone(), read);
        Ok(providers)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut rooms = self.service.watched.rooms();
        if let Some((_, watchers)) = rooms.topics.get_mut(&self.hash) {
            *watchers -= 1;
            if *watchers == 0 {
                rooms.topics.remove(&self.hash);
            }
        }
        if let Some(watchers) = rooms.sessions.get_mut(&self.session) {
            *watchers -= 1;
            if *watchers == 0 {
                rooms.sessions.remove(&self.session);
            }
        }
    }
}

/// What a watcher has told of a provider.
struct Known {
    addresses: Vec<PeerAddress>,
    size: u64,
    partial: bool,
    /// When the ticket is to be replaced.
    renew: UnixMillis,
}

/// One watcher: what its reader has been told.
struct Watcher {
    seat: Seat,
    caller: Caller,
    within: Within,
    known: HashMap<PeerId, Known>,
}

impl Watcher {
    /// What the reader does not know yet, each with a ticket.
    async fn news(&mut self) -> Told {
        let service = &self.seat.service;
        let viewer = service.narrowed(&self.caller.viewer, &self.within).await?;
        let providers = self.seat.providers(&viewer).await?;
        let now = service.now();
        // Whoever went is news when it returns.
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
        news.extend(choose(strangers, room)?);
        service.give_tickets(&self.caller, &self.seat.hash, &mut news, now)?;
        let renew = now.after(service.parts.ticket_lifetime / 2);
        for provider in &news {
            let known = Known {
                addresses: provider.addresses.clone(),
                size: provider.size,
                partial: provider.partial,
                renew,
            };
            self.known.insert(provider.peer.clone(), known);
        }
        Ok(news)
    }

    /// Tells `reader` what is new until it, the session or the directory ends.
    async fn run_watcher(mut self, reader: mpsc::Sender<Told>) {
        let service = Arc::clone(&self.seat.service);
        let shutdown = service.parts.shutdown.clone();
        let look = LOOK.min(service.parts.ticket_lifetime / 4).max(COALESCE);
        let mut changes = self.seat.topic.changes.subscribe();
        let mut is_first = true;
        let mut checked = Instant::now();
        loop {
            // Room first, then the news: a reader that was slow gets those of now.
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
                    tokio::time::sleep(COALESCE).await;
                    changes.changed().await
                } => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
            if checked.elapsed() >= look {
                checked = Instant::now();
                // A session that has ended sees no more.
                match service
                    .of_session(self.caller.session, self.caller.from)
                    .await
                {
                    Ok(caller) => self.caller = caller,
                    Err(problem) => {
                        // Nobody to tell if the reader is not ready for it.
                        let _ = reader.try_send(Err(problem));
                        return;
                    }
                }
            }
        }
    }
}

impl Service {
    /// Lists a peer of the caller's as partial provider of a content, while its lease lasts.
    ///
    /// # Errors
    /// `not_found` if the caller has no such peer on the list, or may see no file of that content;
    /// `too_many_requests` above 256 contents of one peer; `invalid_argument` for a size out of bounds.
    pub async fn announce(
        &self,
        caller: &Caller,
        peer: &PeerId,
        hash: &ContentHash,
        size: u64,
    ) -> Result<(), Problem> {
        caller.must_share()?;
        let (store, now) = (self.store(), self.now());
        if store
            .announce(peer, caller.account, &caller.viewer, hash, size, now)
            .await?
        {
            self.touch(vec![*hash]);
        }
        Ok(())
    }

    /// Takes back an announcement; nothing happens if there is none.
    ///
    /// # Errors
    /// `not_found` if the caller has no such peer on the list.
    pub async fn withdraw(
        &self,
        caller: &Caller,
        peer: &PeerId,
        hash: &ContentHash,
    ) -> Result<(), Problem> {
        let (store, now) = (self.store(), self.now());
        store.withdraw(peer, caller.account, hash, now).await?;
        // Nobody is told of it, but the next who looks shall see it.
        self.touch(vec![*hash]);
        Ok(())
    }

    /// The providers of a content that the caller may see: first all of them (perhaps none: also for
    /// a content of which there is nothing to see), then those that are new or changed, as they do,
    /// each with a ticket that is replaced before it runs out. Ends with an
    /// error if the session does, or the caller belongs to the space no more, and when the directory
    /// stops.
    ///
    /// # Errors
    /// `too_many_requests` above 64 watchers of one session.
    pub(crate) fn watch(
        self: &Arc<Self>,
        caller: Caller,
        hash: ContentHash,
        within: Within,
    ) -> Result<mpsc::Receiver<Told>, Problem> {
        let watcher = Watcher {
            seat: Seat::take(self, &caller, hash)?,
            caller,
            within,
            known: HashMap::new(),
        };
        let (reader, told) = mpsc::channel(1);
        tokio::spawn(watcher.run_watcher(reader));
        Ok(told)
    }

    /// The providers of these contents may have changed.
    pub(super) fn touch(&self, hashes: Vec<ContentHash>) {
        self.watched.touch(&hashes);
        if !hashes.is_empty() {
            self.tell(News::Providers(hashes));
        }
    }

    /// A peer is on the list, anew or at other addresses; `generation` of its index is held.
    pub(super) async fn peer_appeared(&self, peer: &PeerId, generation: u64) {
        if generation > 0 {
            self.watched.touch_all();
            self.tell(News::Anything);
            return;
        }
        // It shares nothing: only what it has announced is concerned.
        match self.store().announced(peer).await {
            Ok(hashes) => self.touch(hashes),
            Err(problem) => {
                tracing::warn!(error = %problem, "watchers hear of a peer only when they look");
            }
        }
    }
}
