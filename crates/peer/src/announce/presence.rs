//! Keeps the peer on the directory's list: registration, heartbeat, certificate, leaving.
//!
//! One task with two states. *Offline*: it tries to register, with increasing delays. *Online*: it
//! renews the lease after a third of its time, or every `BUSY_HEARTBEAT` while files move. It
//! registers again when two thirds of the certificate's life have passed by the directory's clock,
//! which neither a sleep of the machine nor a corrected clock affects, and when the machine's
//! addresses change. A failure makes it *offline*. On shutdown the peer leaves the list, within
//! [`LEAVE_MAX`].

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use convite_client::home::write_private;
use convite_client::{Registered, Registering};
use convite_core::activity::Activity;
use convite_core::{ErrorCode, PeerId, Problem, SharingPolicy, UnixMillis};
use convite_net::tls::SwappableCertificate;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::activity::TransferMeter;
use crate::announce::addresses::AdvertisedAddresses;
use crate::announce::directory::Directory;
use crate::announce::publish::{RETRY_FIRST, RETRY_MAX};
use crate::announce::registration::{Registration, RegistrationState};
use crate::announce::tickets::TicketVerification;
use crate::home;
use crate::sharing::cache::Cache;
use crate::sharing::shared_files::SharedFiles;

/// The maximum time to leave the directory's list.
pub const LEAVE_MAX: Duration = Duration::from_secs(2);
/// The shortest time between two heartbeats.
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);
/// The time between two heartbeats while files move: each reports the current rates.
const BUSY_HEARTBEAT: Duration = Duration::from_secs(1);
/// A clock difference of at least this much means that the clock was set back; a smaller one is an
/// estimation error.
const CLOCK_SET_BACK: Duration = Duration::from_secs(60);

/// The peer's identity key (ECDSA P-256). Its certificates are issued for this key, and the
/// directory uses it to distinguish the peer from other peers of the account. Has no `Debug`, so
/// that it is never logged.
pub struct IdentityKey(KeyPair);

fn key_problem(error: impl std::fmt::Display) -> Problem {
    Problem::new(
        ErrorCode::Internal,
        format!("the peer's key cannot be used: {error}"),
    )
    .hint("remove identity.key from the peer's home; a new key is made at the next start")
}

impl IdentityKey {
    /// Reads the key at `path`, or generates one and stores it there (mode 0600). A damaged key is
    /// renamed: the directory certifies the new key at the next registration.
    ///
    /// # Errors
    /// Returns `internal` if the file cannot be read or written.
    pub fn load(path: &Path) -> Result<Self, Problem> {
        let refused = |error: std::io::Error| home::disk(path, &error);
        match std::fs::read(path) {
            Ok(bytes) => {
                let pem = String::from_utf8_lossy(&bytes);
                if let Ok(pair) = KeyPair::from_pem(&pem) {
                    return Ok(Self(pair));
                }
                let mut aside = path.as_os_str().to_owned();
                aside.push(".damaged");
                std::fs::rename(path, &aside).map_err(refused)?;
                let shown = aside.to_string_lossy();
                warn!(
                    "the peer's key was damaged: it was renamed to {}, and a new key was made",
                    convite_core::display::escape(&shown)
                );
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(refused(error)),
        }
        let made = Self::generate()?;
        write_private(path, made.0.serialize_pem().as_bytes()).map_err(refused)?;
        Ok(made)
    }

    /// Generates a key without storing it.
    ///
    /// # Errors
    /// Returns `internal` if the system provides no randomness.
    pub fn generate() -> Result<Self, Problem> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        pair.map(Self).map_err(key_problem)
    }

    /// Returns a PKCS #10 certificate request for `id`, in DER.
    ///
    /// # Errors
    /// Returns `internal` if signing fails.
    pub fn signing_request(&self, id: &PeerId) -> Result<Vec<u8>, Problem> {
        let request = CertificateParams::new([id.certificate_name()])
            .and_then(|params| params.serialize_request(&self.0))
            .map_err(key_problem)?;
        Ok(request.der().to_vec())
    }

    fn private(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.0.serialize_der()).into()
    }
}

/// The presence task's dependencies and settings.
pub struct Registrar {
    /// The directory to register with.
    pub directory: Arc<dyn Directory>,
    /// The registration to keep.
    pub registration: Arc<Registration>,
    /// The files to publish.
    pub files: Arc<SharedFiles>,
    /// Measures the transfers that heartbeats report.
    pub meter: Arc<TransferMeter>,
    /// Holds the published generation.
    pub cache: Arc<Cache>,
    /// Receives the directory's ticket key.
    pub gate: Arc<TicketVerification>,
    /// Receives each new certificate; `None` without TLS.
    pub certificate: Option<Arc<SwappableCertificate>>,
    /// The key by which the directory recognizes this peer after a restart.
    pub key: IdentityKey,
    /// A random number that identifies this process.
    pub run: [u8; 16],
    /// The port that the peer listens on.
    pub port: u16,
    /// The addresses that the peer advertises.
    pub advertising: AdvertisedAddresses,
    /// Whether this process has not registered yet.
    pub is_starting: bool,
    /// Whether the peer is transient: it exists for its downloads and publishes nothing.
    pub transient: bool,
    /// The sharing policy.
    pub terms: SharingPolicy,
}

/// The deadlines of a registration.
pub struct RegistrationDeadlines {
    lease: Duration,
    certificate: Option<CertificateValidity>,
    /// This machine's address as the directory sees it.
    observed: Option<String>,
}

/// The validity of a certificate.
#[derive(Debug, Clone, Copy)]
struct CertificateValidity {
    /// The time of issue, by the directory's clock.
    from: UnixMillis,
    /// The end of validity, by the directory's clock.
    until: UnixMillis,
    /// When to renew it, if no clock is set and the machine does not sleep.
    renew: Instant,
}

impl CertificateValidity {
    /// Describes a certificate issued at `now` and valid until `until`, by the directory's clock.
    fn new(now: UnixMillis, until: UnixMillis) -> Self {
        Self {
            from: now,
            until,
            renew: Instant::now() + (now.until(until) * 2 / 3).max(HEARTBEAT_MIN),
        }
    }

    /// Returns whether to renew it at `now` by the directory's clock: two thirds of its life have
    /// passed, or the clock was set back to before its issue.
    fn is_due(&self, now: UnixMillis) -> bool {
        let life = self.from.until(self.until);
        now >= self.from.after((life * 2 / 3).max(HEARTBEAT_MIN))
            || now.after(CLOCK_SET_BACK) < self.from
    }
}

impl Registrar {
    /// Registers once, before other tasks start. An unreachable directory is not an error: the task
    /// retries later.
    ///
    /// # Errors
    /// Returns the directory's permanent refusals: `peer_taken`, `unauthenticated` and similar
    /// codes.
    pub async fn register_first(&mut self) -> Result<Option<RegistrationDeadlines>, Problem> {
        match self.register().await {
            Ok(listed) => Ok(Some(listed)),
            Err(problem) if is_temporary(&problem) => {
                self.set_offline(problem);
                Ok(None)
            }
            Err(problem) => Err(problem),
        }
    }

    /// Keeps the peer registered until it stops; `listed` is the result of
    /// [`Self::register_first`].
    pub async fn run_registration(mut self, mut listed: Option<RegistrationDeadlines>) {
        let stop = self.registration.stop.clone();
        let (directory, registration) = (self.directory.clone(), self.registration.clone());
        let work = async {
            let mut pause = RETRY_FIRST;
            loop {
                let registered = match listed.take() {
                    Some(listed) => Ok(listed),
                    None => self.register().await,
                };
                match registered {
                    Ok(listed) => {
                        pause = RETRY_FIRST;
                        let problem = self.keep_registered(listed).await;
                        warn!("offline: {problem}");
                        self.set_offline(problem);
                    }
                    Err(problem) => self.set_offline(problem),
                }
                sleep(pause).await;
                pause = (pause * 2).min(RETRY_MAX);
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = work => {}
        }
        let was_listed = registration.state.borrow().is_listed;
        registration
            .state
            .send_replace(RegistrationState::default());
        if was_listed {
            // If the directory does not answer, the lease will expire.
            let _ = timeout(LEAVE_MAX, directory.leave(&registration.id)).await;
        }
    }

    /// Renews the lease and the certificate until one renewal fails.
    async fn keep_registered(&mut self, mut listed: RegistrationDeadlines) -> Problem {
        let registration = self.registration.clone();
        let meter = self.meter.clone();
        let mut told = Activity::default();
        let mut beat = Instant::now() + (listed.lease / 3).max(HEARTBEAT_MIN);
        loop {
            let renew = listed.certificate.map(|certificate| certificate.renew);
            let moving = async {
                if told.is_idle() {
                    meter.changed().await;
                }
                sleep(BUSY_HEARTBEAT).await;
            };
            let moved = tokio::select! {
                () = tokio::time::sleep_until(renew.unwrap_or(beat).min(beat)) => false,
                () = moving => false,
                () = self.advertising.changed() => true,
                () = registration.renew.notified() => true,
            };
            // Before the heartbeat, which would list the peer with an expired certificate.
            if moved || self.is_certificate_due(&listed) {
                match self.register().await {
                    Ok(anew) => listed = anew,
                    Err(problem) => return problem,
                }
                beat = Instant::now() + (listed.lease / 3).max(HEARTBEAT_MIN);
                continue;
            }
            let activity = meter.read();
            // The transfer began and ended without having been reported.
            if activity.is_idle() && told.is_idle() && Instant::now() < beat {
                continue;
            }
            let before = self.cache.generation();
            let beaten = self
                .directory
                .heartbeat(&self.registration.id, Some(self.run), &activity)
                .await;
            match beaten {
                Ok(lease) => {
                    told = activity;
                    listed.lease = lease.lease;
                    beat = Instant::now() + (listed.lease / 3).max(HEARTBEAT_MIN);
                    // This detects a directory restored from a backup. A difference counts only if
                    // no publishing is in progress.
                    let is_published = self.files.publish_queue.progress().borrow().is_published;
                    if is_published
                        && !self.transient
                        && before == self.cache.generation()
                        && before.is_ok_and(|before| before != lease.generation)
                    {
                        self.files.publish_queue.request_full();
                    }
                    let has_moved = !lease.observed.is_empty()
                        && listed
                            .observed
                            .as_ref()
                            .is_some_and(|seen| *seen != lease.observed);
                    if has_moved {
                        match self.register().await {
                            Ok(anew) => listed = anew,
                            Err(problem) => return problem,
                        }
                    }
                }
                Err(problem) => return problem,
            }
        }
    }

    /// Returns whether to renew the certificate, by elapsed local time or by the directory's clock.
    fn is_certificate_due(&self, listed: &RegistrationDeadlines) -> bool {
        listed.certificate.is_some_and(|certificate| {
            certificate.renew <= Instant::now() || certificate.is_due(self.registration.clock.now())
        })
    }

    async fn register(&mut self) -> Result<RegistrationDeadlines, Problem> {
        let id = &self.registration.id;
        let request = self.key.signing_request(id)?;
        let addresses = self.advertising.addresses();
        let registered = self
            .directory
            .register_peer(&Registering {
                id,
                port: self.port,
                addresses: &addresses,
                signing_request: Some(&request),
                run: Some(self.run),
                is_starting: self.is_starting,
                transient: self.transient,
                terms: self.terms.clone(),
            })
            .await?;
        self.is_starting = false;
        if let Some(first) = addresses.first() {
            self.registration.set_address(first);
        }
        self.gate.set_key(&registered.ticket_key, id.clone())?;
        let certificate = self.use_certificate(&registered)?;
        if !self.transient && self.cache.generation()? != registered.generation {
            self.files.publish_queue.request_full();
        }
        let news = self
            .registration
            .state
            .send_if_modified(|online| online.update(None, UnixMillis::from(SystemTime::now())));
        if news {
            self.registration.retry_refused(&self.files);
            info!(id = id.as_str(), "registered with the directory");
        }
        Ok(RegistrationDeadlines {
            lease: registered.lease,
            certificate,
            observed: registered
                .addresses
                .last()
                .map(|seen| seen.host().to_owned()),
        })
    }

    /// Installs the issued certificate, if there is one. Returns its validity.
    fn use_certificate(
        &self,
        registered: &Registered,
    ) -> Result<Option<CertificateValidity>, Problem> {
        let Some(presented) = &self.certificate else {
            return Ok(None);
        };
        let leaf = registered.certificate.clone().ok_or_else(|| {
            Problem::new(
                ErrorCode::Internal,
                "the directory issued no certificate for this peer",
            )
        })?;
        let chain = std::iter::once(leaf)
            .chain(registered.authority.clone())
            .map(CertificateDer::from)
            .collect();
        presented.set(chain, self.key.private())?;
        let now = self.registration.clock.now();
        Ok(Some(CertificateValidity::new(
            now,
            registered.certificate_expires,
        )))
    }

    fn set_offline(&self, problem: Problem) {
        let now = UnixMillis::from(SystemTime::now());
        self.registration
            .state
            .send_modify(|online| _ = online.update(Some(problem), now));
    }
}

/// Returns whether the error is temporary, so that a retry may succeed.
fn is_temporary(problem: &Problem) -> bool {
    matches!(
        problem.code,
        ErrorCode::Unavailable
            | ErrorCode::Overloaded
            | ErrorCode::TooManyRequests
            | ErrorCode::Internal
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn certificate_renewal_follows_the_directorys_clock() {
        let hours = |hours: i64| UnixMillis(1_800_000_000_000 + hours * 3_600_000);
        let certificate = CertificateValidity::new(hours(0), hours(24));
        for (now, due) in [
            (hours(0), false),
            (hours(15), false),
            (hours(16), true),
            (hours(400 * 24), true),
            (hours(-1), true),
        ] {
            assert_eq!(certificate.is_due(now), due, "{now:?}");
        }
        // A certificate that is expired when it is issued must not be requested in a loop.
        assert!(!CertificateValidity::new(hours(24), hours(0)).is_due(hours(24)));
    }

    #[test]
    fn identity_key_persists_and_requests_the_peers_name() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("identity.key");
        let first = IdentityKey::load(&path).unwrap();
        let again = IdentityKey::load(&path).unwrap();
        assert_eq!(first.0.serialize_der(), again.0.serialize_der());
        for damage in [
            &b"\0\0\0\0"[..],
            b"\xff\xfe",
            b"-----BEGIN PRIVATE KEY-----\n",
        ] {
            std::fs::write(&path, damage).unwrap();
            let anew = IdentityKey::load(&path).unwrap();
            let kept = IdentityKey::load(&path).unwrap();
            assert_eq!(anew.0.serialize_der(), kept.0.serialize_der());
        }
        let id: PeerId = "peer_1".parse().unwrap();
        let request = again.signing_request(&id).unwrap();
        let name = id.certificate_name();
        assert!(
            request
                .windows(name.len())
                .any(|part| part == name.as_bytes())
        );
    }
}
