//! Being on the directory's list: registering, the heartbeat, the certificate, leaving.
//!
//! One task. *Off* the list it registers, again and again, less and less often. *On* it, it
//! renews the lease at a third of its time, or every `BUSY_BEAT` while files move, and the
//! certificate at two thirds of its life; a failure puts it back to *off*. When the peer stops, it leaves, within [`LEAVE_MAX`].

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use convite_client::Registered;
use convite_client::home::write_private;
use convite_core::activity::Activity;
use convite_core::{ErrorCode, PeerAddress, PeerId, Problem, Terms, UnixMillis};
use convite_net::tls::SwappableCertificate;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::cache::Cache;
use crate::directory::Directory;
use crate::home;
use crate::publish::{RETRY_FIRST, RETRY_MAX};
use crate::serve::auth::TicketGate;
use crate::state::{Online, PeerState};

/// How long leaving may take.
pub const LEAVE_MAX: Duration = Duration::from_secs(2);
/// The shortest time between two heartbeats.
const BEAT_MIN: Duration = Duration::from_millis(100);
/// The time between two heartbeats while files move: each tells how fast.
const BUSY_BEAT: Duration = Duration::from_secs(1);

/// The peer's own key: ECDSA P-256, for its certificates alone. Has no `Debug`.
pub struct IdentityKey(KeyPair);

fn key_problem(error: impl std::fmt::Display) -> Problem {
    Problem::new(
        ErrorCode::Internal,
        format!("the peer's key cannot be used: {error}"),
    )
    .hint("remove identity.key from the peer's home to have a new one made")
}

impl IdentityKey {
    /// Reads the key at `path`, or makes one and keeps it there (mode 0600).
    ///
    /// # Errors
    /// `internal` if it is damaged or the disk refuses.
    pub fn load(path: &Path) -> Result<Self, Problem> {
        match std::fs::read_to_string(path) {
            Ok(pem) => KeyPair::from_pem(&pem).map(Self).map_err(key_problem),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let made = Self::generate()?;
                write_private(path, made.0.serialize_pem().as_bytes())
                    .map_err(|e| home::disk(path, &e))?;
                Ok(made)
            }
            Err(error) => Err(home::disk(path, &error)),
        }
    }

    /// A key that is kept nowhere.
    ///
    /// # Errors
    /// `internal` if there is no randomness.
    pub fn generate() -> Result<Self, Problem> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
        pair.map(Self).map_err(key_problem)
    }

    /// A PKCS #10 request for a certificate of `id`, DER.
    ///
    /// # Errors
    /// `internal` if signing fails.
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

/// What presence needs.
pub struct Presence {
    /// Where to be listed.
    pub directory: Arc<dyn Directory>,
    /// Who.
    pub state: Arc<PeerState>,
    /// What the directory was told.
    pub cache: Arc<Cache>,
    /// Learns the directory's ticket key.
    pub gate: Arc<TicketGate>,
    /// Gets each new certificate, with the key that it is for; none without TLS.
    pub certificate: Option<(IdentityKey, Arc<SwappableCertificate>)>,
    /// Where the peer listens.
    pub port: u16,
    /// Where it can be dialled.
    pub addresses: Vec<PeerAddress>,
    /// Whether it is there for its downloads alone, with nothing to publish.
    pub transient: bool,
    /// What it does for others.
    pub terms: Terms,
}

/// Times to be kept while on the list.
pub struct Listed {
    lease: Duration,
    /// When to have the certificate renewed.
    renew: Option<Instant>,
}

impl Presence {
    /// Registers once, before anything else runs. A directory that is away is no error: the task
    /// goes on trying.
    ///
    /// # Errors
    /// What the directory refuses for good: `peer_taken`, `unauthenticated`, and the like.
    pub async fn register_first(&self) -> Result<Option<Listed>, Problem> {
        match self.register().await {
            Ok(listed) => Ok(Some(listed)),
            Err(problem) if is_passing(&problem) => {
                self.set_offline(problem);
                Ok(None)
            }
            Err(problem) => Err(problem),
        }
    }

    /// Keeps the peer on the list until it stops; `listed` is from [`Self::register_first`].
    pub async fn run_presence(self, mut listed: Option<Listed>) {
        let stop = self.state.stop.clone();
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
                        let problem = self.stay(listed).await;
                        warn!("off the directory's list: {problem}");
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
        let was_listed = self.state.online.borrow().listed;
        self.state.online.send_replace(Online::default());
        if was_listed {
            // A directory that does not answer will see the lease run out.
            let _ = timeout(LEAVE_MAX, self.directory.leave(&self.state.id)).await;
        }
    }

    /// Renews the lease, and the certificate in time, until something fails.
    async fn stay(&self, mut listed: Listed) -> Problem {
        let meter = self.state.uploads.meter();
        let mut told = Activity::default();
        let mut beat = Instant::now() + (listed.lease / 3).max(BEAT_MIN);
        loop {
            let renew = listed.renew.filter(|renew| *renew <= beat);
            let moving = async {
                if told.is_idle() {
                    meter.stirred().await;
                }
                sleep(BUSY_BEAT).await;
            };
            tokio::select! {
                () = tokio::time::sleep_until(renew.unwrap_or(beat)) => {}
                () = moving => {}
            }
            if renew.is_some_and(|renew| renew <= Instant::now()) {
                match self.register().await {
                    Ok(anew) => listed = anew,
                    Err(problem) => return problem,
                }
                beat = Instant::now() + (listed.lease / 3).max(BEAT_MIN);
                continue;
            }
            let activity = meter.read();
            // What moved is over before anybody was told of it.
            if activity.is_idle() && told.is_idle() && Instant::now() < beat {
                continue;
            }
            let before = self.cache.generation();
            match self.directory.heartbeat(&self.state.id, &activity).await {
                Ok(lease) => {
                    told = activity;
                    listed.lease = lease.lease;
                    beat = Instant::now() + (listed.lease / 3).max(BEAT_MIN);
                    // A directory restored from a backup shows itself here; one that was told
                    // something new meanwhile does not count.
                    let settled = self.state.pending.progress().borrow().settled;
                    if settled
                        && !self.transient
                        && before == self.cache.generation()
                        && before.is_ok_and(|before| before != lease.generation)
                    {
                        self.state.pending.note_whole();
                    }
                }
                Err(problem) => return problem,
            }
        }
    }

    async fn register(&self) -> Result<Listed, Problem> {
        let id = &self.state.id;
        let request = match &self.certificate {
            Some((key, _)) => Some(key.signing_request(id)?),
            None => None,
        };
        let registered = self
            .directory
            .register_peer(
                id,
                self.port,
                &self.addresses,
                request.as_deref(),
                self.transient,
                &self.terms,
            )
            .await?;
        self.gate.trust(&registered.ticket_key, id.clone())?;
        let renew = self.use_certificate(&registered)?;
        if !self.transient && self.cache.generation()? != registered.generation {
            self.state.pending.note_whole();
        }
        let news = self
            .state
            .online
            .send_if_modified(|online| online.become_at(None, UnixMillis::from(SystemTime::now())));
        if news {
            self.state.ask_again();
            info!(id = id.as_str(), "on the directory's list");
        }
        Ok(Listed {
            lease: registered.lease,
            renew,
        })
    }

    /// Presents the certificate that came, if one did; returns when to renew it.
    fn use_certificate(&self, registered: &Registered) -> Result<Option<Instant>, Problem> {
        let Some((key, presented)) = &self.certificate else {
            return Ok(None);
        };
        let leaf = registered.certificate.clone().ok_or_else(|| {
            Problem::new(
                ErrorCode::Internal,
                "the directory gave this peer no certificate",
            )
        })?;
        let chain = std::iter::once(leaf)
            .chain(registered.authority.clone())
            .map(CertificateDer::from)
            .collect();
        presented.set(chain, key.private())?;
        let life = UnixMillis::from(SystemTime::now()).until(registered.certificate_expires);
        Ok(Some(Instant::now() + (life * 2 / 3).max(BEAT_MIN)))
    }

    fn set_offline(&self, problem: Problem) {
        let now = UnixMillis::from(SystemTime::now());
        self.state
            .online
            .send_modify(|online| _ = online.become_at(Some(problem), now));
    }
}

/// Whether waiting may help.
fn is_passing(problem: &Problem) -> bool {
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

    #[test]
    fn the_key_stays_the_same_and_asks_for_the_peers_own_name() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("identity.key");
        let first = IdentityKey::load(&path).unwrap();
        let again = IdentityKey::load(&path).unwrap();
        assert_eq!(first.0.serialize_der(), again.0.serialize_der());
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
