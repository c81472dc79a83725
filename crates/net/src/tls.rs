//! Who is trusted: one authority, by the SHA-256 fingerprint of its certificate.
//!
//! A server sends its leaf and the authority's certificate. A client that knows the authority's
//! fingerprint finds it in the chain and verifies the leaf under it, for a name that does not
//! depend on the address dialled: [`DIRECTORY_NAME`] for the directory, a name made of its id for
//! a peer. So addresses may change, and whoever answers at one proves who they are.

use std::fmt;
use std::sync::{Arc, OnceLock, RwLock};

use convite_core::{ErrorCode, Problem};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// The name in the directory's own certificate, and in no other: no real host has it.
pub const DIRECTORY_NAME: &str = "directory.convite";

/// HTTP/2 as ALPN names it.
pub(crate) const HTTP2: &[u8] = b"h2";
/// HTTP/1.1 as ALPN names it.
const HTTP1: &[u8] = b"http/1.1";

/// SHA-256 of a certificate in DER.
pub fn fingerprint(der: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, der);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}

fn provider() -> Arc<CryptoProvider> {
    crate::install_crypto();
    CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()))
}

/// What a server presents, offering HTTP/2 and HTTP/1.1.
pub fn server_config(resolver: Arc<dyn ResolvesServerCert>) -> Arc<rustls::ServerConfig> {
    crate::install_crypto();
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
    Arc::new(config)
}

/// What a client accepts: leaves under the authority of that fingerprint. Speaks HTTP/2.
pub fn client_config(authority: [u8; 32]) -> Arc<rustls::ClientConfig> {
    client_config_for(authority, &[HTTP2])
}

/// The same, for HTTP/1.1.
pub fn client_config_http1(authority: [u8; 32]) -> Arc<rustls::ClientConfig> {
    client_config_for(authority, &[HTTP1])
}

/// The same, for a server that may choose between HTTP/2 and HTTP/1.1.
pub fn client_config_either(authority: [u8; 32]) -> Arc<rustls::ClientConfig> {
    client_config_for(authority, &[HTTP2, HTTP1])
}

/// The same trust and the same sessions, for HTTP/1.1 alone.
pub(crate) fn for_http1(config: &rustls::ClientConfig) -> Arc<rustls::ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![HTTP1.to_vec()];
    Arc::new(config)
}

fn client_config_for(authority: [u8; 32], alpn: &[&[u8]]) -> Arc<rustls::ClientConfig> {
    let verifier = PinnedAuthority {
        fingerprint: authority,
        provider: provider(),
        verifier: OnceLock::new(),
    };
    let mut config = rustls::ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// Verifies as webpki does, under the one root that has the fingerprint.
struct PinnedAuthority {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
    /// Made from the first chain that has the authority in it.
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

/// A chain and its key, ready to be presented.
///
/// # Errors
/// `invalid_argument` if the key is of no known kind or does not belong to the leaf.
pub fn certified_key(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, Problem> {
    CertifiedKey::from_der(chain, key, &provider())
        .map(Arc::new)
        .map_err(|error| {
            Problem::new(
                ErrorCode::InvalidArgument,
                format!("certificate and key cannot be used: {error}"),
            )
        })
}

/// A certificate that can be replaced while it is being served; connections that are open keep
/// what they were opened with.
#[derive(Default)]
pub struct SwappableCertificate {
    current: RwLock<Option<Arc<CertifiedKey>>>,
}

impl SwappableCertificate {
    /// Presents nothing (every handshake fails) until [`Self::set`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Presents `chain` (leaf first) from now on.
    ///
    /// # Errors
    /// As [`certified_key`]; what was presented before stays.
    pub fn set(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), Problem> {
        let key = certified_key(chain, key)?;
        *self
            .current
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(key);
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
        self.current
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}
