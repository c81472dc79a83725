//! Which certificate the directory shows to whom.
//!
//! Its own, from its authority, to peers, who ask for it by name; a real one, if it was given one,
//! to everybody else (browsers).

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use convite_core::{ErrorCode, PeerAddress, Problem, UnixMillis};
use convite_net::origin::Hosts;
use convite_net::tls::DIRECTORY_NAME;
use rustls::client::verify_server_name;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::authority::Authority;
use crate::config::DirectoryConfig;

/// Chooses a certificate by the name that the client asks for.
pub(crate) struct Certificates {
    own: RwLock<Arc<CertifiedKey>>,
    real: Option<Arc<CertifiedKey>>,
    hosts: Vec<String>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl Certificates {
    /// A new leaf for `hosts`, and the real certificate, if there is one.
    pub(crate) fn new(
        authority: &Authority,
        hosts: Vec<String>,
        real: Option<CertifiedKey>,
        now: UnixMillis,
    ) -> Result<Self, Problem> {
        Ok(Self {
            own: RwLock::new(own_leaf(authority, &hosts, now)?),
            real: real.map(Arc::new),
            hosts,
        })
    }

    /// Whether the real certificate is for `host`.
    fn real_names(&self, host: &str) -> bool {
        let Some(leaf) = self.real.as_ref().and_then(|real| real.cert.first()) else {
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

    /// Replaces the directory's own leaf by a new one.
    pub(crate) fn renew(&self, authority: &Authority, now: UnixMillis) -> Result<(), Problem> {
        let leaf = own_leaf(authority, &self.hosts, now)?;
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = leaf;
        Ok(())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        match &self.real {
            Some(real) if hello.server_name() != Some(DIRECTORY_NAME) => Some(Arc::clone(real)),
            _ => {
                let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
                Some(Arc::clone(&own))
            }
        }
    }
}

fn own_leaf(
    authority: &Authority,
    hosts: &[String],
    now: UnixMillis,
) -> Result<Arc<CertifiedKey>, Problem> {
    let leaf = authority.directory_leaf(hosts, now)?;
    CertifiedKey::from_der(leaf.chain, leaf.key, &default_provider())
        .map(Arc::new)
        .map_err(|e| Problem::new(ErrorCode::Internal, format!("certificate: {e}")))
}

/// Reads the certificate chain and the key that `--tls-cert` and `--tls-key` name.
pub(crate) fn read_real(
    certificate: Option<&Path>,
    key: Option<&Path>,
) -> Result<Option<CertifiedKey>, Problem> {
    let (certificate, key) = match (certificate, key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => {
            return Err(
                Problem::invalid("a certificate and its key must be given together")
                    .hint("give both --tls-cert and --tls-key"),
            );
        }
    };
    let refuse = |path: &Path, error: &dyn fmt::Display| {
        Problem::invalid(format!("cannot use {}: {error}", path.display()))
            .hint("give PEM files: the certificate with its chain, and its private key")
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| refuse(certificate, &e))?;
    if chain.is_empty() {
        return Err(refuse(certificate, &"it holds no certificate"));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| refuse(key, &e))?;
    CertifiedKey::from_der(chain, secret, &default_provider())
        .map(Some)
        .map_err(|e| refuse(key, &e))
}

/// The addresses to put into invite links, best first: those configured, else where `listen` can
/// be reached from outside, else `listen` itself.
pub(crate) fn link_addresses(public: &[PeerAddress], listen: SocketAddr) -> Vec<PeerAddress> {
    if !public.is_empty() {
        return public.to_vec();
    }
    if !listen.ip().is_unspecified() {
        return vec![listen.into()];
    }
    let mut addresses: Vec<PeerAddress> = host_addresses()
        .into_iter()
        .filter(|ip| ip.is_ipv4() && !ip.is_loopback())
        .map(|ip| SocketAddr::new(ip, listen.port()).into())
        .collect();
    if addresses.is_empty() {
        addresses.push(SocketAddr::from(([127, 0, 0, 1], listen.port())).into());
    }
    addresses
}

/// The hosts that the directory's own leaf names besides the loopback ones.
pub(crate) fn leaf_hosts(public: &[PeerAddress], listen: SocketAddr) -> Vec<String> {
    let mut hosts: Vec<String> = public.iter().map(|a| a.host().to_owned()).collect();
    if listen.ip().is_unspecified() {
        hosts.extend(host_addresses().iter().map(ToString::to_string));
    } else {
        hosts.push(listen.ip().to_canonical().to_string());
    }
    hosts
}

/// What the directory is called: by those who pin it, by its public addresses, as it is configured,
/// and in its real certificate.
pub(crate) fn known_hosts(
    config: &DirectoryConfig,
    certificates: Option<Arc<Certificates>>,
) -> Hosts {
    let public = config.public_addresses.iter().map(|a| a.host().to_owned());
    let names = public.chain(config.hosts.iter().cloned());
    let hosts = Hosts::new(names.chain([DIRECTORY_NAME.to_owned()]));
    match certificates {
        None => hosts,
        Some(certificates) => hosts.or(move |name| certificates.real_names(name)),
    }
}

/// The machine's addresses; none if it does not tell.
fn host_addresses() -> Vec<std::net::IpAddr> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    interfaces.iter().map(if_addrs::Interface::ip).collect()
}
