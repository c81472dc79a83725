//! Start and shutdown of a directory: opens its parts, listens, and runs the background tasks
//! (index sync, sweeper and others).
//!
//! Shutdown is graceful: no new connections are accepted, and requests in progress have 10 seconds
//! to end.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use convite_core::{ErrorCode, PeerAddress, Problem};
use convite_net::interfaces;
use convite_net::origin::Hosts;
use convite_net::proxy::Proxies;
use convite_net::{random, task};
use convite_search::SearchIndex;
use convite_store::{ReplicaId, Store};
use convite_wire::ticket::TicketSigner;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::addresses::AddressTracker;
use crate::authority::Authority;
use crate::clock::JumpDetector;
use crate::config::DirectoryConfig;
use crate::index_sync::{run_index_sync, spawn_blocking_work};
use crate::middleware::admission::AdmissionLimits;
use crate::notifications::run_notifications;
use crate::observe::requests::RequestMetrics;
use crate::replicas::run_replicas;
use crate::secrets::SecretStore;
use crate::service::{Service, ServiceParts};
use crate::tls::{CertificateFiles, Certificates, known_hosts, leaf_hosts, read_configured};
use crate::{files, grpc, identity, middleware, observe, rest};

/// Interval between deletions of expired data.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// The port that implies TLS.
const HTTPS_PORT: u16 = 443;
/// Interval between updates of the gRPC health status.
const HEALTH_INTERVAL: Duration = Duration::from_millis(500);
/// Total time for the background tasks to end after the listener is closed; together with the drain
/// of the listener, 10 seconds.
const TASKS_TIMEOUT: Duration = Duration::from_secs(2);

/// A running directory. Dropping it stops it immediately; [`Self::finished`] waits.
pub struct RunningDirectory {
    /// The address of the listener.
    pub address: SocketAddr,
    /// The address of the monitoring listener, if there is one.
    pub monitoring: Option<SocketAddr>,
    /// `https://HOST:PORT`, as others reach it.
    pub url: String,
    /// The invite link of the ready line: a secret.
    pub invite: String,
    /// The address of the page that creates an account with that invite: a secret.
    pub web: String,
    /// SHA-256 fingerprint of its authority's certificate; `None` without TLS.
    pub authority: Option<[u8; 32]>,
    /// The use cases.
    pub service: Arc<Service>,
    /// Its certificate files for browsers, which can be reloaded.
    pub certificates: CertificateFiles,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), Problem>>,
    background: Vec<JoinHandle<()>>,
}

impl RunningDirectory {
    /// Returns once the directory has stopped after a shutdown request.
    ///
    /// # Errors
    /// Returns `internal` if it stopped for another reason.
    pub async fn finished(mut self) -> Result<(), Problem> {
        let served = (&mut self.serving).await;
        self.stop.cancel();
        let deadline = Instant::now() + TASKS_TIMEOUT;
        for task in &mut self.background {
            if tokio::time::timeout_at(deadline, &mut *task).await.is_err() {
                task.abort();
            }
        }
        served.map_err(|e| Problem::new(ErrorCode::Internal, format!("serving ended: {e}")))?
    }
}

impl Drop for RunningDirectory {
    fn drop(&mut self) {
        self.stop.cancel();
        self.serving.abort();
        for task in &self.background {
            task.abort();
        }
    }
}

/// Starts a directory; it runs until `shutdown`.
///
/// # Errors
/// Returns `in_use` if the address is in use; `invalid_argument` for an invalid configuration;
/// `internal` if a file or the database cannot be opened.
pub async fn start(
    config: DirectoryConfig,
    shutdown: CancellationToken,
) -> Result<RunningDirectory, Problem> {
    convite_net::install_crypto();
    check_public(&config)?;
    // Bind first, so that a second directory changes nothing of the first.
    let listener = listen(config.listen).await?;
    let address = listener
        .local_addr()
        .map_err(|e| Problem::new(ErrorCode::Internal, format!("cannot listen: {e}")))?;
    let monitoring = match config.metrics_listen {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let opened = Opened::open(&config, address).await?;
    let (authority, certificates) = opened.folder.tls.unzip();
    let tracker = AddressTracker::new(&config, address, certificates.clone());
    let addresses = tracker.addresses();
    let scheme = if config.plaintext { "http" } else { "https" };
    let host = addresses
        .first()
        .map_or_else(String::new, ToString::to_string);
    // Not a child token: there may be a delay between the shutdown request and the stop.
    let stop = CancellationToken::new();
    let parts = ServiceParts {
        store: opened.store,
        search: opened.folder.search,
        authority: authority.clone(),
        certificates: certificates.clone(),
        signer: opened.signer,
        open_registration: config.open_registration,
        lease: config.lease,
        session_lifetime: config.session_lifetime,
        ticket_lifetime: config.ticket_lifetime,
        peer_certificate_lifetime: config.peer_certificate_lifetime,
        attempt_limits: config.attempt_limits,
        gateway: config.gateway.clone(),
        clock: config.clock.clone(),
        shutdown: stop.clone(),
    };
    let service = Service::new(parts, ReplicaId(random::bytes()?), addresses);
    let service = Arc::new(service);
    if let Some(password) = &config.admin_password {
        service.ensure_admin(password).await?;
    }
    // Before the invite, which also contains the addresses of the other replicas.
    service.add_replica().await?;
    let invite = service.ready_line_invite(&opened.secrets).await?;
    let hosts = known_hosts(&config, certificates.clone());
    let (apis, health) = build_router(Arc::clone(&service), hosts, config.admission).await?;
    let serving = serve(&config, listener, certificates.clone(), apis, stop.clone());
    let mut background = spawn_tasks(&service, tracker, health, &stop);
    let delay = config.shutdown_delay;
    let stopper = run_shutdown(Arc::clone(&service), delay, shutdown, stop.clone());
    background.push(task::spawn("stop", stopper));
    let monitoring = monitoring.and_then(|listener| {
        let address = listener.local_addr().ok();
        let apis = rest::monitoring(Arc::clone(&service));
        let serving = run_monitoring(listener, apis, stop.clone());
        background.push(task::spawn("monitoring", serving));
        address
    });
    Ok(RunningDirectory {
        address,
        monitoring,
        url: format!("{scheme}://{host}"),
        invite: invite.to_string(),
        web: invite.web(),
        authority: authority.map(|authority| authority.fingerprint()),
        service,
        certificates: CertificateFiles {
            certificates,
            certificate: config.tls_cert,
            key: config.tls_key,
        },
        stop,
        serving,
        background,
    })
}

/// The opened database, and what the directory's folder contains.
struct Opened {
    store: Arc<dyn Store>,
    secrets: SecretStore,
    signer: TicketSigner,
    folder: OpenedFolder,
}

impl Opened {
    /// Opens the database and the folder, and checks that they belong to the same directory.
    async fn open(config: &DirectoryConfig, address: SocketAddr) -> Result<Self, Problem> {
        let folder = config.folder();
        let recreate = config.recreate;
        let (path, database) = (folder.clone(), config.database_file(&folder));
        spawn_blocking_work(move || {
            files::create_private_folder(&path)?;
            identity::check_files(&path, database.as_ref(), recreate)
        })
        .await?;
        let store = convite_store::open(&config.database_url(&folder), config.store).await?;
        identity::check(store.as_ref(), &folder, !config.plaintext, recreate).await?;
        if let Some(shared) = store.shared() {
            config.clock.use_database_time(shared.clock().await?);
        }
        let secrets = SecretStore::new(&folder, &store);
        let authority = if config.plaintext {
            None
        } else {
            Some(secrets.authority(config.clock.now()).await?)
        };
        let signer = secrets.ticket_signer().await?;
        let fingerprint = authority.as_ref().map(Authority::fingerprint);
        identity::record(store.as_ref(), &folder, &signer, fingerprint, recreate).await?;
        let public_key = data_encoding::HEXLOWER.encode(&signer.public_key());
        let config = config.clone();
        let folder = spawn_blocking_work(move || {
            OpenedFolder::open(&folder, &public_key, &config, authority, address)
        })
        .await?;
        Ok(Self {
            store,
            secrets,
            signer,
            folder,
        })
    }
}

/// Serves both APIs until `stop`.
fn serve(
    config: &DirectoryConfig,
    listener: TcpListener,
    certificates: Option<Arc<Certificates>>,
    apis: Router,
    stop: CancellationToken,
) -> JoinHandle<Result<(), Problem>> {
    let tls = certificates.map(|certificates| {
        let resolver: Arc<dyn rustls::server::ResolvesServerCert> = certificates;
        convite_net::tls::server_config(resolver)
    });
    if tls.is_none() {
        tracing::warn!("TLS is off: anyone on the network can read and change all traffic");
    }
    let proxies = Proxies::new(config.trusted_proxies.iter().copied());
    let serving = convite_net::serve_behind(proxies, config.limits, listener, tls, apis, stop);
    task::spawn("serving", serving)
}

/// Starts the background tasks, which run until `stop`.
fn spawn_tasks(
    service: &Arc<Service>,
    tracker: AddressTracker,
    health: grpc::Health,
    stop: &CancellationToken,
) -> Vec<JoinHandle<()>> {
    let service = || Arc::clone(service);
    let stop = || stop.clone();
    vec![
        task::spawn("index sync", run_index_sync(service(), stop())),
        task::spawn("notifications", run_notifications(service(), stop())),
        task::spawn("replicas", run_replicas(service(), stop())),
        task::spawn("sweeper", run_sweeper(service(), stop())),
        task::spawn("addresses", tracker.run(service(), stop())),
        task::spawn("health", run_health(service(), health, stop())),
    ]
}

/// Serves health checks and metrics on the monitoring listener until `stop`.
async fn run_monitoring(listener: TcpListener, apis: Router, stop: CancellationToken) {
    let limits = convite_net::Limits::default();
    if let Err(problem) = convite_net::serve(limits, listener, None, apis, stop).await {
        tracing::error!(error = %problem, "the monitoring listener failed");
    }
}

/// Refuses a public address that no client can use.
fn check_public(config: &DirectoryConfig) -> Result<(), Problem> {
    let of_https = |address: &&PeerAddress| address.port() == HTTPS_PORT;
    match config.public_addresses.iter().find(of_https) {
        Some(address) if config.plaintext => Err(Problem::invalid(format!(
            "with --plaintext the directory cannot use {address}: browsers and peers expect TLS on this port"
        ))
        .hint(
            "omit --plaintext, and let a proxy in front forward TLS or use TLS to the directory; \
             see deploy/README.md",
        )),
        _ => Ok(()),
    }
}

/// The parts in the directory's folder besides the database and the secrets.
struct OpenedFolder {
    tls: Option<(Arc<Authority>, Arc<Certificates>)>,
    search: Arc<SearchIndex>,
}

impl OpenedFolder {
    fn open(
        folder: &Path,
        identity: &str,
        config: &DirectoryConfig,
        authority: Option<Authority>,
        address: SocketAddr,
    ) -> Result<Self, Problem> {
        let tls = match authority {
            None if config.tls_cert.is_some() || config.tls_key.is_some() => {
                return Err(Problem::invalid("--plaintext does not use a certificate")
                    .hint("omit --plaintext, or omit --tls-cert and --tls-key"));
            }
            None => None,
            Some(authority) => {
                let configured =
                    read_configured(config.tls_cert.as_deref(), config.tls_key.as_deref())?;
                let authority = Arc::new(authority);
                let hosts = leaf_hosts(config, address, &interfaces::addresses());
                let clock = config.clock.clone();
                let certificates =
                    Certificates::new(Arc::clone(&authority), hosts, configured, clock)?;
                Some((authority, Arc::new(certificates)))
            }
        };
        Ok(Self {
            tls,
            // The identity prevents the use of another directory's index in this folder.
            search: Arc::new(SearchIndex::open(&folder.join("search"), identity)?),
        })
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Problem> {
    TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::AddrInUse => {
                "another directory may be running; choose another port with --listen, or 0 for any free port"
            }
            ErrorKind::PermissionDenied => "ports below 1024 require privileges; use a higher port",
            _ => "set --listen to an address of this machine and a port",
        };
        let why = match error.kind() {
            ErrorKind::AddrInUse => "already in use".to_owned(),
            _ => error.to_string(),
        };
        Problem::new(
            ErrorCode::InUse,
            format!("cannot listen on {address}: {why}"),
        )
        .hint(hint)
    })
}

/// Returns the router of both APIs with the middleware.
async fn build_router(
    service: Arc<Service>,
    hosts: Hosts,
    limits: AdmissionLimits,
) -> Result<(Router, grpc::Health), Problem> {
    let routes = Arc::new(rest::route_operations());
    let (grpc, health) = grpc::router(Arc::clone(&service)).await?;
    let apis = rest::router(Arc::clone(&service)).merge(grpc);
    let metrics = RequestMetrics::new(Arc::clone(service.registry()));
    let apis = middleware::with_middleware(apis, hosts, limits, Arc::clone(&routes), service);
    Ok((observe::with_observation(apis, metrics, routes), health))
}

/// Updates the gRPC health status with the directory's readiness.
async fn run_health(service: Arc<Service>, health: grpc::Health, stop: CancellationToken) {
    while !stop.is_cancelled() {
        health
            .set(service.readiness_without_write().await.is_ready())
            .await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(HEALTH_INTERVAL) => {}
        }
    }
    health.set(false).await;
}

/// Stops the directory after a shutdown request: it reports that it is not ready, and closes the
/// listener after the delay.
async fn run_shutdown(
    service: Arc<Service>,
    delay: Duration,
    shutdown: CancellationToken,
    stop: CancellationToken,
) {
    tokio::select! {
        () = stop.cancelled() => return,
        () = shutdown.cancelled() => service.set_stopping(),
    }
    tokio::time::sleep(delay).await;
    stop.cancel();
}

/// Deletes expired data.
async fn run_sweeper(service: Arc<Service>, shutdown: CancellationToken) {
    let mut jumps = JumpDetector::default();
    let started = Instant::now();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
        }
        if let Err(problem) = service.sweep(&mut jumps, started.elapsed()).await {
            tracing::error!(error = %problem, "cannot delete expired data");
        }
    }
}
