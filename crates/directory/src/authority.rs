//! The directory's certificate authority: created on the first start, and identified by its
//! fingerprint, which every invite link contains.
//!
//! It issues two kinds of leaf certificates. The directory's own has the name [`DIRECTORY_NAME`],
//! which clients request whatever address they dial; no other leaf has it. A peer's has only the
//! name derived from its id: with an address, a peer could impersonate the directory in a browser.
//! From a peer's signing request, only the public key is used.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use convite_core::{ErrorCode, PeerId, Problem, UnixMillis};
use convite_net::random;
use convite_net::tls::{DIRECTORY_NAME, fingerprint};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer,
};

use crate::files;

/// How long the directory's own leaf is valid.
pub const LEAF_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long before its issue a certificate's validity begins, for clients with a slow clock.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(20 * 365 * 24 * 3600);
const REQUEST_MAX: usize = 16 << 10;

/// The authority's key and certificate.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A leaf with its private key and chain, for a TLS server.
pub struct Leaf {
    /// When it is valid, by the wall clock.
    pub validity: Validity,
    /// The leaf, then the authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's private key.
    pub key: PrivateKeyDer<'static>,
}

/// The validity period of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// When it was issued; it is valid from [`CLOCK_SKEW_MAX`] earlier.
    issued: UnixMillis,
    /// When it expires.
    expires: UnixMillis,
}

impl Validity {
    fn new(issued: UnixMillis, lifetime: Duration) -> Self {
        Self {
            issued,
            expires: issued.after(lifetime),
        }
    }

    /// Returns whether a client with the time `now` accepts the certificate.
    pub fn covers(self, now: UnixMillis) -> bool {
        self.issued <= now.after(CLOCK_SKEW_MAX) && now < self.expires
    }

    /// Returns whether to replace it at `now`: after a third of its lifetime, or if `now` is before
    /// its issue, because the clock was set back.
    pub fn is_due(self, now: UnixMillis) -> bool {
        let life = self.issued.until(self.expires);
        now < self.issued || now >= self.issued.after(life / 3)
    }
}

/// A peer's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// X.509, DER.
    pub der: Vec<u8>,
    /// The authority's certificate, DER: sent with the peer's, so that clients can verify the chain
    /// with the authority's fingerprint alone.
    pub authority: Vec<u8>,
    /// When it expires.
    pub expires: UnixMillis,
}

fn broken(error: rcgen::Error) -> Problem {
    Problem::new(ErrorCode::Internal, format!("certificate: {error}"))
}

/// Returns the fingerprint of the certificate authority in `folder`
/// ([`crate::DirectoryConfig::folder`]), or `None` if the folder has no authority.
///
/// # Errors
/// Returns `internal` if the certificate cannot be read.
pub fn stored_fingerprint(folder: &Path) -> Result<Option<[u8; 32]>, Problem> {
    let Some(pem) = files::read(&folder.join("ca.pem"))? else {
        return Ok(None);
    };
    let certificate = CertificateDer::from_pem_slice(&pem).ok();
    Ok(certificate.map(|certificate| fingerprint(&certificate)))
}

impl Authority {
    /// Opens the authority in `folder`; creates it if there is none.
    ///
    /// # Errors
    /// Returns `internal` if its files cannot be read or written, or do not match.
    pub fn open(folder: &Path, now: UnixMillis) -> Result<Self, Problem> {
        let certificate_path = folder.join("authority.pem");
        let key_path = folder.join("authority.key");
        let Some(pem) = files::read(&certificate_path)? else {
            // The certificate is written last: if it is missing, the key was never used.
            let (authority, key, pem) = Self::create(now)?;
            files::write_private(&key_path, key.as_bytes())?;
            files::write_private(&folder.join("ca.pem"), pem.as_bytes())?;
            files::write_private(&certificate_path, pem.as_bytes())?;
            return Ok(authority);
        };
        let damaged = |path: &Path| {
            Problem::new(
                ErrorCode::Internal,
                format!("{} is missing or damaged", path.display()),
            )
            .hint("restore it from a backup; without it every peer must join again")
        };
        let key = files::read(&key_path)?
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| KeyPair::from_pem(&text).ok())
            .ok_or_else(|| damaged(&key_path))?;
        let certificate =
            CertificateDer::from_pem_slice(&pem).map_err(|_| damaged(&certificate_path))?;
        let issuer =
            Issuer::from_ca_cert_der(&certificate, key).map_err(|_| damaged(&certificate_path))?;
        files::write_private(&folder.join("ca.pem"), &pem)?;
        Ok(Self {
            issuer,
            certificate,
        })
    }

    /// Creates an authority, and returns its private key and certificate as PEM: a secret.
    ///
    /// # Errors
    /// Returns `internal` if it cannot be created.
    pub fn create_pem(now: UnixMillis) -> Result<String, Problem> {
        let (_, key, certificate) = Self::create(now)?;
        Ok(format!("{key}{certificate}"))
    }

    /// Reads an authority that [`Self::create_pem`] created.
    ///
    /// # Errors
    /// Returns `internal` if it is damaged.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Problem> {
        let read = || {
            let key = KeyPair::from_pem(std::str::from_utf8(pem).ok()?).ok()?;
            let certificate = CertificateDer::from_pem_slice(pem).ok()?;
            let issuer = Issuer::from_ca_cert_der(&certificate, key).ok()?;
            Some(Self {
                issuer,
                certificate,
            })
        };
        read().ok_or_else(|| {
            Problem::new(
                ErrorCode::Internal,
                "the certificate authority in the database is damaged",
            )
            .hint("restore it from a backup; without it every peer must join again")
        })
    }

    /// Writes the certificate, which is not secret, to `ca.pem` in `folder`, for browsers and curl.
    ///
    /// # Errors
    /// Returns `internal` if it cannot be written.
    pub(crate) fn write_certificate(&self, folder: &Path) -> Result<(), Problem> {
        let base64 = data_encoding::BASE64.encode(&self.certificate);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for (at, letter) in base64.chars().enumerate() {
            if at > 0 && at % 64 == 0 {
                pem.push('\n');
            }
            pem.push(letter);
        }
        pem.push_str("\n-----END CERTIFICATE-----\n");
        files::write_private(&folder.join("ca.pem"), pem.as_bytes())
    }

    fn create(now: UnixMillis) -> Result<(Self, String, String), Problem> {
        let key = KeyPair::generate().map_err(broken)?;
        let mut params = validity(now, AUTHORITY_LIFETIME);
        // A unique name, to distinguish the authorities of several directories.
        let label = data_encoding::HEXLOWER.encode(&random::bytes::<4>()?);
        params
            .distinguished_name
            .push(DnType::CommonName, format!("Convite authority {label}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(broken)?;
        let (key_pem, pem) = (key.serialize_pem(), certificate.pem());
        let authority = Self {
            issuer: Issuer::new(params, key),
            certificate: certificate.into(),
        };
        Ok((authority, key_pem, pem))
    }

    /// Returns the SHA-256 fingerprint of the authority's certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.certificate)
    }

    /// Returns the authority's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Issues a leaf for the directory itself, valid for [`LEAF_LIFETIME`], with a new key. `hosts`
    /// are additional IP addresses and DNS names; invalid ones are omitted.
    ///
    /// # Errors
    /// Returns `internal` if it cannot be issued.
    pub fn directory_leaf(&self, hosts: &[String], now: UnixMillis) -> Result<Leaf, Problem> {
        let key = KeyPair::generate().map_err(broken)?;
        let mut params = server(validity(now, LEAF_LIFETIME), DIRECTORY_NAME);
        params.subject_alt_names = Vec::new();
        let own = [DIRECTORY_NAME, "localhost", "127.0.0.1", "::1"];
        for host in own.into_iter().chain(hosts.iter().map(String::as_str)) {
            let name = match host.parse::<IpAddr>() {
                Ok(ip) => SanType::IpAddress(ip),
                Err(_) => match host.try_into() {
                    Ok(name) => SanType::DnsName(name),
                    Err(_) => continue,
                },
            };
            if !params.subject_alt_names.contains(&name) {
                params.subject_alt_names.push(name);
            }
        }
        let certificate = params.signed_by(&key, &self.issuer).map_err(broken)?;
        Ok(Leaf {
            validity: Validity::new(now, LEAF_LIFETIME),
            chain: vec![certificate.into(), self.certificate.clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }

    /// Issues a certificate for a peer, for the public key of its signing request (PKCS #10, DER),
    /// which must be signed with the corresponding private key.
    ///
    /// # Errors
    /// Returns `invalid_argument` for a request that is malformed or not signed with its own key.
    pub fn peer_certificate(
        &self,
        peer: &PeerId,
        request: &[u8],
        lifetime: Duration,
        now: UnixMillis,
    ) -> Result<PeerCertificate, Problem> {
        let request = read_request(request)?;
        let name = peer.certificate_name();
        let mut params = server(validity(now, lifetime), &name);
        let dns = name.as_str().try_into().map_err(broken)?;
        params.subject_alt_names = vec![SanType::DnsName(dns)];
        let certificate = params
            .signed_by(&request.public_key, &self.issuer)
            .map_err(broken)?;
        Ok(PeerCertificate {
            der: certificate.der().to_vec(),
            authority: self.certificate().to_vec(),
            expires: now.after(lifetime),
        })
    }
}

/// Reads a certificate signing request (PKCS #10, DER), and checks its signature.
fn read_request(request: &[u8]) -> Result<CertificateSigningRequestParams, Problem> {
    let refuse = || {
        Problem::invalid("the certificate signing request is not valid")
            .hint("send PKCS #10 signed with its own key: ECDSA P-256 or Ed25519")
    };
    if request.len() > REQUEST_MAX {
        return Err(refuse());
    }
    // Checks the signature with the key in the request.
    CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))
        .map_err(|_| refuse())
}

/// Returns the SHA-256 hash of the public key in a signing request, which identifies a peer after a
/// restart.
///
/// # Errors
/// Returns `invalid_argument` for a request that is malformed or not signed with its own key.
pub(crate) fn requested_key(request: &[u8]) -> Result<[u8; 32], Problem> {
    let request = read_request(request)?;
    Ok(fingerprint(&request.public_key.subject_public_key_info()))
}

/// Returns certificate parameters with only a validity period.
fn validity(now: UnixMillis, lifetime: Duration) -> CertificateParams {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
    let mut params = CertificateParams::default();
    params.not_before = epoch + now.saturating_sub(CLOCK_SKEW_MAX);
    params.not_after = epoch + (now + lifetime);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}

/// Adds the properties of every leaf: it is for a TLS server, and not an authority.
fn server(mut params: CertificateParams, name: &str) -> CertificateParams {
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params
}
