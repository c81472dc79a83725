//! The use cases of the directory, in the words of the core.
//!
//! One method an operation. Whoever calls has a [`Caller`] (from a session token) where the
//! operation wants one, and fails with a [`Problem`]; how either travels is the doors' business.

mod accounts;
mod activity;
mod attempts;
mod audit;
mod contents;
mod events;
mod index;
mod invites;
mod links;
mod loads;
mod locate;
mod metrics;
mod orders;
mod peers;
mod readiness;
mod replicas;
mod search;
mod sessions;
mod spaces;
mod swarm;
mod uploads;
mod users;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use convite_core::{PeerAddress, Problem, UnixMillis};
use convite_search::SearchIndex;
use convite_store::{AccountId, News, ReplicaId, Store};
use convite_wire::invite::Fingerprint;
use convite_wire::ticket::TicketSigner;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub use contents::Contents;
pub(crate) use events::Event;
pub use index::{BATCH_MAX, CHANGE_MAX, WholeIndex};
pub(crate) use index::{check_change, whole_removes_nothing};
pub use invites::{InviteIssued, NewInvite};
pub use links::{LinkIssued, Linked, Pass};
pub use peers::{Endpoint, PeerRegistered, Seen};
pub use readiness::Readiness;
pub(crate) use replicas::RENEWAL;
pub use search::{SearchFound, SearchQuery};
pub use sessions::{Caller, Me, Session};
pub use users::UserChange;

use crate::authority::Authority;
use crate::passwords::Passwords;
use crate::relay::{Relay, RelayConfig};
use crate::throttle::Paces;

/// How long a publisher waits for what it published to be found.
const FOUND_MAX: Duration = Duration::from_secs(1);
/// For how long the set of peers online is taken to be what it was, for searching.
const ONLINE_CACHED: Duration = Duration::from_secs(1);

/// What a directory is made of.
pub(crate) struct Parts {
    pub store: Arc<dyn Store>,
    pub search: Arc<SearchIndex>,
    pub authority: Option<Arc<Authority>>,
    pub signer: TicketSigner,
    pub addresses: Vec<PeerAddress>,
    pub open_registration: bool,
    pub lease: Duration,
    pub session_lifetime: Duration,
    pub ticket_lifetime: Duration,
    pub peer_certificate_lifetime: Duration,
    pub paces: Paces,
    pub relay: RelayConfig,
    /// Ends what waits for news.
    pub shutdown: CancellationToken,
}

/// The use cases over the directory's storage. Holds no state that cannot be rebuilt.
pub struct Service {
    parts: Parts,
    passwords: Passwords,
    attempts: attempts::Attempts,
    /// Wakes the follower of the change log.
    published: Notify,
    metrics: metrics::Metrics,
    state: readiness::State,
    /// The position in the change log that searches know of.
    followed: watch::Sender<i64>,
    online: Mutex<Online>,
    watched: swarm::Watched,
    orders: orders::Orders,
    activities: activity::Activities,
    relay: Arc<Relay>,
    siblings: replicas::Siblings,
    /// How many pages of each account are told of events.
    streams: Mutex<HashMap<AccountId, usize>>,
    /// Counts what pages that are open may want to know.
    stirred: watch::Sender<u64>,
    /// Counts what is asked of peers, and what they say of it.
    loads_moved: watch::Sender<u64>,
}

/// The peers online as they were a moment ago.
#[derive(Default)]
struct Online {
    /// Counts what has changed in this process, so that an answer from before is not kept.
    epoch: u64,
    cached: Option<(Instant, Arc<HashSet<i64>>)>,
}

impl Service {
    pub(crate) fn new(parts: Parts, id: ReplicaId) -> Self {
        let relay = Relay::new(
            parts.relay.clone(),
            parts
                .authority
                .as_ref()
                .map(|authority| authority.fingerprint()),
            parts.ticket_lifetime,
            parts.shutdown.clone(),
        );
        Self {
            attempts: attempts::Attempts::new(parts.paces),
            parts,
            relay,
            passwords: Passwords::default(),
            published: Notify::new(),
            metrics: metrics::Metrics::default(),
            state: readiness::State::default(),
            followed: watch::Sender::new(i64::MIN),
            online: Mutex::default(),
            watched: swarm::Watched::default(),
            orders: orders::Orders::default(),
            activities: activity::Activities::default(),
            siblings: replicas::Siblings::new(id),
            streams: Mutex::default(),
            stirred: watch::Sender::new(0),
            loads_moved: watch::Sender::new(0),
        }
    }

    /// The SHA-256 fingerprint of the directory's authority; none without TLS.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        let authority = self.parts.authority.as_ref()?;
        Some(Fingerprint(authority.fingerprint()))
    }

    /// Whether the directory speaks TLS.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.parts.authority.is_some()
    }

    /// For how long a session lasts without use.
    pub(crate) fn session_lifetime(&self) -> Duration {
        self.parts.session_lifetime
    }

    /// The public key that tickets are signed with: Ed25519, 32 bytes.
    pub fn ticket_key(&self) -> [u8; 32] {
        self.parts.signer.public_key()
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.parts.store.as_ref()
    }

    pub(crate) fn search_index(&self) -> &Arc<SearchIndex> {
        &self.parts.search
    }

    /// The one place where the directory reads the clock.
    pub(crate) fn now(&self) -> UnixMillis {
        SystemTime::now().into()
    }

    /// Resolves once something was published since the last time.
    pub(crate) async fn published(&self) {
        self.published.notified().await;
    }

    /// The search index has followed the change log so far.
    pub(crate) fn set_followed(&self, position: i64) {
        self.followed.send_replace(position);
    }

    /// Wakes the follower and waits, [`FOUND_MAX`] at most, until searches find what is published
    /// by now: whoever hears that a peer is ready finds its files.
    async fn until_found(&self) {
        self.has_published();
        let Ok(position) = self.store().last_change().await else {
            return;
        };
        let mut followed = self.followed.subscribe();
        let found = followed.wait_for(|followed| *followed >= position);
        // The index may be far behind; it will be found all the same, only later.
        let _ = tokio::time::timeout(FOUND_MAX, found).await;
    }

    /// The change log has grown.
    fn has_published(&self) {
        self.published.notify_one();
        self.stir_pages();
        self.tell(News::Published);
    }

    /// Tells other replicas, if there may be any.
    fn tell(&self, news: News) {
        if let Some(shared) = self.store().shared() {
            shared.tell(news);
        }
    }

    /// Another replica has told this.
    pub(crate) fn hear(&self, news: &News) {
        match news {
            News::Published => {
                self.published.notify_one();
                self.stir_pages();
            }
            News::Providers(hashes) => self.watched.touch(hashes),
            News::Peers => self.forget_online(),
            News::Loads(peers) => peers.iter().for_each(|peer| self.orders.touch(peer)),
            News::Replicas => self.siblings.stir(),
            News::Anything => {
                self.published.notify_one();
                self.forget_online();
                self.watched.touch_all();
                self.orders.touch_all();
                self.siblings.stir();
            }
        }
    }

    fn online_cache(&self) -> MutexGuard<'_, Online> {
        self.online.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A peer came or went.
    fn peers_changed(&self) {
        self.forget_online();
        self.tell(News::Peers);
    }

    fn forget_online(&self) {
        let mut online = self.online_cache();
        online.epoch += 1;
        online.cached = None;
        drop(online);
        self.stir_pages();
    }

    /// The keys of the peers online, as of a second ago at most.
    async fn online(&self) -> Result<Arc<HashSet<i64>>, Problem> {
        let epoch = {
            let online = self.online_cache();
            match &online.cached {
                Some((at, keys)) if at.elapsed() < ONLINE_CACHED => return Ok(Arc::clone(keys)),
                _ => online.epoch,
            }
        };
        let asked = Instant::now();
        let keys = self.store().online_peers(self.now()).await?;
        let keys: Arc<HashSet<i64>> = Arc::new(keys.into_iter().map(|key| key.0).collect());
        let mut online = self.online_cache();
        if online.epoch == epoch {
            online.cached = Some((asked, Arc::clone(&keys)));
        }
        Ok(keys)
    }
}
