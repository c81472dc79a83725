//! A whole peer with an in-memory directory that fails on demand.

#![allow(clippy::unwrap_used)]

mod folders;
mod memory;
mod mounts;
mod registration;
mod skipping;
mod spaces;
mod watching;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use convite_core::{ContentHash, ErrorCode, Problem};
use convite_peer::run::start_with;
use convite_peer::{PeerConfig, RunningPeer};
use memory::{Authority, Held, Memory};
use tokio_util::sync::CancellationToken;

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
