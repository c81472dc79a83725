//! Downloads that are paused, resumed and given up, from a real peer.

use std::time::Duration;

use convite_client::{Credentials, DirectoryClient, Home};
use convite_core::model::{LocatedFile, Provider};
use convite_core::{ContentHash, Within};
use convite_peer::download::{DownloadHandle, Fetch, Progress, Target, begin};
use convite_peer::serve::uploads::UploadLimits;
use tempfile::TempDir;

use super::PATIENCE;
use super::peer::{Peer, contents};

const SIZE: usize = 12 << 20;
/// Slow enough to be paused in between.
const RATE: u64 = 4 << 20;
/// Paused once so much is there.
const SOME: u64 = 1 << 20;

struct Scene {
    peer: Peer,
    bytes: Vec<u8>,
    hash: ContentHash,
    folder: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let peer = Peer::limited(UploadLimits {
            in_all: Some(RATE),
            ..UploadLimits::default()
        })
        .await;
        let bytes = contents(SIZE);
        let hash = peer.write("film.mkv", &bytes);
        peer.scan().await;
        Self {
            peer,
            bytes,
            hash,
            folder: TempDir::new().unwrap(),
        }
    }

    /// What to fetch, into the machine `name`.
    fn wanted(&self, name: &str) -> Fetch {
        let credentials = Credentials {
            addresses: vec!["127.0.0.1:1".parse().unwrap()],
            authority: None,
            user: None,
            token: None,
            peer: None,
        };
        Fetch {
            home: Home::open(self.folder.path().join(name).join("home")).unwrap(),
            directory: DirectoryClient::new(&credentials).unwrap(),
            authority: None,
            within: Within::Seen,
            file: LocatedFile {
                hash: self.hash,
                size: SIZE as u64,
                names: vec!["film.mkv".to_owned()],
                providers: vec![Provider {
                    peer: "peer_1".parse().unwrap(),
                    addresses: vec![self.peer.address.clone()],
                    size: SIZE as u64,
                    ticket: self.peer.ticket(self.hash),
                    partial: false,
                }],
            },
            target: Target {
                path: self.folder.path().join(name).join("fetched"),
                force: false,
            },
            locality: true,
            download_limit: None,
            member: None,
        }
    }

    fn is_whole(&self, name: &str) -> bool {
        std::fs::read(self.folder.path().join(name).join("fetched")).unwrap() == self.bytes
    }

    fn served(&self) -> u64 {
        self.peer.state.uploads.bytes_served()
    }

    /// Waits until the peer sends nothing to anybody.
    async fn is_free(&self) {
        let free = async {
            while !self.peer.state.status().uploads.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, free)
            .await
            .expect("the provider is still held");
    }
}

async fn reaches(handle: &DownloadHandle, what: impl Fn(&Progress) -> bool) -> Progress {
    let mut progress = handle.progress();
    let reached = progress.wait_for(|now| what(now));
    let reached = tokio::time::timeout(PATIENCE, reached).await;
    reached.expect("never got there").unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_download_asks_for_nothing_and_resumes_without_fetching_anything_twice() {
    let scene = Scene::new().await;
    let (handle, download) = begin(scene.wanted("ana"));
    let download = tokio::spawn(download);
    reaches(&handle, |now| now.verified >= SOME).await;
    handle.pause();
    assert!(handle.is_paused());
    reaches(&handle, |now| now.paused).await;
    scene.is_free().await;
    let before = scene.served();

    // The provider has all its rate for somebody else, who fetches the whole file meanwhile.
    let (_other, whole) = begin(scene.wanted("ben"));
    tokio::time::timeout(PATIENCE, whole)
        .await
        .expect("the other did not end")
        .unwrap()
        .unwrap();
    scene.is_free().await;
    assert!(scene.is_whole("ben"));
    assert_eq!(scene.served() - before, SIZE as u64, "somebody else asked");
    assert!(!download.is_finished());
    let paused = handle.progress().borrow().clone();
    assert!(paused.verified < SIZE as u64);

    let before = scene.served();
    handle.resume();
    let fetched = tokio::time::timeout(PATIENCE, download).await;
    let fetched = fetched.expect("did not go on").unwrap().unwrap().unwrap();
    assert!(!fetched.was_there);
    assert!(scene.is_whole("ana"));
    assert_eq!(scene.served() - before, SIZE as u64 - paused.verified);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_is_given_up_while_paused_is_kept_for_later() {
    let scene = Scene::new().await;
    let (handle, download) = begin(scene.wanted("ana"));
    let download = tokio::spawn(download);
    reaches(&handle, |now| now.verified >= SOME).await;
    handle.pause();
    let kept = reaches(&handle, |now| now.paused).await;
    handle.cancel();
    let ended = tokio::time::timeout(PATIENCE, download).await;
    assert!(ended.expect("did not end").unwrap().unwrap().is_none());
    assert!(!scene.folder.path().join("ana/fetched").exists());

    scene.is_free().await;
    let before = scene.served();
    let (handle, download) = begin(scene.wanted("ana"));
    let fetched = tokio::time::timeout(PATIENCE, download).await;
    fetched.expect("did not end").unwrap().unwrap();
    let resumed = handle.progress().borrow().resumed;
    assert!(resumed >= kept.verified && resumed < SIZE as u64);
    assert!(scene.is_whole("ana"));
    assert_eq!(scene.served() - before, SIZE as u64 - resumed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_whose_handles_are_gone_is_paused_no_more() {
    let scene = Scene::new().await;
    let (handle, download) = begin(scene.wanted("ana"));
    handle.pause();
    let mut progress = handle.progress();
    let download = tokio::spawn(download);
    progress.wait_for(|now| now.paused).await.unwrap();
    assert_eq!(scene.served(), 0);
    drop(handle);
    let ended = tokio::time::timeout(PATIENCE + Duration::from_secs(1), download).await;
    assert!(ended.expect("stands still").unwrap().unwrap().is_some());
}
