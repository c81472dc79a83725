//! Selection of the directory's certificate.
//!
//! Peers request the directory's own certificate, issued by its authority, by name; all other
//! clients (browsers) get the configured certificate, if there is one.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use convite_core::{ErrorCode, PeerAddress, Problem, UnixMillis};
use convite_net::origin::Hosts;
use convite_net::tls::DIRECTORY_NAME;
use parking_lot::RwLock;
use rustls::client::verify_server_name;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::authority::{Authority, Validity};
use crate::clock::Clock;
use crate::config::DirectoryConfig;

/// Selects a certificate by the requested name, and keeps the directory's own valid by the wall
/// clock.
pub(crate) struct Certificates {
    authority: Arc<Authority>,
    clock: Clock,
    own: RwLock<OwnLeaf>,
    configured: RwLock<Option<Arc<CertifiedKey>>>,
}

/// The directory's own leaf.
struct OwnLeaf {
    certified: Arc<CertifiedKey>,
    validity: Validity,
    /// The IP addresses and DNS names in it, in addition to the fixed ones.
    hosts: Vec<String>,
}

impl OwnLeaf {
    fn issue(authority: &Authority, hosts: Vec<String>, now: UnixMillis) -> Result<Self, Problem> {
        let leaf = authority.directory_leaf(&hosts, now)?;
        let certified = CertifiedKey::from_der(leaf.chain, leaf.key, &default_provider())
            .map_err(|e| Problem::new(ErrorCode::Internal, format!("certificate: {e}")))?;
        Ok(Self {
            certified: Arc::new(certified),
            validity: leaf.validity,
            hosts,
        })
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl Certificates {
    /// Issues a leaf for `hosts`, and uses the certificate `configured`, if given.
    pub(crate) fn new(
        authority: Arc<Authority>,
        hosts: Vec<String>,
        configured: Option<CertifiedKey>,
        clock: Clock,
    ) -> Result<Self, Problem> {
        Ok(Self {
            own: RwLock::new(OwnLeaf::issue(&authority, hosts, clock.now())?),
            authority,
            clock,
            configured: RwLock::new(configured.map(Arc::new)),
        })
    }

    /// Returns whether the configured certificate is valid for `host`.
    fn configured_matches(&self, host: &str) -> bool {
        let configured = self.configured();
        let Some(leaf) = configured
            .as_ref()
            .and_then(|configured| configured.cert.first())
        else {
            return false;
        };
        let (Ok(leaf), Ok(name)) = (
            ParsedCertificate::try_from(leaf),
            ServerName::try_from(host),
        ) else {
            return false;
        };
        verify_server_name(&leaf, &name).is_ok()
    }

    fn configured(&self) -> Option<Arc<CertifiedKey>> {
        let configured = self.configured.read();
        configured.clone()
    }

    /// Renews the directory's own leaf if that is due by the wall clock.
    ///
    /// # Errors
    /// Returns `internal` if a new one cannot be issued.
    pub(crate) fn keep_valid(&self) -> Result<(), Problem> {
        let now = self.clock.now();
        if !self.own.read().validity.is_due(now) {
            return Ok(());
        }
        let hosts = self.own.read().hosts.clone();
        self.issue(hosts, now)
    }

    /// Checks that clients accept the directory's own leaf now; renews it first if that is due.
    ///
    /// # Errors
    /// Returns the reason why they do not.
    pub(crate) fn check(&self) -> Result<&'static str, String> {
        let renewed = self.keep_valid();
        let is_valid = self.own.read().validity.covers(self.clock.now());
        certificate_state(is_valid, renewed)
    }

    /// Issues a new leaf if `hosts` differ from those in the current one.
    ///
    /// # Errors
    /// Returns `internal` if it cannot be issued.
    pub(crate) fn set_hosts(&self, hosts: Vec<String>) -> Result<(), Problem> {
        if self.own.read().hosts == hosts {
            return Ok(());
        }
        self.issue(hosts, self.clock.now())
    }

    fn issue(&self, hosts: Vec<String>, now: UnixMillis) -> Result<(), Problem> {
        let own = OwnLeaf::issue(&self.authority, hosts, now)?;
        *self.own.write() = own;
        Ok(())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match self.configured() {
            Some(configured) if hello.server_name() != Some(DIRECTORY_NAME) => Some(configured),
            _ => {
                // After a sleep of the machine, a client may connect before the next check.
                if let Err(problem) = self.keep_valid() {
                    tracing::error!(error = %problem, "cannot renew the directory's certificate");
                }
                Some(Arc::clone(&self.own.read().certified))
            }
        }
    }
}

/// The certificate files of a running directory.
#[derive(Clone)]
pub struct CertificateFiles {
    pub(crate) certificates: Option<Arc<Certificates>>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

impl CertificateFiles {
    /// Reads the certificate and its key again, and uses them for new connections. Returns whether
    /// a certificate is configured. Blocking.
    ///
    /// # Errors
    /// Returns `invalid_argument` if the files contain none; the previous one stays in use.
    pub fn reload(&self) -> Result<bool, Problem> {
        let configured = read_configured(self.certificate.as_deref(), self.key.as_deref())?;
        let (Some(certificates), Some(configured)) = (&self.certificates, configured) else {
            return Ok(false);
        };
        let mut shown = certificates.configured.write();
        *shown = Some(Arc::new(configured));
        Ok(true)
    }
}

fn certificate_state(is_valid: bool, renewed: Result<(), Problem>) -> Result<&'static str, String> {
    match (is_valid, renewed) {
        (true, Ok(())) => Ok("valid"),
        (true, Err(_)) => Ok("valid, but cannot be renewed"),
        (false, Ok(())) => Err("not valid at this time".to_owned()),
        (false, Err(problem)) => Err(format!("not valid at this time: {}", problem.message)),
    }
}

/// Reads the certificate chain and the key from the files of `--tls-cert` and `--tls-key`.
pub(crate) fn read_configured(
    certificate: Option<&Path>,
    key: Option<&Path>,
) -> Result<Option<CertifiedKey>, Problem> {
    let (certificate, key) = match (certificate, key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => {
            return Err(Problem::invalid(
                "a certificate requires its key, and a key its certificate",
            )
            .hint("set both --tls-cert and --tls-key"));
        }
    };
    let refuse = |path: &Path, error: &dyn fmt::Display| {
        Problem::invalid(format!("cannot use {}: {error}", path.display()))
            .hint("use PEM files: the certificate with its chain, and its private key")
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| refuse(certificate, &e))?;
    if chain.is_empty() {
        return Err(refuse(certificate, &"it contains no certificate"));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| refuse(key, &e))?;
    CertifiedKey::from_der(chain, secret, &default_provider())
        .map(Some)
        .map_err(|e| refuse(key, &e))
}

/// Returns the addresses for invite links, best first: the configured ones, else the addresses of
/// the machine if `listen` is unspecified, else `listen`.
pub(crate) fn link_addresses(
    public: &[PeerAddress],
    listen: SocketAddr,
    interfaces: &[IpAddr],
) -> Vec<PeerAddress> {
    if !public.is_empty() {
        return public.to_vec();
    }
    if !listen.ip().is_unspecified() {
        return vec![listen.into()];
    }
    let mut addresses: Vec<PeerAddress> = interfaces
        .iter()
        .filter(|ip| ip.is_ipv4() && !ip.is_loopback())
        .map(|ip| SocketAddr::new(*ip, listen.port()).into())
        .collect();
    if addresses.is_empty() {
        addresses.push(SocketAddr::from(([127, 0, 0, 1], listen.port())).into());
    }
    addresses
}

/// Returns the hosts in the directory's own leaf, in addition to the loopback ones.
pub(crate) fn leaf_hosts(
    config: &DirectoryConfig,
    listen: SocketAddr,
    interfaces: &[IpAddr],
) -> Vec<String> {
    let public = config.public_addresses.iter().map(|a| a.host().to_owned());
    let mut hosts: Vec<String> = public.chain(config.hosts.iter().cloned()).collect();
    if listen.ip().is_unspecified() {
        hosts.extend(interfaces.iter().map(ToString::to_string));
    } else {
        hosts.push(listen.ip().to_canonical().to_string());
    }
    hosts
}

/// Returns the host names of the directory: the pinned name, its public addresses, the configured
/// names, and the names in the configured certificate.
pub(crate) fn known_hosts(
    config: &DirectoryConfig,
    certificates: Option<Arc<Certificates>>,
) -> Hosts {
    let public = config.public_addresses.iter().map(|a| a.host().to_owned());
    let names = public.chain(config.hosts.iter().cloned());
    let hosts =
        Hosts::new(names.chain([DIRECTORY_NAME.to_owned()])).with_origins(&config.public_addresses);
    match certificates {
        None => hosts,
        Some(certificates) => hosts.or(move |name| certificates.configured_matches(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_no_client_accepts_makes_the_directory_not_ready() {
        let failed = || {
            Err(Problem::new(
                ErrorCode::Internal,
                "certificate: no random bytes",
            ))
        };
        assert!(certificate_state(true, Ok(())).is_ok());
        assert!(certificate_state(true, failed()).is_ok());
        assert!(certificate_state(false, Ok(())).is_err());
        let why = certificate_state(false, failed()).unwrap_err();
        assert!(why.contains("no random bytes"), "{why}");
    }
}
