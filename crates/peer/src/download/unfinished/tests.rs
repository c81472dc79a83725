use std::sync::Arc;

use convite_core::SearchScope;

use super::*;
use crate::download::disk_space::Headroom;
use crate::download::partial::{Opening, UnfinishedFile};

const SIZE: u64 = 300_000;

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        // Not the system's temporary folder, which may be in memory.
        let here = std::env::current_exe().unwrap();
        Self {
            folder: tempfile::tempdir_in(here.parent().unwrap()).unwrap(),
        }
    }

    fn home(&self) -> Home {
        Home::open(self.folder.path().join("home")).unwrap()
    }

    /// Begins a download, downloads its first piece and stops.
    async fn leave(&self, contents: &[u8], target: &Path) {
        let partial = self.begin(contents, target).await;
        let mut verified = partial.verified().clone();
        verified.insert(0);
        partial.final_checkpoint(&verified)().unwrap();
    }

    async fn begin(&self, contents: &[u8], target: &Path) -> UnfinishedFile {
        let opening = Opening {
            home: self.home(),
            hash: ContentHash::of(contents),
            geometry: PieceGeometry::new(SIZE).unwrap(),
            target: Target {
                path: target.to_owned(),
                force: false,
            },
            within: SearchScope::Visible,
            name: "film.mkv".to_owned(),
            retention: Duration::from_secs(60),
            headroom: Headroom::UseAll,
            stop: CancellationToken::new(),
            found: Arc::new(|_| {}),
        };
        UnfinishedFile::open(opening).await.unwrap()
    }

    fn targets(&self) -> Vec<PathBuf> {
        let elsewhere = Path::new("/dev/shm").is_dir();
        let elsewhere = elsewhere.then(|| {
            let name = self.folder.path().file_name().unwrap();
            Path::new("/dev/shm").join(name)
        });
        let folders = [Some(self.folder.path().join("out")), elsewhere];
        folders.into_iter().flatten().collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for target in self.targets() {
            let _ = fs::remove_dir_all(target);
        }
    }
}

#[tokio::test]
async fn unfinished_download_describes_itself() {
    let scene = Scene::new();
    let target = scene.folder.path().join("out/my film.mkv");
    assert!(list(&scene.home()).is_empty());
    let running = scene.begin(b"a", &target).await;
    assert!(list(&scene.home())[0].is_running);
    drop(running);
    scene.leave(b"a", &target).await;
    let [download] = list(&scene.home()).try_into().unwrap();
    assert_eq!(download.hash, ContentHash::of(b"a"));
    assert_eq!((download.size, download.verified), (SIZE, 65_536));
    assert_eq!(
        (download.name.as_str(), &download.target),
        ("film.mkv", &target)
    );
    assert!(!download.is_running && download.contents_path.exists());
    assert_eq!(
        download.expires,
        download.last_progress + Duration::from_secs(60)
    );
    let command = format!("convite get {} -o '{}'", download.hash, target.display());
    assert_eq!(download.resume_command(), Some(command.clone()));
    let said = download.describe();
    assert!(
        said.starts_with("64.0 KiB of 293.0 KiB are kept in /"),
        "{said}"
    );
    assert!(said.contains(&command), "{said}");

    assert!(drop_unfinished(&scene.home(), "none").is_err());
    drop_unfinished(&scene.home(), &download.id).unwrap();
    assert!(list(&scene.home()).is_empty() && !download.contents_path.exists());
}

#[tokio::test]
async fn unfinished_download_expires() {
    let scene = Scene::new();
    for folder in scene.targets() {
        let target = folder.join("film.mkv");
        scene.leave(b"a", &target).await;
        let running = scene.begin(b"b", &target).await;
        let now = SystemTime::now();
        sweep(&scene.home(), now + Duration::from_secs(30));
        assert_eq!(list(&scene.home()).len(), 2);
        sweep(&scene.home(), now + Duration::from_secs(3600));
        let left = list(&scene.home());
        assert_eq!(left.len(), 1, "a running download has expired");
        assert_eq!(left[0].hash, ContentHash::of(b"b"));
        drop(running);
        sweep(&scene.home(), now + Duration::from_secs(3600));
        assert_eq!(fs::read_dir(scene.home().downloads()).unwrap().count(), 0);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn unfinished_download_is_removed_with_its_target() {
    let scene = Scene::new();
    let now = SystemTime::now();
    for (place, folder) in scene.targets().into_iter().enumerate() {
        let target = folder.join("film.mkv");
        scene.leave(b"a", &target).await;
        sweep(&scene.home(), now);
        assert_eq!(list(&scene.home()).len(), 1);
        fs::remove_dir_all(&folder).unwrap();
        sweep(&scene.home(), now);
        // The hidden file was beside the second target and may return with its disk.
        assert_eq!(list(&scene.home()).len(), place);
        fs::create_dir_all(&folder).unwrap();
        sweep(&scene.home(), now);
        assert!(list(&scene.home()).is_empty());
    }
}

#[tokio::test]
async fn completed_download_leaves_no_state() {
    let scene = Scene::new();
    let target = scene.folder.path().join("out/film.mkv");
    scene.leave(b"a", &target).await;
    scene.leave(b"b", &target.with_file_name("other")).await;
    remove_completed(&scene.home(), &ContentHash::of(b"a"), &target);
    remove_completed(&scene.home(), &ContentHash::of(b"b"), &target);
    let left = list(&scene.home());
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].hash, ContentHash::of(b"b"));
}
