//! TLS with a single trusted certificate authority, identified by its SHA-256 fingerprint.
//!
//! A server sends its leaf certificate and the authority's certificate. A client that knows the
//! fingerprint finds the authority in the chain and verifies the leaf under it. The expected name
//! does not depend on the address: [`DIRECTORY_NAME`] for the directory, a name derived from the id
//! for a peer. So addresses may change, and the server still proves its identity.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use convite_core::{ErrorCode, Problem};
use parking_lot::RwLock;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::clock::DirectoryClock;

/// The name in the directory's own certificate, and in no other. No real host has this name.
pub const DIRECTORY_NAME: &str = "directory.convite";

/// The ALPN name of HTTP/2.
pub(crate) const HTTP2: &[u8] = b"h2";
/// The ALPN name of HTTP/1.1.
const HTTP1: &[u8] = b"http/1.1";

/// Returns the SHA-256 fingerprint of a certificate in DER.
pub fn fingerprint(der: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

fn provider() -> Arc<CryptoProvider> {
    install_crypto();
    CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()))
}

/// Returns a server configuration that offers HTTP/2 and HTTP/1.1.
pub fn server_config(resolver: Arc<dyn ResolvesServerCert>) -> Arc<rustls::ServerConfig> {
    install_crypto();
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    Arc::new(config)
}

/// Returns an HTTP/2 client configuration that trusts the authority with this fingerprint.
pub fn client_config(authority: [u8; 32]) -> Arc<rustls::ClientConfig> {
    client_config_for(authority, None, &[HTTP2])
}

/// Like [`client_config`], for HTTP/1.1.
pub fn client_config_http1(authority: [u8; 32]) -> Arc<rustls::ClientConfig> {
    client_config_for(authority, None, &[HTTP1])
}

/// Like [`client_config`], for a server that may choose between HTTP/2 and HTTP/1.1.
pub fn client_config_negotiated(authority: [u8; 32]) -> Arc<rustls::ClientConfig> {
    client_config_for(authority, None, &[HTTP2, HTTP1])
}

/// Returns a client configuration for connections to peers, which checks their certificates by the
/// clock of the directory that issued them. The server may choose between HTTP/2 and HTTP/1.1.
pub fn peer_client_config(
    authority: [u8; 32],
    clock: &DirectoryClock,
) -> Arc<rustls::ClientConfig> {
    client_config_for(authority, Some(clock), &[HTTP2, HTTP1])
}

/// Returns the same configuration, restricted to HTTP/1.1.
pub(crate) fn http1_only(config: &rustls::ClientConfig) -> Arc<rustls::ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![HTTP1.to_vec()];
    Arc::new(config)
}

fn client_config_for(
    authority: [u8; 32],
    clock: Option<&DirectoryClock>,
    alpn: &[&[u8]],
) -> Arc<rustls::ClientConfig> {
    let verifier = PinnedAuthority {
        fingerprint: authority,
        clock: clock.cloned(),
        provider: provider(),
        verifier: OnceLock::new(),
    };
    let mut config = rustls::ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    // A resumed session sends a ticket that the server chose, to whatever address its name resolves
    // to by then. Without resumption, a ClientHello carries no bytes from a server.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// Verifies like webpki, under the single root that has the fingerprint.
struct PinnedAuthority {
    fingerprint: [u8; 32],
    /// Used instead of the local clock.
    clock: Option<DirectoryClock>,
    provider: Arc<CryptoProvider>,
    /// Created from the first chain that contains the authority.
    verifier: OnceLock<Arc<WebPkiServerVerifier>>,
}

impl PinnedAuthority {
    fn verifier(
        &self,
        chain: &[CertificateDer<'_>],
    ) -> Result<Arc<WebPkiServerVerifier>, rustls::Error> {
        if let Some(verifier) = self.verifier.get() {
            return Ok(verifier.clone());
        }
        let authority = chain
            .iter()
            .find(|der| fingerprint(der) == self.fingerprint)
            .ok_or(CertificateError::UnknownIssuer)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(self.verifier.get_or_init(|| verifier).clone())
    }
}

impl fmt::Debug for PinnedAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinnedAuthority")
    }
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let now = match &self.clock {
            Some(clock) => {
                let millis = u64::try_from(clock.now().0).unwrap_or(0);
                UnixTime::since_unix_epoch(Duration::from_millis(millis))
            }
            None => now,
        };
        self.verifier(chain)?
            .verify_server_cert(leaf, &[], name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, leaf, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, leaf, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Combines a certificate chain and its key.
///
/// # Errors
/// Returns `invalid_argument` if the key type is not supported or the key does not match the leaf.
pub fn certified_key(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, Problem> {
    CertifiedKey::from_der(chain, key, &provider())
        .map(Arc::new)
        .map_err(|error| {
            Problem::new(
                ErrorCode::InvalidArgument,
                format!("cannot use the certificate and key: {error}"),
            )
        })
}

/// A server certificate that can be replaced while the server runs. Open connections are not
/// affected.
#[derive(Default)]
pub struct SwappableCertificate {
    current: RwLock<Option<Arc<CertifiedKey>>>,
}

impl SwappableCertificate {
    /// Creates an empty one: handshakes fail until [`Self::set`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the certificate with `chain` (leaf first).
    ///
    /// # Errors
    /// As [`certified_key`]; the previous certificate is kept.
    pub fn set(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), Problem> {
        let key = certified_key(chain, key)?;
        *self.current.write() = Some(key);
        Ok(())
    }
}

impl fmt::Debug for SwappableCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SwappableCertificate")
    }
}

impl ResolvesServerCert for SwappableCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current.read().clone()
    }
}

/// Installs `ring` as the crypto provider of the process. Every entry point calls this; later calls
/// do nothing.
pub fn install_crypto() {
    // Fails only if a provider is already installed, which can only be this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
