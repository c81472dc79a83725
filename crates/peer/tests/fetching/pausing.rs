//! Downloads from a real peer that are paused, resumed and cancelled.

use std::time::Duration;

use convite_client::{Credentials, DirectoryClient, Home};
use convite_core::model::{LocatedFile, Provider};
use convite_core::{ContentHash, EntryKind, SearchScope};
use convite_peer::download::{
    DownloadHandle, DownloadProgress, DownloadRequest, Storage, Target, download_with_handle,
};
use convite_peer::serve::download::uploads::UploadLimits;
use tempfile::TempDir;

use super::PATIENCE;
use super::peer::{Peer, contents};

const SIZE: usize = 12 << 20;
/// Slow enough for a pause during the download.
const RATE: u64 = 4 << 20;
/// The number of verified bytes after which the tests pause.
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
            total: Some(RATE),
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

    /// Returns the parameters of a download on the machine `name`.
    fn wanted(&self, name: &str) -> DownloadRequest {
        let credentials = Credentials {
            addresses: vec!["127.0.0.1:1".parse().unwrap()],
            authority: None,
            user: None,
            token: None,
            peer: None,
        };
        DownloadRequest {
            home: Home::open(self.folder.path().join(name).join("home")).unwrap(),
            directory: DirectoryClient::new(&credentials).unwrap(),
            authority: None,
            within: SearchScope::Visible,
            file: LocatedFile {
                hash: self.hash,
                kind: EntryKind::File,
                files: None,
                size: SIZE as u64,
                names: vec!["film.mkv".to_owned()],
                providers: vec![Provider {
                    peer: "peer_1".parse().unwrap(),
                    addresses: vec![self.peer.address.clone()],
                    size: SIZE as u64,
                    ticket: self.peer.ticket(),
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
            storage: Storage::default(),
        }
    }

    fn is_whole(&self, name: &str) -> bool {
        std::fs::read(self.folder.path().join(name).join("fetched")).unwrap() == self.bytes
    }

    fn served(&self) -> u64 {
        self.peer.state.uploads.bytes_served()
    }

    /// Waits until the peer sends nothing.
    async fn is_free(&self) {
        let free = async {
            while !self.peer.state.status().uploads.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, free)
            .await
            .expect("the provider is still sending");
    }
}

async fn reaches(
    handle: &DownloadHandle,
    what: impl Fn(&DownloadProgress) -> bool,
) -> DownloadProgress {
    let mut progress = handle.progress();
    let reached = progress.wait_for(|now| what(now));
    let reached = tokio::time::timeout(PATIENCE, reached).await;
    reached
        .expect("the expected progress was not reached")
        .unwrap()
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_download_requests_nothing_and_resumes() {
    let scene = Scene::new().await;
    let (handle, download) = download_with_handle(scene.wanted("ana"));
    let download = tokio::spawn(download);
    reaches(&handle, |now| now.verified >= SOME).await;
    handle.pause();
    assert!(handle.is_paused());
    reaches(&handle, |now| now.paused).await;
    scene.is_free().await;
    let before = scene.served();

    // Another downloader gets the provider's whole rate and downloads the whole file meanwhile.
    let (_other, whole) = download_with_handle(scene.wanted("ben"));
    tokio::time::timeout(PATIENCE, whole)
        .await
        .expect("the other download did not end")
        .unwrap()
        .unwrap();
    scene.is_free().await;
    assert!(scene.is_whole("ben"));
    assert_eq!(
        scene.served() - before,
        SIZE as u64,
        "another download used the provider"
    );
    assert!(!download.is_finished());
    let paused = handle.progress().borrow().clone();
    assert!(paused.verified < SIZE as u64);

    let before = scene.served();
    handle.resume();
    let fetched = tokio::time::timeout(PATIENCE, download).await;
    let fetched = fetched
        .expect("the download did not continue")
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(!fetched.was_there);
    assert!(scene.is_whole("ana"));
    assert_eq!(scene.served() - before, SIZE as u64 - paused.verified);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_paused_download_is_kept() {
    let scene = Scene::new().await;
    let (handle, download) = download_with_handle(scene.wanted("ana"));
    let download = tokio::spawn(download);
    reaches(&handle, |now| now.verified >= SOME).await;
    handle.pause();
    let kept = reaches(&handle, |now| now.paused).await;
    handle.cancel();
    let ended = tokio::time::timeout(PATIENCE, download).await;
    assert!(
        ended
            .expect("the download did not end")
            .unwrap()
            .unwrap()
            .is_none()
    );
    assert!(!scene.folder.path().join("ana/fetched").exists());

    scene.is_free().await;
    let before = scene.served();
    let (handle, download) = download_with_handle(scene.wanted("ana"));
    let fetched = tokio::time::timeout(PATIENCE, download).await;
    fetched.expect("the download did not end").unwrap().unwrap();
    let resumed = handle.progress().borrow().resumed;
    assert!(resumed >= kept.verified && resumed < SIZE as u64);
    assert!(scene.is_whole("ana"));
    assert_eq!(scene.served() - before, SIZE as u64 - resumed);
}

#[tokio::test(flavor = "multi_thread")]
async fn download_without_handles_resumes() {
    let scene = Scene::new().await;
    let (handle, download) = download_with_handle(scene.wanted("ana"));
    handle.pause();
    let mut progress = handle.progress();
    let download = tokio::spawn(download);
    progress.wait_for(|now| now.paused).await.unwrap();
    assert_eq!(scene.served(), 0);
    drop(handle);
    let ended = tokio::time::timeout(PATIENCE + Duration::from_secs(1), download).await;
    assert!(
        ended
            .expect("the download is still paused")
            .unwrap()
            .unwrap()
            .is_some()
    );
}
