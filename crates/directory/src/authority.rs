//! The directory's certificate authority: made on the first start, known to peers by its
//! fingerprint, which every invite link carries.
//!
//! It certifies two kinds of leaf. The directory's own carries
//! [`DIRECTORY_NAME`], under which clients dial it whatever the
//! address; no other leaf ever does. A peer's carries the name that follows from its id and the
//! address that it was seen at; of its signing request nothing is taken but the public key.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use convite_core::{ErrorCode, PeerId, Problem, UnixMillis};
use convite_net::tls::{DIRECTORY_NAME, fingerprint};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, CertificateSigningRequestDer, PrivateKeyDer, PrivatePkcs8KeyDer,
};

use crate::files;

/// For how long the directory's own leaf is valid.
pub const LEAF_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// How far back a certificate's validity begins, for clocks that are behind.
const BACKDATED: Duration = Duration::from_secs(3600);
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(20 * 365 * 24 * 3600);
const REQUEST_MAX: usize = 16 << 10;
const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// The authority's key and certificate.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

/// A leaf with its private key and the authority behind it, as a TLS server presents it.
pub struct Leaf {
    /// The leaf, then the authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's private key.
    pub key: PrivateKeyDer<'static>,
}

/// A peer's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// X.509, DER.
    pub der: Vec<u8>,
    /// The authority's own, DER: presented behind the peer's, it lets those verify the chain who
    /// know no more than the authority's fingerprint.
    pub authority: Vec<u8>,
    /// When it runs out.
    pub expires: UnixMillis,
}

fn broken(error: rcgen::Error) -> Problem {
    Problem::new(ErrorCode::Internal, format!("certificate: {error}"))
}

impl Authority {
    /// The authority kept in `folder`, made if there is none.
    ///
    /// # Errors
    /// `internal` if its files cannot be read or written, or do not belong together.
    pub fn open(folder: &Path, now: UnixMillis) -> Result<Self, Problem> {
        let certificate_path = folder.join("authority.pem");
        let key_path = folder.join("authority.key");
        let Some(pem) = files::read(&certificate_path)? else {
            // The certificate is written last: without it, nobody has seen the key.
            let (authority, key, pem) = Self::make(now)?;
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
            .hint("restore it from a copy; without it every peer must join again")
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

    /// A new authority as PEM, its private key and its certificate: a secret.
    ///
    /// # Errors
    /// `internal` if it cannot be made.
    pub fn make_pem(now: UnixMillis) -> Result<String, Problem> {
        let (_, key, certificate) = Self::make(now)?;
        Ok(format!("{key}{certificate}"))
    }

    /// The authority that [`Self::make_pem`] made.
    ///
    /// # Errors
    /// `internal` if it is damaged.
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
            .hint("restore it from a copy; without it every peer must join again")
        })
    }

    /// Writes the certificate, which is no secret, to `ca.pem` in `folder`, for browsers and curl.
    ///
    /// # Errors
    /// `internal` if it cannot be written.
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

    fn make(now: UnixMillis) -> Result<(Self, String, String), Problem> {
        let key = KeyPair::generate().map_err(broken)?;
        let mut params = validity(now, AUTHORITY_LIFETIME);
        // A name of its own, so that two directories' authorities are told apart by it.
        let label = data_encoding::HEXLOWER.encode(&crate::random_bytes::<4>()?);
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

    /// SHA-256 of the authority's certificate.
    pub fn fingerprint(&self) -> [u8; 32] {
        fingerprint(&self.certificate)
    }

    /// The authority's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// A new leaf for the directory itself, valid for [`LEAF_LIFETIME`], with a new key. `hosts`
    /// are further IP addresses and DNS names; those that cannot be in a certificate are left out.
    ///
    /// # Errors
    /// `internal` if it cannot be made.
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
            chain: vec![certificate.into(), self.certificate.clone()],
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }

    /// A certificate for a peer that is seen at `remote`, for the public key of its signing
    /// request (PKCS #10, DER), which must be signed with the private half.
    ///
    /// # Errors
    /// `invalid_argument` for a request that is malformed or not signed with its own key.
    pub fn peer_certificate(
        &self,
        peer: &PeerId,
        remote: IpAddr,
        request: &[u8],
        lifetime: Duration,
        now: UnixMillis,
    ) -> Result<PeerCertificate, Problem> {
        let refuse = || {
            Problem::invalid("the certificate signing request is not valid")
                .hint("send PKCS #10 signed with its own key: ECDSA P-256 or Ed25519")
        };
        if request.len() > REQUEST_MAX {
            return Err(refuse());
        }
        // Checks the signature with the key in the request.
        let request =
            CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))
                .map_err(|_| refuse())?;
        let name = peer.certificate_name();
        let mut params = server(validity(now, lifetime), &name);
        let dns = name.as_str().try_into().map_err(broken)?;
        params.subject_alt_names = vec![SanType::DnsName(dns)];
        let remote = remote.to_canonical();
        params.subject_alt_names.push(SanType::IpAddress(remote));
        if remote.is_loopback() {
            for ip in LOOPBACK.map(SanType::IpAddress) {
                if !params.subject_alt_names.contains(&ip) {
                    params.subject_alt_names.push(ip);
                }
            }
        }
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

/// Nothing but a time of validity.
fn validity(now: UnixMillis, lifetime: Duration) -> CertificateParams {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
    let mut params = CertificateParams::default();
    params.not_before = epoch + now.saturating_sub(BACKDATED);
    params.not_after = epoch + (now + lifetime);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}

/// What every leaf has: it names a TLS server and certifies nothing.
fn server(mut params: CertificateParams, name: &str) -> CertificateParams {
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    params
}
