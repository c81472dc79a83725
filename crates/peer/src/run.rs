//! A running peer: which tasks there are, in which order they start, and how they end.
//!
//! Tasks: *serving* (stops accepting, then lets what is in flight finish for
//! [`convite_net`]'s draining time), *scans*, *publishing*, *loads*, *presence* (leaves the
//! directory).
//! All of them end when the shutdown token is cancelled, by the caller or by `convite leave`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use convite_client::DirectoryClient;
use convite_client::home::write_private;
use convite_core::{ErrorCode, PeerId, Problem, UnixMillis};
use convite_net::origin::Hosts;
use convite_net::tls::{SwappableCertificate, server_config};
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::cache::Cache;
use crate::config::PeerConfig;
use crate::directory::Directory;
use crate::home::{self, PeerHome};
use crate::inbox::Inbox;
use crate::indexing::Indexing;
use crate::listening::{advertised, listen};
use crate::loads::Loads;
use crate::partial_files::PartialFiles;
use crate::presence::{IdentityKey, Presence};
use crate::publish::Publishing;
use crate::scans::run_scans;
use crate::serve::auth::TicketGate;
use crate::serve::control::{ControlService, ControlToken};
use crate::serve::metrics::Metrics;
use crate::serve::uploads::Uploads;
use crate::serve::{Serving, router};
use crate::shares::ShareList;
use crate::state::PeerState;

/// What a peer is doing, as `convite status` shows it.
pub type Status = convite_wire::v1::StatusReply;

/// The longest that the peer waits for its tasks to end, draining included.
const STOP_MAX: Duration = Duration::from_secs(10);

/// A peer that runs; it goes on if this is dropped.
pub struct RunningPeer {
    /// Its id.
    pub id: PeerId,
    /// Where it is reached: `https://HOST:PORT`.
    pub url: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it answers for the monitoring alone, if it does.
    pub monitoring: Option<SocketAddr>,
    state: Arc<PeerState>,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
    home: Option<Arc<PeerHome>>,
}

/// `HOME/peer/running.json`, by which the home's commands find the peer.
#[derive(Serialize)]
struct Running<'a> {
    pid: u32,
    url: &'a str,
    port: u16,
    id: &'a PeerId,
}

/// Starts a peer: when this returns, it listens, and it has tried to register.
///
/// # Errors
/// `unavailable` if another peer runs on the home or no port is free, `not_found` for a share that
/// does not exist, what the directory refuses for good (`peer_taken`, `unauthenticated`, …).
pub async fn start(
    config: PeerConfig,
    directory: DirectoryClient,
    shutdown: CancellationToken,
) -> Result<RunningPeer, Problem> {
    start_with(config, Arc::new(directory), shutdown).await
}

/// [`start`], with any directory.
///
/// # Errors
/// As [`start`].
pub async fn start_with(
    config: PeerConfig,
    directory: Arc<dyn Directory>,
    shutdown: CancellationToken,
) -> Result<RunningPeer, Problem> {
    let with_tls = !directory.is_plaintext();
    // The peer's own token: if it ends by itself, its caller's other work goes on.
    let stop = shutdown.child_token();
    let (home, cache, shares, key) = tokio::task::spawn_blocking({
        let (folder, paths) = (config.home.clone(), config.shares.clone());
        move || match folder {
            Some(folder) => prepare(&folder, &paths, with_tls),
            None => prepare_transient(with_tls),
        }
    })
    .await
    .map_err(|_| Problem::new(ErrorCode::Internal, "the peer could not be prepared"))??;

    let listener = listen(config.bind, &config.ports).await?;
    let address = listener
        .local_addr()
        .map_err(|e| Problem::new(ErrorCode::Internal, format!("cannot listen: {e}")))?;
    let addresses = advertised(&config.addresses, address);
    let scheme = if with_tls { "https" } else { "http" };
    let loopback = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port());
    let names: Vec<_> = addresses.iter().map(|a| a.host().to_owned()).collect();
    let shown = addresses.first().cloned();
    let url = format!("{scheme}://{}", shown.unwrap_or_else(|| loopback.into()));

    let started = UnixMillis::from(SystemTime::now());
    let state = Arc::new(PeerState::new(
        config.id.clone(),
        directory.user(),
        shares,
        Uploads::new(config.upload_limits()),
        stop.clone(),
        started,
    ));
    // It was not set before: the state is new.
    let _ = state.url.set(url.clone());
    let gate = Arc::new(TicketGate::default());
    let terms = config.terms.clone();
    let certificate = key.map(|key| (key, Arc::new(SwappableCertificate::new())));
    let tls = certificate
        .as_ref()
        .map(|(_, certificate)| server_config(certificate.clone()));
    let presence = Presence {
        directory: directory.clone(),
        state: state.clone(),
        cache: cache.clone(),
        gate: gate.clone(),
        certificate,
        port: address.port(),
        addresses,
        transient: home.is_none(),
        terms: terms.clone(),
    };
    let mut serving = Serving::new(&state, cache.clone(), gate);
    serving.inbox = Inbox::open_if_any(config.inbox.clone(), terms.uploads, &state, &cache).await?;
    serving.hosts = Hosts::new(names.into_iter().chain([config.id.certificate_name()]));
    let token = ControlToken::random()?;
    let metrics = Metrics::new(state.clone(), home.as_ref().map(|_| &token));
    let client = directory.client();
    let control = home
        .is_some()
        .then(|| ControlService::new(state.clone(), &token, client.clone()));
    let routes = router(serving, control, &metrics).await?;
    let monitoring = match config.metrics_listen {
        Some(address) => Some(metrics.serve_at(address).await?),
        None => None,
    };
    let listed = presence.register_first().await?;
    if let Some(home) = &home {
        note_running(home, &token, &url, address.port(), &config.id)?;
    }
    let serve = convite_net::serve(
        convite_net::Limits::default(),
        listener,
        tls,
        routes,
        stop.clone(),
    );
    let held = home.clone();
    let mut tasks = vec![
        (
            "serving",
            tokio::spawn(async move {
                // The home belongs to this peer for as long as it serves.
                let _held = held;
                if let Err(problem) = serve.await {
                    warn!("serving ended: {problem}");
                }
            }),
        ),
        ("presence", tokio::spawn(presence.run_presence(listed))),
    ];
    if home.is_none() {
        // There is nothing to wait for.
        state.scans.send_replace(1);
    } else {
        let indexing = Arc::new(Indexing::new(state.clone(), cache.clone())?);
        let publishing = Publishing {
            directory,
            state: state.clone(),
            cache: cache.clone(),
        };
        if let Some(loads) = Loads::of(&config, client, &state, &cache)? {
            tasks.push(("loads", tokio::spawn(loads.run_loads())));
        }
        tasks.push(("publishing", tokio::spawn(publishing.run_publishing())));
        tasks.push(("scans", tokio::spawn(run_scans(indexing, config.rescan))));
    }
    Ok(RunningPeer {
        id: config.id,
        url,
        address,
        monitoring,
        state,
        tasks,
        home,
    })
}

type Prepared = (
    Option<Arc<PeerHome>>,
    Arc<Cache>,
    ShareList,
    Option<IdentityKey>,
);

fn prepare(
    folder: &std::path::Path,
    shares: &[PathBuf],
    with_tls: bool,
) -> Result<Prepared, Problem> {
    let home = Arc::new(PeerHome::open(folder)?);
    let mut list = ShareList::load(home.path("shares.json"))?;
    for path in shares {
        list.add(path, None)?;
    }
    let cache = Arc::new(Cache::open(&home.path("cache.redb"))?);
    let key = with_tls
        .then(|| IdentityKey::load(&home.path("identity.key")))
        .transpose()?;
    Ok((Some(home), cache, list, key))
}

fn prepare_transient(with_tls: bool) -> Result<Prepared, Problem> {
    let cache = Arc::new(Cache::in_memory()?);
    let key = with_tls.then(IdentityKey::generate).transpose()?;
    Ok((None, cache, ShareList::default(), key))
}

fn note_running(
    home: &PeerHome,
    token: &ControlToken,
    url: &str,
    port: u16,
    id: &PeerId,
) -> Result<(), Problem> {
    let running = Running {
        pid: std::process::id(),
        url,
        port,
        id,
    };
    let text = serde_json::to_vec(&running)
        .map_err(|e| Problem::new(ErrorCode::Internal, format!("running.json: {e}")))?;
    // The token first: whoever finds the peer finds its token.
    for (name, contents) in [
        ("control.token", token.text().as_bytes()),
        ("running.json", &text),
    ] {
        let path = home.path(name);
        write_private(&path, contents).map_err(|e| home::disk(&path, &e))?;
    }
    Ok(())
}

impl RunningPeer {
    /// Waits until everything found at the start is hashed and published; returns the number of
    /// files served.
    ///
    /// # Errors
    /// `unavailable` if the directory cannot be reached, or what it refused: the peer runs on and
    /// goes on trying. `unavailable` also if the peer is stopped before.
    pub async fn first_scan_done(&mut self) -> Result<u64, Problem> {
        let stopped = || Problem::new(ErrorCode::Unavailable, "the peer was stopped");
        let mut scans = self.state.scans.subscribe();
        tokio::select! {
            scanned = scans.wait_for(|scans| *scans > 0) => {
                scanned.map_err(|_| stopped())?;
            }
            () = self.state.stop.cancelled() => return Err(stopped()),
        }
        let mut progress = self.state.pending.progress();
        let mut online = self.state.online.subscribe();
        loop {
            let (settled, trouble) = {
                let progress = progress.borrow_and_update();
                (progress.settled, progress.trouble.clone())
            };
            let now = online.borrow_and_update().clone();
            if settled && now.listed {
                return Ok(self.state.catalogue.totals().0);
            }
            if let Some(problem) = now.trouble.or(trouble) {
                return Err(problem);
            }
            tokio::select! {
                _ = progress.changed() => {}
                _ = online.changed() => {}
                () = self.state.stop.cancelled() => return Err(stopped()),
            }
        }
    }

    /// Whether it was told to stop, by whomever.
    pub fn is_stopping(&self) -> bool {
        self.state.stop.is_cancelled()
    }

    /// Waits for its standing with the directory to change, or to be told to stop; 1 s at most.
    pub async fn changed(&self) {
        /// What changed just before the wait began is noticed after that.
        const LOOK_AGAIN: Duration = Duration::from_secs(1);
        let mut online = self.state.online.subscribe();
        let mut progress = self.state.pending.progress();
        tokio::select! {
            _ = online.changed() => {}
            _ = progress.changed() => {}
            () = self.state.stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }

    /// What the peer is doing.
    pub fn status(&self) -> Status {
        self.state.status()
    }

    /// How many files were read and hashed since the start.
    pub fn hashed(&self) -> u64 {
        self.state.hashed.load(Ordering::Relaxed)
    }

    /// What it serves while it is still fetching it: downloads put their files there.
    pub fn partial_files(&self) -> &Arc<PartialFiles> {
        &self.state.partial_files
    }

    /// What its tasks share, for further tasks of the same peer.
    pub fn state(&self) -> &Arc<PeerState> {
        &self.state
    }

    /// Waits for the peer to be stopped and to end, 10 s at most after it was stopped.
    ///
    /// # Errors
    /// `internal` if one of its tasks failed.
    pub async fn finished(self) -> Result<(), Problem> {
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
        if let Some(home) = &self.home {
            for name in ["running.json", "control.token"] {
                // What is gone already needs no removal.
                let _ = std::fs::remove_file(home.path(name));
            }
        }
        result
    }
}
