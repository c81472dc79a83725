//! A whole peer with an in-memory directory that fails on demand.

#![allow(clippy::unwrap_used)]

mod folders;
mod mounts;
mod skipping;
mod spaces;
mod watching;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use convite_client::{Lease, Published, Registered, Registering};
use convite_core::model::FileEntry;
use convite_core::{ContentHash, EntryKind, ErrorCode, PeerId, Problem, SafePath, UnixMillis};
use convite_core::{SpaceName, UserName};
use convite_net::clock::DirectoryClock;
use convite_peer::announce::directory::Directory;
use convite_peer::run::start_with;
use convite_peer::{PeerConfig, RunningPeer};
use convite_wire::ticket::TicketSigner;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

#[derive(Default)]
struct Held {
    files: BTreeMap<String, FileEntry>,
    folders: BTreeMap<String, FileEntry>,
    generation: u64,
    away: bool,
    refusal: Option<ErrorCode>,
    /// Spaces that the account is not a member of.
    closed: Vec<SpaceName>,
    /// Every file that was ever published, with its space.
    ever: Vec<(String, Option<SpaceName>)>,
    listed: bool,
    registered: u32,
    changes: u32,
    wholes: u32,
    beats: u32,
    /// Whether the last registration was transient.
    transient: bool,
    /// For each registration, whether it was marked as the first of its process.
    starts: Vec<bool>,
    /// The peer's address as the directory sees it.
    observed: String,
    /// Issues certificates, if set.
    authority: Option<Authority>,
    certificate_life: Duration,
}

impl Held {
    fn admit(&mut self, files: &[FileEntry]) -> Result<(), Problem> {
        let closed =
            |file: &&FileEntry| file.space.as_ref().is_some_and(|s| self.closed.contains(s));
        if files.iter().any(|file| closed(&file)) {
            return Err(Problem::new(ErrorCode::PermissionDenied, "not yours").hint("ask"));
        }
        let put = files
            .iter()
            .map(|file| (file.path.to_string(), file.space.clone()));
        self.ever.extend(put);
        Ok(())
    }

    fn insert(&mut self, entries: impl IntoIterator<Item = FileEntry>) {
        for entry in entries {
            let rows = match entry.kind {
                EntryKind::File => &mut self.files,
                EntryKind::Folder => &mut self.folders,
            };
            rows.insert(entry.path.to_string(), entry);
        }
    }
}

struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    der: Vec<u8>,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let der = params.self_signed(&key).unwrap().der().to_vec();
        let issuer = rcgen::Issuer::new(params, key);
        Self { issuer, der }
    }

    fn sign(&self, request: &[u8]) -> Vec<u8> {
        let request = rcgen::CertificateSigningRequestParams::from_der(&request.into()).unwrap();
        request.signed_by(&self.issuer).unwrap().der().to_vec()
    }
}

#[derive(Default)]
struct Memory {
    held: Mutex<Held>,
    clock: DirectoryClock,
    happened: tokio::sync::Notify,
}

impl Memory {
    fn held(&self) -> Result<std::sync::MutexGuard<'_, Held>, Problem> {
        let held = self.held.lock().unwrap();
        if held.away {
            return Err(Problem::new(
                ErrorCode::Unavailable,
                "the directory cannot be reached",
            ));
        }
        Ok(held)
    }

    fn set<T>(&self, change: impl FnOnce(&mut Held) -> T) -> T {
        change(&mut self.held.lock().unwrap())
    }

    fn paths(&self) -> Vec<String> {
        self.set(|held| held.files.keys().cloned().collect())
    }

    /// Waits until `condition` holds; checks it after each call of the directory.
    async fn until(&self, condition: impl Fn(&Held) -> bool) {
        let waiting = async {
            while !self.set(|held| condition(held)) {
                self.happened.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(90), waiting)
            .await
            .expect("the condition did not hold in time");
    }
}

#[async_trait]
impl Directory for Memory {
    async fn register_peer(&self, peer: &Registering<'_>) -> Result<Registered, Problem> {
        let mut held = self.held()?;
        if let Some(code) = held.refusal {
            return Err(Problem::new(code, "refused"));
        }
        held.listed = true;
        held.registered += 1;
        held.transient = peer.transient;
        held.starts.push(peer.is_starting);
        self.happened.notify_one();
        Ok(Registered {
            lease: Duration::from_millis(600),
            generation: held.generation,
            certificate: held
                .authority
                .as_ref()
                .map(|authority| authority.sign(peer.signing_request.unwrap())),
            authority: held
                .authority
                .as_ref()
                .map(|authority| authority.der.clone()),
            certificate_expires: self.clock.now().after(held.certificate_life),
            ticket_key: TicketSigner::generate().unwrap().public_key().to_vec(),
            addresses: peer.addresses.to_vec(),
        })
    }

    async fn heartbeat(
        &self,
        _id: &PeerId,
        _run: Option<[u8; 16]>,
        _activity: &convite_core::activity::Activity,
    ) -> Result<Lease, Problem> {
        let mut held = self.held()?;
        held.beats += 1;
        self.happened.notify_one();
        if !held.listed {
            return Err(Problem::not_found("no such peer"));
        }
        Ok(Lease {
            lease: Duration::from_millis(600),
            generation: held.generation,
            observed: held.observed.clone(),
        })
    }

    async fn leave(&self, _id: &PeerId) -> Result<(), Problem> {
        self.held()?.listed = false;
        Ok(())
    }

    async fn publish_change(
        &self,
        _peer: &PeerId,
        base: u64,
        generation: u64,
        upsert: Vec<FileEntry>,
        remove: Vec<SafePath>,
    ) -> Result<Published, Problem> {
        let mut held = self.held()?;
        if base != held.generation {
            return Err(Problem::new(ErrorCode::GenerationMismatch, "another"));
        }
        held.admit(&upsert)?;
        for path in &remove {
            held.files.remove(path.as_str());
            held.folders.remove(path.as_str());
        }
        let published = Published {
            generation,
            upserted: upsert.len() as u64,
            removed: remove.len() as u64,
        };
        held.insert(upsert);
        held.generation = generation;
        held.changes += 1;
        self.happened.notify_one();
        Ok(published)
    }

    async fn publish_index(
        &self,
        _peer: &PeerId,
        generation: u64,
        mut batches: mpsc::Receiver<Vec<FileEntry>>,
    ) -> Result<Published, Problem> {
        drop(self.held()?);
        let mut entries: Vec<FileEntry> = Vec::new();
        while let Some(batch) = batches.recv().await {
            self.held()?.admit(&batch)?;
            entries.extend(batch);
        }
        assert!(
            entries.is_sorted_by(|a, b| a.path < b.path),
            "the index is not in path order"
        );
        let mut held = self.held()?;
        held.files.clear();
        held.folders.clear();
        held.insert(entries);
        held.generation = generation;
        held.wholes += 1;
        self.happened.notify_one();
        Ok(Published {
            generation,
            upserted: 0,
            removed: 0,
        })
    }

    fn clock(&self) -> DirectoryClock {
        self.clock.clone()
    }

    fn is_plaintext(&self) -> bool {
        self.set(|held| held.authority.is_none())
    }

    fn user(&self) -> Option<UserName> {
        Some("ana".parse().unwrap())
    }
}

struct Group {
    place: tempfile::TempDir,
    directory: Arc<Memory>,
    transient: bool,
    rescan: Duration,
    /// The shared folder.
    folder: std::path::PathBuf,
}

impl Group {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("share")).unwrap();
        Self {
            folder: place.path().join("share"),
            place,
            directory: Arc::default(),
            transient: false,
            rescan: Duration::from_millis(50),
        }
    }

    /// Writes a file with an old modification time.
    fn write(&self, name: &str, contents: &str) {
        let path = self.place.path().join("share").join(name);
        fs::write(&path, contents).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        let old = SystemTime::now() - Duration::from_secs(3600);
        file.set_modified(old).unwrap();
        settle(&path);
    }

    async fn start(&self) -> Result<(RunningPeer, CancellationToken), Problem> {
        let stop = CancellationToken::new();
        let config = PeerConfig {
            addresses: vec!["peer.example:7000".parse().unwrap()],
            shares: vec![self.folder.clone()],
            rescan: self.rescan,
            ..PeerConfig::new(
                (!self.transient).then(|| self.place.path().join("home")),
                "peer_1".parse().unwrap(),
                "127.0.0.1".parse().unwrap(),
            )
        };
        let peer = start_with(config, self.directory.clone(), stop.clone()).await?;
        Ok((peer, stop))
    }
}

/// Waits until the times of a file are reliable.
fn settle(path: &Path) {
    let identity = || {
        let metadata = path.symlink_metadata().unwrap();
        convite_peer::fs::identity::FileIdentity::at(path, &metadata).unwrap()
    };
    while identity().changed_too_recently(SystemTime::now()) {
        std::thread::yield_now();
    }
}

async fn end(peer: RunningPeer, stop: &CancellationToken) {
    stop.cancel();
    peer.finished().await.unwrap();
}

#[tokio::test]
async fn restart_hashes_and_publishes_nothing() {
    let group = Group::new();
    group.write("a", "one");
    group.write("b", "two");
    let (mut peer, stop) = group.start().await.unwrap();
    assert_eq!(peer.first_scan_done().await.unwrap(), 2);
    assert_eq!(peer.url, "http://peer.example:7000");
    assert_eq!(peer.hashed(), 2);
    assert_eq!(group.directory.paths(), ["share/a", "share/b"]);
    let running = group.place.path().join("home/peer/running.json");
    assert!(running.exists());
    end(peer, &stop).await;
    assert!(!running.exists());
    assert!(!group.directory.set(|held| held.listed));
    let (changes, wholes) = group.directory.set(|held| (held.changes, held.wholes));

    let (mut peer, stop) = group.start().await.unwrap();
    assert_eq!(peer.first_scan_done().await.unwrap(), 2);
    assert_eq!(peer.hashed(), 0);
    assert_eq!(
        group.directory.set(|held| (held.changes, held.wholes)),
        (changes, wholes)
    );
    end(peer, &stop).await;

    // Only what changed while the peer was off.
    group.write("b", "two, changed");
    group.write("c", "three");
    fs::remove_file(group.place.path().join("share/a")).unwrap();
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    assert_eq!(peer.hashed(), 2);
    assert_eq!(group.directory.paths(), ["share/b", "share/c"]);
    let hash = group.directory.set(|held| held.files["share/b"].hash);
    assert_eq!(hash, ContentHash::of(b"two, changed"));
    assert_eq!(group.directory.set(|held| held.wholes), wholes);
    end(peer, &stop).await;
}

#[tokio::test]
async fn missing_share_is_withdrawn() {
    let group = Group::new();
    group.write("a", "one");
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    group.write("b", "two");
    group.directory.until(|held| held.files.len() == 2).await;
    let share = group.place.path().join("share");
    fs::rename(&share, group.place.path().join("away")).unwrap();
    group.directory.until(|held| held.files.is_empty()).await;
    let troubled = async {
        while peer.status().shares[0].trouble.is_empty() {
            peer.changed().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(90), troubled)
        .await
        .expect("the share's trouble was not reported");
    let advised = peer.status().shares[0].hint.contains("convite unshare");
    assert!(advised, "the hint is missing");
    fs::rename(group.place.path().join("away"), &share).unwrap();
    group.directory.until(|held| held.files.len() == 2).await;
    let mended = async {
        while !peer.status().shares[0].trouble.is_empty() {
            peer.changed().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(90), mended)
        .await
        .expect("the share did not recover");
    assert_eq!(peer.hashed(), 2);
    end(peer, &stop).await;
}

#[tokio::test]
async fn lost_generation_republishes_the_index() {
    let group = Group::new();
    group.write("a", "one");
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    // The directory was restored from an empty backup; the heartbeat detects that.
    group.directory.set(|held| {
        held.files.clear();
        held.generation = 0;
    });
    group
        .directory
        .until(|held| held.wholes > 0 && held.files.len() == 1)
        .await;
    // The directory forgot the peer as well.
    let before = group.directory.set(|held| {
        held.listed = false;
        held.registered
    });
    group.directory.until(|held| held.registered > before).await;
    // The directory has another generation than the last published one; the next change detects
    // that.
    group.directory.set(|held| held.generation += 1);
    group.write("b", "two");
    group.directory.until(|held| held.files.len() == 2).await;
    end(peer, &stop).await;
}

#[tokio::test]
async fn changes_are_published_when_the_directory_is_back() {
    let group = Group::new();
    group.write("a", "one");
    group.directory.set(|held| held.away = true);
    let (mut peer, stop) = group.start().await.unwrap();
    let problem = peer.first_scan_done().await.unwrap_err();
    assert_eq!(problem.code, ErrorCode::Unavailable);
    assert!(!peer.status().online);
    group.directory.set(|held| held.away = false);
    group.directory.until(|held| held.files.len() == 1).await;
    assert_eq!(peer.first_scan_done().await.unwrap(), 1);
    assert!(peer.status().online);
    // The peer ends in time although the directory cannot be reached.
    group.directory.set(|held| held.away = true);
    end(peer, &stop).await;
}

#[tokio::test]
async fn permanent_errors_fail_at_the_start() {
    let group = Group::new();
    group
        .directory
        .set(|held| held.refusal = Some(ErrorCode::PeerTaken));
    let refused = group.start().await.map(drop).unwrap_err();
    assert_eq!(refused.code, ErrorCode::PeerTaken);
    group.directory.set(|held| held.refusal = None);
    let (peer, stop) = group.start().await.unwrap();
    let second = group.start().await.map(drop).unwrap_err();
    assert_eq!(second.code, ErrorCode::InUse);
    assert!(second.hint.is_some());
    end(peer, &stop).await;
    assert!(!Path::new(&group.place.path().join("home/peer/control.token")).exists());
}

#[tokio::test]
async fn peer_registers_with_a_certificate_and_renews_it() {
    let group = Group::new();
    let authority = Authority::new();
    let fingerprint = convite_net::tls::fingerprint(&authority.der);
    group.directory.set(|held| {
        held.authority = Some(authority);
        held.certificate_life = Duration::from_millis(900);
    });
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    assert!(peer.url.starts_with("https://"));
    let expecting = |id: &str| {
        let id: PeerId = id.parse().unwrap();
        let config = convite_net::tls::client_config(fingerprint);
        convite_net::dial::Expected::new(config, &id.certificate_name()).unwrap()
    };
    let address = peer.address.into();
    type Connection = convite_net::dial::Http2<tonic::body::Body>;
    let other = Connection::connect(&address, Some(&expecting("peer_2"))).await;
    assert_eq!(other.map(drop).unwrap_err().code, ErrorCode::Untrusted);
    let open = Connection::connect(&address, Some(&expecting("peer_1")))
        .await
        .unwrap();
    group.directory.until(|held| held.registered >= 3).await;
    // Existing connections stay open, and new ones are accepted.
    assert!(!open.is_closed());
    assert!(
        Connection::connect(&address, Some(&expecting("peer_1")))
            .await
            .is_ok()
    );
    drop(open);
    end(peer, &stop).await;
}

#[tokio::test]
async fn certificate_is_renewed_after_a_clock_jump() {
    let group = Group::new();
    let own = || UnixMillis::from(SystemTime::now());
    group.directory.set(|held| {
        held.authority = Some(Authority::new());
        held.certificate_life = Duration::from_secs(24 * 3600);
    });
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    group.directory.until(|held| held.beats >= 2).await;
    assert_eq!(group.directory.set(|held| held.registered), 1);
    // The machine slept for 20 hours; then a clock that was far ahead is corrected.
    for hours in [20, -400 * 24] {
        let registered = group.directory.set(|held| held.registered);
        let moved = UnixMillis(own().0 + hours * 3_600_000);
        group.directory.clock.record(moved, own());
        let again = |held: &Held| held.registered == registered + 1;
        group.directory.until(again).await;
    }
    let beats = group.directory.set(|held| held.beats);
    group.directory.until(|held| held.beats >= beats + 2).await;
    // Once each, not in a loop.
    assert_eq!(
        group.directory.set(|held| held.starts.clone()),
        [true, false, false]
    );
    end(peer, &stop).await;
}

#[tokio::test]
async fn changed_observed_address_registers_again() {
    let group = Group::new();
    let (mut peer, stop) = group.start().await.unwrap();
    peer.first_scan_done().await.unwrap();
    group
        .directory
        .set(|held| held.observed = "127.0.0.1".to_owned());
    let beats = group.directory.set(|held| held.beats);
    group.directory.until(|held| held.beats >= beats + 2).await;
    assert_eq!(group.directory.set(|held| held.registered), 1);
    group
        .directory
        .set(|held| held.observed = "192.0.2.9".to_owned());
    group.directory.until(|held| held.registered >= 2).await;
    end(peer, &stop).await;
}

#[tokio::test]
async fn transient_peer_publishes_nothing() {
    let mut group = Group::new();
    group.transient = true;
    group.write("a", "one");
    // The directory has another generation for this id, which is no reason to publish.
    group.directory.set(|held| held.generation = 7);
    let (mut peer, stop) = group.start().await.unwrap();
    assert_eq!(peer.first_scan_done().await.unwrap(), 0);
    group
        .directory
        .until(|held| held.transient && held.beats >= 3)
        .await;
    let told = group.directory.set(|held| (held.changes, held.wholes));
    assert_eq!((told, peer.hashed()), ((0, 0), 0));
    end(peer, &stop).await;
}
