//! Starting and stopping: opens what a directory is made of, listens, and runs the tasks in the
//! background (the search index's follower, the sweeper) until told to stop.
//!
//! Stopping is graceful: no new connections, then what is under way ends, within 10 seconds.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use convite_core::{ErrorCode, Problem, UnixMillis};
use convite_net::origin::Hosts;
use convite_net::proxy::Proxies;
use convite_search::SearchIndex;
use convite_store::ReplicaId;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::authority::{Authority, LEAF_LIFETIME};
use crate::config::DirectoryConfig;
use crate::follower::{blocking, run_follower};
use crate::gate::admission::Capacity;
use crate::news::run_news;
use crate::observe::requests::Requests;
use crate::replicas::run_replicas;
use crate::service::{Parts, Service};
use crate::tls::{Certificates, known_hosts, leaf_hosts, link_addresses, read_real};
use crate::vault::Vault;
use crate::{files, gate, grpc, observe, random_bytes, rest};

/// How often what has run out is forgotten.
const SWEEP: Duration = Duration::from_secs(60);
/// How often gRPC's health is brought up to date.
const HEALTH: Duration = Duration::from_millis(500);
/// How many entries of the change log are kept for followers that are behind.
const CHANGES_KEPT: u64 = 1_000_000;
/// How long the tasks in the background may take to end, together, once nothing is served any
/// more: with the listener's drain, 10 seconds.
const TASKS_END: Duration = Duration::from_secs(2);

/// A directory that is listening. Dropping it stops it at once; [`Self::finished`] waits.
pub struct RunningDirectory {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it answers for the monitoring alone, if it does.
    pub monitoring: Option<SocketAddr>,
    /// `https://HOST:PORT`, as others reach it.
    pub url: String,
    /// The standing invite, a whole link: a secret.
    pub invite: String,
    /// The page where an account is made with that invite: as secret.
    pub web: String,
    /// SHA-256 of its authority's certificate; none without TLS.
    pub authority: Option<[u8; 32]>,
    /// The use cases.
    pub service: Arc<Service>,
    stop: CancellationToken,
    serving: JoinHandle<Result<(), Problem>>,
    background: Vec<JoinHandle<()>>,
}

impl RunningDirectory {
    /// Returns once the directory has stopped, after its shutdown was asked for.
    ///
    /// # Errors
    /// `internal` if it stopped for another reason.
    pub async fn finished(mut self) -> Result<(), Problem> {
        let served = (&mut self.serving).await;
        self.stop.cancel();
        let deadline = Instant::now() + TASKS_END;
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
/// `unavailable` if the address is in use; `invalid_argument` for a configuration that cannot be;
/// `internal` if a file or the database cannot be opened.
pub async fn start(
    config: DirectoryConfig,
    shutdown: CancellationToken,
) -> Result<RunningDirectory, Problem> {
    convite_net::install_crypto();
    // First of all, so that a second directory touches nothing of the first.
    let listener = listen(config.listen).await?;
    let address = listener
        .local_addr()
        .map_err(|e| Problem::new(ErrorCode::Internal, format!("cannot listen: {e}")))?;

    let monitoring = match config.metrics_listen {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let folder = config.folder();
    let now = UnixMillis::from(SystemTime::now());
    let made = folder.clone();
    blocking(move || files::make_folder(&made)).await?;
    let store = convite_store::open(&config.database_url(&folder)).await?;
    let vault = Vault::new(&folder, &store);
    let authority = match config.plaintext {
        true => None,
        false => Some(vault.authority(now).await?),
    };
    let signer = vault.ticket_signer().await?;
    let kept = {
        let (folder, config) = (folder.clone(), config.clone());
        let identity = data_encoding::HEXLOWER.encode(&signer.public_key());
        blocking(move || Kept::open(&folder, &identity, &config, authority, address, now)).await?
    };
    let addresses = link_addresses(&config.public_addresses, address);
    let scheme = if config.plaintext { "http" } else { "https" };
    let host = addresses
        .first()
        .map_or_else(String::new, ToString::to_string);
    let url = format!("{scheme}://{host}");
    let (authority, certificates) = kept.tls.unzip();
    // Not a child: between being told to stop and stopping there may be a delay.
    let stop = CancellationToken::new();
    let id = ReplicaId(random_bytes()?);
    let parts = Parts {
        store,
        search: kept.search,
        authority: authority.clone(),
        signer,
        addresses,
        open_registration: config.open_registration,
        lease: config.lease,
        session_lifetime: config.session_lifetime,
        ticket_lifetime: config.ticket_lifetime,
        peer_certificate_lifetime: config.peer_certificate_lifetime,
        paces: config.paces,
        relay: config.relay.clone(),
        shutdown: stop.clone(),
    };
    let service = Arc::new(Service::new(parts, id));
    if let Some(password) = &config.admin_password {
        service.ensure_admin(password).await?;
    }
    // Before the invite, which carries the others' addresses too.
    service.add_replica().await?;
    let invite = service.standing_invite(&vault).await?;

    let hosts = known_hosts(&config, certificates.clone());
    let (doors, health) = doors(Arc::clone(&service), hosts, config.capacity).await?;
    let tls = certificates.clone().map(|certificates| {
        let resolver: Arc<dyn rustls::server::ResolvesServerCert> = certificates;
        convite_net::tls::server_config(resolver)
    });
    if tls.is_none() {
        tracing::warn!(
            "speaking plaintext: whoever is on the network reads and changes everything"
        );
    }
    let proxies = Proxies::new(config.trusted_proxies.iter().copied());
    let serving = tokio::spawn(convite_net::serve_behind(
        proxies,
        config.limits,
        listener,
        tls,
        doors,
        stop.clone(),
    ));
    let follower = tokio::spawn(run_follower(Arc::clone(&service), stop.clone()));
    let news = tokio::spawn(run_news(Arc::clone(&service), stop.clone()));
    let replicas = tokio::spawn(run_replicas(Arc::clone(&service), stop.clone()));
    let sweeper = tokio::spawn(run_sweeper(
        Arc::clone(&service),
        authority.clone().zip(certificates),
        stop.clone(),
    ));
    let health = tokio::spawn(run_health(Arc::clone(&service), health, stop.clone()));
    let stopper = tokio::spawn(run_stopper(
        Arc::clone(&service),
        config.shutdown_delay,
        shutdown,
        stop.clone(),
    ));
    let mut background = vec![follower, news, replicas, sweeper, health, stopper];
    let monitoring = match monitoring {
        None => None,
        Some(listener) => {
            let address = listener.local_addr().ok();
            let answers = rest::monitoring(Arc::clone(&service));
            let serving = convite_net::serve(
                convite_net::Limits::default(),
                listener,
                None,
                answers,
                stop.clone(),
            );
            background.push(tokio::spawn(async move {
                if let Err(problem) = serving.await {
                    tracing::error!(error = %problem, "the monitoring is not answered any more");
                }
            }));
            address
        }
    };
    Ok(RunningDirectory {
        address,
        url,
        invite: invite.to_string(),
        web: invite.web(),
        authority: authority.map(|authority| authority.fingerprint()),
        service,
        stop,
        serving,
        monitoring,
        background,
    })
}

/// What lies in the directory's folder besides the database and the secrets.
struct Kept {
    tls: Option<(Arc<Authority>, Arc<Certificates>)>,
    search: Arc<SearchIndex>,
}

impl Kept {
    fn open(
        folder: &Path,
        identity: &str,
        config: &DirectoryConfig,
        authority: Option<Authority>,
        address: SocketAddr,
        now: UnixMillis,
    ) -> Result<Self, Problem> {
        let tls = match authority {
            None if config.tls_cert.is_some() || config.tls_key.is_some() => {
                return Err(Problem::invalid("plaintext needs no certificate")
                    .hint("leave out --plaintext, or --tls-cert and --tls-key"));
            }
            None => None,
            Some(authority) => {
                let real = read_real(config.tls_cert.as_deref(), config.tls_key.as_deref())?;
                let mut hosts = leaf_hosts(&config.public_addresses, address);
                hosts.extend(config.hosts.iter().cloned());
                let certificates = Certificates::new(&authority, hosts, real, now)?;
                Some((Arc::new(authority), Arc::new(certificates)))
            }
        };
        Ok(Self {
            tls,
            // The index of another directory in this folder is not taken for its own.
            search: Arc::new(SearchIndex::open(&folder.join("search"), identity)?),
        })
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Problem> {
    TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::AddrInUse => {
                "another directory may be running there; give another port with --listen, or 0 for any free one"
            }
            ErrorKind::PermissionDenied => "ports below 1024 need rights; use one above",
            _ => "--listen takes an address of this machine and a port",
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

/// Both doors on one port, with what is around every request.
async fn doors(
    service: Arc<Service>,
    hosts: Hosts,
    capacity: Capacity,
) -> Result<(Router, grpc::Health), Problem> {
    let (grpc, health) = grpc::router(Arc::clone(&service)).await?;
    let both = rest::router(Arc::clone(&service)).merge(grpc);
    let router = gate::before(both, hosts, capacity, Arc::clone(&service));
    let requests = Requests::new(Arc::clone(service.counted()));
    Ok((observe::around(router, requests), health))
}

/// Keeps the health that gRPC tells of in step with the directory's.
async fn run_health(service: Arc<Service>, health: grpc::Health, stop: CancellationToken) {
    while !stop.is_cancelled() {
        health.set(service.glance().await.is_ready()).await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(HEALTH) => {}
        }
    }
    health.set(false).await;
}

/// Stops the directory once it is told to: first it is not ready any more, and after the delay
/// nobody is let in.
async fn run_stopper(
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

/// Forgets what has run out, and renews the directory's own certificate long before it does.
async fn run_sweeper(
    service: Arc<Service>,
    tls: Option<(Arc<Authority>, Arc<Certificates>)>,
    shutdown: CancellationToken,
) {
    let mut renewed = Instant::now();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(SWEEP) => {}
        }
        if let Err(problem) = service.store().sweep(CHANGES_KEPT, service.now()).await {
            tracing::error!(error = %problem, "sweeping failed");
        }
        if let Some((authority, certificates)) = &tls
            && renewed.elapsed() > LEAF_LIFETIME / 3
        {
            match certificates.renew(authority, service.now()) {
                Ok(()) => renewed = Instant::now(),
                Err(problem) => tracing::error!(error = %problem, "renewing failed"),
            }
        }
    }
}
