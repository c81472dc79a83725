//! The struct [`Service`]: its parts, and the state that operations share.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use convite_core::{PeerAddress, Problem, UnixMillis};
use convite_net::permits::KeyedPermits;
use convite_search::SearchIndex;
use convite_store::{AccountId, News, ReplicaId, Store};
use convite_wire::invite::Fingerprint;
use convite_wire::ticket::TicketSigner;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::authority::Authority;
use crate::clock::Clock;
use crate::gateway::{Gateway, GatewayConfig};
use crate::passwords::PasswordHasher;
use crate::throttle::AttemptLimits;
use crate::tls::Certificates;

pub(super) mod activity;
pub(super) mod attempts;
pub(super) mod fetch_watchers;
pub(super) mod metrics;
pub(super) mod page_tokens;
pub(super) mod provider_watchers;
pub(super) mod reader_tickets;
pub(super) mod readiness;
pub(super) mod replicas;

/// How long publishing waits until searches find the published files.
pub(crate) const SEARCHABLE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long searches reuse the set of online peers.
pub(crate) const ONLINE_CACHED: Duration = Duration::from_secs(1);

/// The parts of a directory.
pub(crate) struct ServiceParts {
    pub store: Arc<dyn Store>,
    pub search: Arc<SearchIndex>,
    pub authority: Option<Arc<Authority>>,
    pub certificates: Option<Arc<Certificates>>,
    pub signer: TicketSigner,
    pub open_registration: bool,
    pub lease: Duration,
    pub session_lifetime: Duration,
    pub ticket_lifetime: Duration,
    pub peer_certificate_lifetime: Duration,
    pub attempt_limits: AttemptLimits,
    pub gateway: GatewayConfig,
    pub clock: Clock,
    /// Ends the tasks that wait for changes.
    pub shutdown: CancellationToken,
}

/// The use cases over the directory's storage. Its own state can be rebuilt.
pub struct Service {
    pub(crate) parts: ServiceParts,
    pub(crate) passwords: PasswordHasher,
    pub(crate) page_tokens: page_tokens::PageTokens,
    pub(crate) attempts: attempts::AttemptThrottle,
    pub(crate) reader_tickets: reader_tickets::ReaderTickets,
    /// Wakes the index sync.
    published: Notify,
    pub(crate) metrics: metrics::Metrics,
    pub(crate) readiness_state: readiness::ReadinessState,
    /// The position in the change log up to which the search index is current.
    pub(crate) indexed_position: watch::Sender<i64>,
    pub(crate) online: Mutex<Online>,
    pub(crate) provider_watchers: provider_watchers::ProviderWatchers,
    pub(crate) fetch_watchers: fetch_watchers::FetchWatchers,
    pub(crate) peer_activity: activity::PeerActivity,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) replicas: replicas::ReplicaList,
    /// Number of open event streams per account.
    pub(crate) streams: KeyedPermits<AccountId>,
    /// Incremented when open pages may have to be updated.
    pub(crate) pages_changed: watch::Sender<u64>,
    /// Incremented when a load is requested or reported on.
    pub(crate) loads_changed: watch::Sender<u64>,
}

/// A cached set of online peers.
#[derive(Default)]
pub(crate) struct Online {
    /// Incremented on each change in this process, so that an older result is not cached.
    pub(crate) epoch: u64,
    pub(crate) cached: Option<(Instant, Arc<HashSet<i64>>)>,
}

impl Service {
    pub(crate) fn new(parts: ServiceParts, id: ReplicaId, addresses: Vec<PeerAddress>) -> Self {
        let gateway = Gateway::new(
            parts.gateway.clone(),
            parts
                .authority
                .as_ref()
                .map(|authority| authority.fingerprint()),
            parts.ticket_lifetime,
            parts.shutdown.clone(),
        );
        Self {
            attempts: attempts::AttemptThrottle::new(parts.attempt_limits),
            reader_tickets: reader_tickets::ReaderTickets::default(),
            page_tokens: page_tokens::PageTokens::new(parts.signer.secret_bytes()),
            parts,
            gateway,
            passwords: PasswordHasher::default(),
            published: Notify::new(),
            metrics: metrics::Metrics::default(),
            readiness_state: readiness::ReadinessState::default(),
            indexed_position: watch::Sender::new(i64::MIN),
            online: Mutex::default(),
            provider_watchers: provider_watchers::ProviderWatchers::default(),
            fetch_watchers: fetch_watchers::FetchWatchers::default(),
            peer_activity: activity::PeerActivity::default(),
            replicas: replicas::ReplicaList::new(id, addresses),
            streams: KeyedPermits::default(),
            pages_changed: watch::Sender::new(0),
            loads_changed: watch::Sender::new(0),
        }
    }

    /// Returns the SHA-256 fingerprint of the directory's authority, or `None` without TLS.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        let authority = self.parts.authority.as_ref()?;
        Some(Fingerprint(authority.fingerprint()))
    }

    /// Returns whether the directory uses TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.parts.authority.is_some()
    }

    /// Returns how long a session lasts without use.
    pub(crate) fn session_lifetime(&self) -> Duration {
        self.parts.session_lifetime
    }

    /// Returns the public key for ticket signatures: Ed25519, 32 bytes.
    pub fn ticket_key(&self) -> [u8; 32] {
        self.parts.signer.public_key()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.parts.store.as_ref()
    }

    pub(crate) fn search_index(&self) -> &Arc<SearchIndex> {
        &self.parts.search
    }

    /// Returns the current time.
    pub(crate) fn now(&self) -> UnixMillis {
        self.parts.clock.now()
    }

    /// Switches to the clock of the database if replicas share one.
    pub(crate) async fn use_database_time(&self) -> Result<(), Problem> {
        if let Some(shared) = self.store().shared() {
            self.parts.clock.use_database_time(shared.clock().await?);
        }
        Ok(())
    }

    /// Resolves once something was published since the last call.
    pub(crate) async fn wait_published(&self) {
        self.published.notified().await;
    }

    /// Sets the position in the change log that the search index has reached.
    pub(crate) fn set_indexed_position(&self, position: i64) {
        self.indexed_position.send_replace(position);
    }

    /// Wakes the index sync and waits, at most [`SEARCHABLE_TIMEOUT`], until searches find
    /// everything that is published now: once a peer is announced as ready, its files are found.
    pub(crate) async fn wait_until_searchable(&self) {
        self.notify_published();
        let Ok(position) = self.store().last_change().await else {
            return;
        };
        let mut followed = self.indexed_position.subscribe();
        let found = followed.wait_for(|followed| *followed >= position);
        // The index may be far behind; the files are found later in that case.
        let _ = tokio::time::timeout(SEARCHABLE_TIMEOUT, found).await;
    }

    /// Reports that the change log has grown.
    pub(crate) fn notify_published(&self) {
        self.published.notify_one();
        self.notify_pages();
        self.notify_replicas(News::Published);
    }

    /// Notifies other replicas, if the database is shared.
    pub(crate) fn notify_replicas(&self, news: News) {
        if let Some(shared) = self.store().shared() {
            shared.tell(news);
        }
    }

    /// Handles a notification from another replica.
    pub(crate) fn handle_replica_event(&self, news: &News) {
        match news {
            News::Published => {
                self.published.notify_one();
                self.notify_pages();
            }
            News::Providers(hashes) => self.provider_watchers.touch(hashes),
            News::Peers => self.invalidate_online(),
            News::Loads(peers) => peers
                .iter()
                .for_each(|peer| self.fetch_watchers.touch(peer)),
            News::Replicas => self.replicas.notify(),
            News::Anything => {
                self.published.notify_one();
                self.invalidate_online();
                self.provider_watchers.touch_all();
                self.fetch_watchers.touch_all();
                self.replicas.notify();
            }
        }
    }

    /// Reports that a peer came online or went offline.
    pub(crate) fn peers_changed(&self) {
        self.invalidate_online();
        self.notify_replicas(News::Peers);
    }

    pub(crate) fn invalidate_online(&self) {
        let mut online = self.online.lock();
        online.epoch += 1;
        online.cached = None;
        drop(online);
        self.notify_pages();
    }

    /// Returns the keys of the online peers, at most a second old.
    pub(crate) async fn online(&self) -> Result<Arc<HashSet<i64>>, Problem> {
        let epoch = {
            let online = self.online.lock();
            match &online.cached {
                Some((at, keys)) if at.elapsed() < ONLINE_CACHED => return Ok(Arc::clone(keys)),
                _ => online.epoch,
            }
        };
        let asked = Instant::now();
        let keys = self.store().online_peers(self.now()).await?;
        let keys: Arc<HashSet<i64>> = Arc::new(keys.into_iter().map(|key| key.0).collect());
        let mut online = self.online.lock();
        if online.epoch == epoch {
            online.cached = Some((asked, Arc::clone(&keys)));
        }
        Ok(keys)
    }
}
