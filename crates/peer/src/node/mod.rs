//! A node: the listener of a peer, its handlers, and its registration with the directory.
//!
//! A peer adds scans, publishing and remote fetches to it ([`crate::run`]); the transient peer of a
//! download does not. Tasks: *serving* (on shutdown it stops accepting, then drains requests in
//! flight for [`convite_net`]'s draining time) and *presence* (on shutdown it takes the peer off
//! the directory's list).

pub mod control;
pub(crate) mod listening;
pub mod metrics;
mod record;
mod remote_fetch;
pub mod router;
pub mod state;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use convite_core::{ErrorCode, PeerAddress, PeerId, Problem, SharingPolicy, UnixMillis};
use convite_net::origin::Hosts;
use convite_net::tls::{SwappableCertificate, server_config};
use convite_net::{random, task};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::announce::addresses::AdvertisedAddresses;
use crate::announce::directory::Directory;
use crate::announce::presence::{IdentityKey, Registrar};
use crate::announce::registration::Registration;
use crate::announce::tickets::TicketVerification;
use crate::home::PeerHome;
use crate::inbox::{Inbox, InboxConfig};
use crate::node::control::{ControlService, ControlToken};
use crate::node::listening::{Ports, listen};
use crate::node::metrics::Metrics;
use crate::node::router::router;
use crate::node::state::PeerState;
use crate::serve::context::ServeContext;
use crate::serve::download::uploads::{UploadLimits, Uploads};
use crate::sharing::cache::Cache;
use crate::sharing::shares::ShareList;

/// The maximum time that a peer waits for its tasks to end, draining included.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Configuration of a node.
pub(crate) struct NodeConfig {
    /// The peer's id.
    pub(crate) id: PeerId,
    /// The address to listen on; unspecified for all interfaces.
    pub(crate) bind: IpAddr,
    /// The port to listen on.
    pub(crate) ports: Ports,
    /// Additional addresses of the peer, advertised before its own.
    pub(crate) addresses: Vec<PeerAddress>,
    /// The upload limits.
    pub(crate) uploads: UploadLimits,
    /// The address of a metrics listener without encryption or authentication.
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// The sharing policy.
    pub(crate) terms: SharingPolicy,
    /// The inbox; required for uploads.
    pub(crate) inbox: Option<InboxConfig>,
}

/// What a peer keeps between two runs.
pub(crate) struct Storage {
    /// The home; `None` for a transient peer.
    pub(crate) home: Option<Arc<PeerHome>>,
    /// The hash cache.
    pub(crate) cache: Arc<Cache>,
    /// The shares.
    pub(crate) shares: ShareList,
    /// The key by which the directory recognizes the peer.
    pub(crate) key: IdentityKey,
}

impl Storage {
    /// Returns the storage of a transient peer, which keeps nothing.
    ///
    /// # Errors
    /// Returns `internal` if the system provides no randomness.
    pub(crate) fn transient() -> Result<Self, Problem> {
        Ok(Self {
            home: None,
            cache: Arc::new(Cache::in_memory()?),
            shares: ShareList::default(),
            key: IdentityKey::generate()?,
        })
    }
}

/// A running node. Dropping this does not stop it.
pub(crate) struct Node {
    /// The peer's URL: `https://HOST:PORT`.
    pub(crate) url: String,
    /// The address of the listener.
    pub(crate) address: SocketAddr,
    /// The address of the separate metrics listener, if there is one.
    pub(crate) monitoring: Option<SocketAddr>,
    /// The state shared by the peer's tasks.
    pub(crate) state: Arc<PeerState>,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
    home: Option<Arc<PeerHome>>,
}

impl Node {
    /// Starts a node. On return, it listens and has tried to register.
    ///
    /// # Errors
    /// Returns `in_use` if no port is free, and the directory's permanent refusals (`peer_taken`,
    /// `unauthenticated`, …).
    pub(crate) async fn start(
        config: NodeConfig,
        storage: Storage,
        directory: Arc<dyn Directory>,
        stop: CancellationToken,
    ) -> Result<Self, Problem> {
        let Storage {
            home,
            cache,
            shares,
            key,
        } = storage;
        let listening = Listening::begin(&config, directory.is_plaintext()).await?;
        let address = listening.address;
        let state = new_state(&config, &listening.url, &*directory, shares, &stop);
        // This cannot fail: the state is new, so the cell is empty.
        let _ = state.cache.set(cache.clone());
        let clock = state.registration.clock.clone();
        let gate = Arc::new(TicketVerification::with_clock(clock));

        let certificate =
            (!directory.is_plaintext()).then(|| Arc::new(SwappableCertificate::new()));
        let tls = certificate
            .as_ref()
            .map(|certificate| server_config(certificate.clone()));
        let mut serving = state.serve_context(cache.clone(), gate.clone());
        let names = listening.advertised.addresses();
        let names = names.iter().map(|address| address.host().to_owned());
        serving.hosts = Hosts::new(names.chain([config.id.certificate_name()]));
        serving.inbox = open_inbox(&config, &state, &cache).await?;
        let mut presence = Registrar {
            directory: directory.clone(),
            registration: state.registration.clone(),
            files: state.files.clone(),
            meter: state.uploads.meter().clone(),
            cache,
            gate,
            certificate,
            key,
            run: random::bytes()?,
            is_starting: true,
            port: address.port(),
            advertising: listening.advertised,
            transient: home.is_none(),
            terms: config.terms,
        };
        let handlers = Handlers::new(&state, home.is_some(), directory, serving).await?;
        let monitoring = match config.metrics_listen {
            Some(address) => Some(handlers.metrics.serve_at(address).await?),
            None => None,
        };
        let listed = presence.register_first().await?;
        if let Some(home) = &home {
            record::write(
                home,
                &handlers.token,
                &listening.url,
                address.port(),
                &config.id,
            )?;
        } else {
            // A transient peer scans nothing: its first scan counts as done.
            state.files.scans.send_replace(1);
        }
        let serve = convite_net::serve(
            convite_net::Limits::default(),
            listening.listener,
            tls,
            handlers.routes,
            stop,
        );
        let held = home.clone();
        let serving = task::spawn("serving", async move {
            // Keeps the home's lock until serving has ended.
            let _held = held;
            if let Err(problem) = serve.await {
                warn!("serving ended: {problem}");
            }
        });
        let presence = task::spawn("presence", presence.run_registration(listed));
        Ok(Self {
            url: listening.url,
            address,
            monitoring,
            state,
            tasks: vec![("serving", serving), ("presence", presence)],
            home,
        })
    }

    /// Adds a task that ends when the peer stops.
    pub(crate) fn add_task(&mut self, name: &'static str, task: JoinHandle<()>) {
        self.tasks.push((name, task));
    }

    /// Waits until the peer is stopped and its tasks have ended, 10 s at most after the stop.
    ///
    /// # Errors
    /// Returns `internal` if a task failed.
    pub(crate) async fn finished(self) -> Result<(), Problem> {
        self.state.stop.cancelled().await;
        let deadline = tokio::time::Instant::now() + STOP_MAX;
        let mut result = Ok(());
        for (name, mut task) in self.tasks {
            match tokio::time::timeout_at(deadline, &mut task).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    warn!("{name} failed: {error}");
                    result = Err(Problem::new(
                        ErrorCode::Internal,
                        format!("the peer's {name} failed"),
                    ));
                }
                Err(_) => {
                    warn!("{name} did not end in time");
                    task.abort();
                }
            }
        }
        // Another peer can start on the home when this returns.
        if let Some(cache) = self.state.cache.get().cloned() {
            let closed = task::start_blocking(move || cache.close()).await;
            closed.unwrap_or_else(|_| warn!("the hash cache could not be closed"));
        }
        if let Some(home) = &self.home {
            record::remove(home);
        }
        result
    }
}

/// A bound listener and the addresses to advertise.
struct Listening {
    listener: TcpListener,
    address: SocketAddr,
    advertised: AdvertisedAddresses,
    url: String,
}

impl Listening {
    async fn begin(config: &NodeConfig, is_plaintext: bool) -> Result<Self, Problem> {
        let listener = listen(config.bind, &config.ports).await?;
        let address = listener
            .local_addr()
            .map_err(|e| Problem::new(ErrorCode::Internal, format!("cannot listen: {e}")))?;
        let advertised = AdvertisedAddresses::new(config.addresses.clone(), address);
        let scheme = if is_plaintext { "http" } else { "https" };
        let loopback = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port());
        let shown = advertised.addresses().first().cloned();
        let url = format!("{scheme}://{}", shown.unwrap_or_else(|| loopback.into()));
        Ok(Self {
            listener,
            address,
            advertised,
            url,
        })
    }
}

/// The handlers of a peer's port.
struct Handlers {
    routes: axum::Router,
    metrics: Metrics,
    token: ControlToken,
}

impl Handlers {
    async fn new(
        state: &Arc<PeerState>,
        has_home: bool,
        directory: Arc<dyn Directory>,
        context: ServeContext,
    ) -> Result<Self, Problem> {
        let token = ControlToken::random()?;
        let metrics = Metrics::new(state.clone(), has_home.then_some(&token));
        let control =
            has_home.then(|| ControlService::new(state.clone(), &token, directory.client()));
        Ok(Self {
            routes: router(context, control, &metrics).await?,
            metrics,
            token,
        })
    }
}

fn new_state(
    config: &NodeConfig,
    url: &str,
    directory: &dyn Directory,
    shares: ShareList,
    stop: &CancellationToken,
) -> Arc<PeerState> {
    let mut registration = Registration::new(config.id.clone(), stop.clone());
    registration.clock = directory.clock();
    registration.url.send_replace(url.to_owned());
    let uploads = Uploads::new(config.uploads);
    let started = UnixMillis::from(SystemTime::now());
    let user = directory.user();
    Arc::new(PeerState::of(registration, user, shares, uploads, started))
}

async fn open_inbox(
    config: &NodeConfig,
    state: &PeerState,
    cache: &Arc<Cache>,
) -> Result<Option<Arc<Inbox>>, Problem> {
    let owner = state.inbox_owner(cache.clone());
    let inbox =
        Inbox::open_if_any(config.inbox.clone(), config.terms.uploads.clone(), owner).await?;
    if let Some(inbox) = &inbox {
        // This cannot fail: the inbox is opened once.
        let _ = state.inbox.set(inbox.level().clone());
    }
    Ok(inbox)
}
