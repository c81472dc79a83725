//! What a directory is told when it starts. Arguments, environment and files are resolved by the
//! binary; here everything is decided.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use convite_core::PeerAddress;
use convite_net::Limits;
use convite_net::proxy::Subnet;

use crate::gate::admission::Capacity;
use crate::relay::RelayConfig;
use crate::throttle::Paces;

/// How a directory runs. Has no `Debug`: it may hold passwords.
#[derive(Clone)]
pub struct DirectoryConfig {
    /// The folder of this identity; the directory's own files lie in `directory/` below it.
    pub home: PathBuf,
    /// Where to listen; port 0 for any free one.
    pub listen: SocketAddr,
    /// The database's URL; none for `sqlite:` in the home.
    pub database: Option<String>,
    /// Where others can dial the directory, best first; none to derive it from `listen`.
    pub public_addresses: Vec<PeerAddress>,
    /// PEM file with a certificate (chain) for browsers; together with `tls_key`.
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the private key of `tls_cert`.
    pub tls_key: Option<PathBuf>,
    /// Speaks HTTP without TLS: for a network that is trusted.
    pub plaintext: bool,
    /// The login of an unknown user makes an account.
    pub open_registration: bool,
    /// For how long a peer is listed without a heartbeat.
    pub lease: Duration,
    /// For how long a session lasts from its last use.
    pub session_lifetime: Duration,
    /// For how long a ticket opens a file.
    pub ticket_lifetime: Duration,
    /// For how long a peer's certificate is valid.
    pub peer_certificate_lifetime: Duration,
    /// Names that clients may call it by, besides those that it knows of itself.
    pub hosts: Vec<String>,
    /// Who may say for whom it asks, in the PROXY protocol or in `X-Forwarded-For`. One that only passes
    /// bytes on must speak the PROXY protocol: else its clients could.
    pub trusted_proxies: Vec<Subnet>,
    /// What it puts up with from those who connect.
    pub limits: Limits,
    /// How much it takes on at once.
    pub capacity: Capacity,
    /// How fast passwords and invites that are wrong may follow on each other.
    pub paces: Paces,
    /// Where to answer for the monitoring, without encryption and to everybody; without it, nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Between being told to stop and letting nobody in any more, so that a load balancer sees in
    /// time that the directory is not ready.
    pub shutdown_delay: Duration,
    /// Makes the account `admin` with this password, if there is none of that name.
    pub admin_password: Option<String>,
    /// How much of files is read through the directory.
    pub relay: RelayConfig,
}

impl DirectoryConfig {
    /// A directory in `home` with everything as it is by default, listening on port 50051.
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
            limits: Limits::of_a_directory(),
            capacity: Capacity::default(),
            paces: Paces::default(),
            metrics_listen: None,
            shutdown_delay: Duration::ZERO,
            admin_password: None,
            relay: RelayConfig::default(),
        }
    }

    /// The folder with the directory's own files.
    pub fn folder(&self) -> PathBuf {
        self.home.join("directory")
    }

    /// The URL of the database, the default filled in.
    pub(crate) fn database_url(&self, folder: &Path) -> String {
        self.database
            .clone()
            .unwrap_or_else(|| format!("sqlite:{}", folder.join("directory.db").display()))
    }
}
