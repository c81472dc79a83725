//! The configuration of a directory. The binary resolves arguments, environment and files; the
//! values here are final.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use convite_core::PeerAddress;
use convite_net::Limits;
use convite_net::proxy::Subnet;
use convite_store::Settings;

use crate::clock::Clock;
use crate::gateway::GatewayConfig;
use crate::identity::Recreate;
use crate::middleware::admission::AdmissionLimits;
use crate::throttle::AttemptLimits;

/// The configuration of a directory. Not `Debug`, because it may contain passwords.
#[derive(Clone)]
pub struct DirectoryConfig {
    /// The home; the directory's own files are in its subfolder `directory/`.
    pub home: PathBuf,
    /// The address to listen on; port 0 for any free port.
    pub listen: SocketAddr,
    /// The URL of the database; `None` for SQLite in the home.
    pub database: Option<String>,
    /// The addresses for clients, best first; empty to derive them from `listen`.
    pub public_addresses: Vec<PeerAddress>,
    /// PEM file with a certificate (chain) for browsers; requires `tls_key`.
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the private key of `tls_cert`.
    pub tls_key: Option<PathBuf>,
    /// Serves HTTP without TLS, for trusted networks.
    pub plaintext: bool,
    /// Creates an account at the login of an unknown user.
    pub open_registration: bool,
    /// How long a peer is listed without a heartbeat.
    pub lease: Duration,
    /// How long a session lasts after its last use.
    pub session_lifetime: Duration,
    /// How long a ticket is valid.
    pub ticket_lifetime: Duration,
    /// How long a peer's certificate is valid.
    pub peer_certificate_lifetime: Duration,
    /// Additional host names under which clients may address the directory.
    pub hosts: Vec<String>,
    /// Proxies whose forwarded client address (PROXY protocol, `X-Forwarded-For`) is trusted. A
    /// proxy that only forwards bytes must use the PROXY protocol; otherwise its clients could
    /// forge it.
    pub trusted_proxies: Vec<Subnet>,
    /// Limits for connections.
    pub limits: Limits,
    /// Limits for concurrent requests.
    pub admission: AdmissionLimits,
    /// Rate limits for failed passwords and invites.
    pub attempt_limits: AttemptLimits,
    /// The address of the monitoring listener, without TLS or authentication; `None` for no
    /// listener.
    pub metrics_listen: Option<SocketAddr>,
    /// Delay between the shutdown request and closing the listener, so that load balancers notice
    /// in time that the directory is not ready.
    pub shutdown_delay: Duration,
    /// Creates the account `admin` with this password, unless it exists.
    pub admin_password: Option<String>,
    /// Limits of the gateway.
    pub gateway: GatewayConfig,
    /// Limits of the database: quotas per account, and reserved disk space.
    pub store: Settings,
    /// Parts of an existing directory that may be missing; none by default.
    pub recreate: Recreate,
    /// The clock.
    pub clock: Clock,
}

impl DirectoryConfig {
    /// Returns the default configuration for `home`, listening on port 50051.
    pub fn new(home: impl Into<PathBuf>) -> Self {
        Self {
            home: home.into(),
            listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 50051)),
            database: None,
            public_addresses: Vec::new(),
            tls_cert: None,
            tls_key: None,
            plaintext: false,
            open_registration: false,
            lease: Duration::from_secs(60),
            session_lifetime: Duration::from_secs(30 * 24 * 3600),
            ticket_lifetime: Duration::from_secs(10 * 60),
            peer_certificate_lifetime: Duration::from_secs(24 * 3600),
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            limits: Limits::for_directory(),
            admission: AdmissionLimits::default(),
            attempt_limits: AttemptLimits::default(),
            metrics_listen: None,
            shutdown_delay: Duration::ZERO,
            admin_password: None,
            gateway: GatewayConfig::default(),
            store: Settings::default(),
            recreate: Recreate::default(),
            clock: Clock::default(),
        }
    }

    /// Returns the folder with the directory's own files.
    pub fn folder(&self) -> PathBuf {
        self.home.join("directory")
    }

    /// Returns the path of the database file; `None` for another type of database.
    pub(crate) fn database_file(&self, folder: &Path) -> Option<PathBuf> {
        let url = self.database_url(folder);
        let path = url.strip_prefix("sqlite:")?;
        (!path.is_empty()).then(|| path.into())
    }

    /// Returns the URL of the database, or the default.
    pub(crate) fn database_url(&self, folder: &Path) -> String {
        self.database
            .clone()
            .unwrap_or_else(|| format!("sqlite:{}", folder.join("directory.db").display()))
    }
}
