//! The pieces that a resume keeps after interruptions at any point.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use convite_client::Home;
use convite_core::SearchScope;
use convite_core::verify::hash_piece;

use super::location::same_device;
use super::*;
use crate::download::disk_space::Headroom;

mod changed;

const PIECES: u32 = 6;

fn contents(len: usize) -> Vec<u8> {
    (0..len).map(|i| ((i * 31) >> 3) as u8).collect()
}

/// A file of [`PIECES`] pieces and the targets of its downloads.
struct Scene {
    folder: tempfile::TempDir,
    /// A folder on another file system than the home, if there is one.
    elsewhere: Option<tempfile::TempDir>,
    bytes: Vec<u8>,
    hashes: PieceHashes,
}

impl Scene {
    fn new() -> Self {
        let bytes = contents(5 * 65_536 + 100);
        let geometry = PieceGeometry::new(bytes.len() as u64).unwrap();
        let piece = |index| {
            let range = geometry.piece_range(index);
            let piece = &bytes[range.start as usize..range.end as usize];
            hash_piece(&geometry, index, piece)
        };
        let hashes = (0..PIECES).map(piece).collect();
        // Not the system's temporary folder, which may be in memory.
        let here = std::env::current_exe().unwrap();
        Self {
            folder: tempfile::tempdir_in(here.parent().unwrap()).unwrap(),
            elsewhere: tempfile::tempdir_in("/dev/shm").ok(),
            hashes: PieceHashes::fold(geometry, hashes).unwrap(),
            bytes,
        }
    }

    /// Returns a target on the file system of the home.
    fn near(&self) -> Target {
        Self::target(self.folder.path())
    }

    /// Returns a target on another file system. Prints a message and returns `None` if there is
    /// none.
    fn far(&self) -> Option<Target> {
        let far = self.elsewhere.as_ref().map(|folder| folder.path());
        let far = far.filter(|_| xtest::Need::SecondDisk.is_met())?;
        assert!(!same_device(far, self.folder.path()).unwrap());
        Some(Self::target(far))
    }

    fn target(folder: &Path) -> Target {
        Target {
            path: folder.join("out/file"),
            force: false,
        }
    }

    fn home(&self, name: &str) -> Home {
        Home::open(self.folder.path().join(name)).unwrap()
    }

    /// Returns the folder of the download's state in the home "home".
    fn state(&self) -> PathBuf {
        let name = format!("{}-{}", self.hashes.content(), self.bytes.len());
        self.home("home").downloads().join(name)
    }

    async fn open(&self, target: &Target) -> UnfinishedFile {
        UnfinishedFile::open(self.opening("home", target))
            .await
            .unwrap()
    }

    fn opening(&self, home: &str, target: &Target) -> Opening {
        Opening {
            home: self.home(home),
            hash: self.hashes.content(),
            geometry: self.hashes.geometry(),
            target: target.clone(),
            within: SearchScope::Visible,
            name: "file".to_owned(),
            retention: Duration::from_secs(60),
            headroom: Headroom::UseAll,
            stop: CancellationToken::new(),
            found: Arc::new(|_| {}),
        }
    }

    fn piece(&self, index: u32) -> (u64, &[u8]) {
        let range = self.hashes.geometry().piece_range(index);
        let bytes = &self.bytes[range.start as usize..range.end as usize];
        (range.start, bytes)
    }

    fn write(&self, partial: &UnfinishedFile, pieces: impl IntoIterator<Item = u32>) {
        for index in pieces {
            let (offset, bytes) = self.piece(index);
            partial
                .contents()
                .file()
                .write_all_at(bytes, offset)
                .unwrap();
        }
    }

    /// Writes pieces and a checkpoint.
    fn fetch(&self, partial: &UnfinishedFile, pieces: impl IntoIterator<Item = u32>) {
        let mut verified = partial.verified().clone();
        for index in pieces {
            self.write(partial, [index]);
            verified.insert(index);
        }
        partial.checkpoint(&verified)().unwrap();
    }

    /// Returns the pieces that a resume keeps, after checking that they are correct.
    fn trusted(&self, partial: &UnfinishedFile) -> Vec<u32> {
        let trusted: Vec<u32> = partial.verified().iter().collect();
        for index in &trusted {
            let (offset, bytes) = self.piece(*index);
            let mut there = vec![0; bytes.len()];
            let file = partial.contents().file();
            file.read_exact_at(&mut there, offset).unwrap();
            assert!(there == bytes, "piece {index} was kept and is wrong");
        }
        trusted
    }
}

#[tokio::test]
async fn killed_download_keeps_only_verified_pieces() {
    let scene = Scene::new();
    let partial = scene.open(&scene.near()).await;
    assert!(partial.verified().is_empty());
    partial.keep_hashes(&scene.hashes);
    scene.fetch(&partial, [0]);
    scene.write(&partial, [2, 3, 5]);
    let file = partial.contents().file();
    file.write_all_at(b"wrong", scene.piece(3).0).unwrap();
    drop(partial);

    let resumed = scene.open(&scene.near()).await;
    assert_eq!(scene.trusted(&resumed), [0, 2, 5]);
}

#[tokio::test]
async fn contents_on_another_disk_are_recognized() {
    for hashes_are_known in [true, false] {
        let scene = Scene::new();
        let Some(far) = scene.far() else { return };
        let partial = scene.open(&scene.near()).await;
        if hashes_are_known {
            partial.keep_hashes(&scene.hashes);
        }
        scene.fetch(&partial, [0]);
        drop(partial);
        let partial = scene.open(&far).await;
        scene.trusted(&partial);
        scene.fetch(&partial, [1, 2, 3]);
        drop(partial);

        let partial = scene.open(&scene.near()).await;
        scene.trusted(&partial);
    }
}

#[tokio::test]
async fn checkpoint_of_missing_contents_is_invalid() {
    let scene = Scene::new();
    let partial = scene.open(&scene.near()).await;
    scene.fetch(&partial, 0..PIECES);
    fs::remove_file(&partial.path).unwrap();
    drop(partial);

    for _ in 0..2 {
        let partial = scene.open(&scene.near()).await;
        assert!(scene.trusted(&partial).is_empty());
    }
}

#[tokio::test]
async fn wrong_size_keeps_pieces_of_the_right_size() {
    let scene = Scene::new();
    let Some(far) = scene.far() else { return };
    let partial = scene.open(&far).await;
    partial.keep_hashes(&scene.hashes);
    scene.fetch(&partial, 0..4);
    drop(partial);
    let geometry = PieceGeometry::new(1).unwrap();
    let wrong = UnfinishedFile::open(Opening {
        geometry,
        ..scene.opening("home", &far)
    })
    .await;
    drop(wrong.unwrap());

    let partial = scene.open(&far).await;
    assert_eq!(scene.trusted(&partial), [0, 1, 2, 3]);
}

#[tokio::test]
async fn two_homes_use_separate_contents() {
    use std::os::unix::fs::MetadataExt;
    let scene = Scene::new();
    let Some(far) = scene.far() else { return };
    let one = scene.open(&far).await;
    let other = UnfinishedFile::open(scene.opening("other", &far)).await;
    let inode = |partial: &UnfinishedFile| partial.contents().file().metadata().unwrap().ino();
    assert_ne!(inode(&one), inode(&other.unwrap()));
}

#[tokio::test]
async fn link_in_place_of_contents_is_not_followed() {
    let scene = Scene::new();
    for target in [Some(scene.near()), scene.far()].into_iter().flatten() {
        let victim = scene.folder.path().join("victim");
        fs::write(&victim, b"precious").unwrap();
        let partial = scene.open(&target).await;
        fs::remove_file(&partial.path).unwrap();
        std::os::unix::fs::symlink(&victim, &partial.path).unwrap();
        drop(partial);

        let partial = scene.open(&target).await;
        scene.write(&partial, [0]);
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }
}

#[tokio::test]
async fn record_cannot_point_to_foreign_files() {
    let scene = Scene::new();
    let victim = scene.folder.path().join("victim");
    drop(scene.open(&scene.near()).await);
    for noted in [victim.to_str().unwrap(), "lock", "../../../victim"] {
        fs::write(&victim, b"precious").unwrap();
        fs::write(scene.state().join("where"), noted).unwrap();
        let partial = scene.open(&scene.near()).await;
        scene.write(&partial, [0]);
        assert_eq!(fs::read(&victim).unwrap(), b"precious", "{noted}");
        assert_eq!(fs::read(scene.state().join("lock")).unwrap(), b"");
    }
}

#[tokio::test]
async fn contents_move_to_another_disk_and_back() {
    let scene = Scene::new();
    let Some(far) = scene.far() else { return };
    let partial = scene.open(&scene.near()).await;
    partial.keep_hashes(&scene.hashes);
    scene.fetch(&partial, [0, 4]);
    scene.write(&partial, [5]);
    let first = partial.path.clone();
    drop(partial);

    let partial = scene.open(&far).await;
    assert_eq!(scene.trusted(&partial), [0, 4, 5]);
    assert!(!first.exists(), "the old contents still exist");
    scene.fetch(&partial, [1]);
    let second = partial.path.clone();
    drop(partial);

    let partial = scene.open(&scene.near()).await;
    assert_eq!(scene.trusted(&partial), [0, 1, 4, 5]);
    assert!(!second.exists(), "the old contents still exist");
    scene.write(&partial, 0..PIECES);
    partial.put_in_place(&scene.near()).await.unwrap();
    assert!(fs::read(scene.near().path).unwrap() == scene.bytes);
    assert!(!scene.state().exists());
}

/// Copies a folder of regular files.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Moving to another file system writes `left`, then `where`, creates the contents, fills them,
/// removes the old ones, then removes `left`. The test interrupts it after each of these steps.
#[tokio::test]
async fn kill_during_a_move_loses_and_leaves_nothing() {
    for step in 0..6 {
        let scene = Scene::new();
        let Some(far) = scene.far() else { return };
        let partial = scene.open(&scene.near()).await;
        partial.keep_hashes(&scene.hashes);
        scene.fetch(&partial, [0, 4]);
        let old = partial.path.clone();
        drop(partial);
        let before = fs::read(scene.state().join("where")).unwrap();
        let copied = scene.folder.path().join("copied");
        copy(&scene.state(), &copied);
        let partial = scene.open(&far).await;
        let new = partial.path.clone();
        drop(partial);

        // The files that existed at that step.
        if step < 5 {
            fs::write(scene.state().join("left"), &before).unwrap();
        }
        if step < 4 {
            copy(&copied, &scene.state().join("again"));
            fs::rename(
                scene.state().join("again").join(old.file_name().unwrap()),
                &old,
            )
            .unwrap();
            fs::remove_dir_all(scene.state().join("again")).unwrap();
        }
        if step < 3 {
            File::options()
                .write(true)
                .open(&new)
                .unwrap()
                .set_len(0)
                .unwrap();
        }
        if step < 2 {
            fs::remove_file(&new).unwrap();
        }
        if step < 1 {
            fs::write(scene.state().join("where"), &before).unwrap();
        }

        let partial = scene.open(&far).await;
        let there = scene.trusted(&partial);
        assert_eq!(there, [0, 4], "after step {step}");
        assert!(!old.exists(), "after step {step}");
        scene.write(&partial, 0..PIECES);
        partial.put_in_place(&far).await.unwrap();
        assert!(!scene.state().exists());
        let left = fs::read_dir(far.folder()).unwrap().count();
        assert_eq!(
            left, 1,
            "files were left beside the target after step {step}"
        );
    }
}

#[tokio::test]
async fn kill_during_cleanup_is_harmless() {
    for kept in ["where", "pieces", "hashes", "lock"] {
        let scene = Scene::new();
        for target in [Some(scene.near()), scene.far()].into_iter().flatten() {
            let partial = scene.open(&target).await;
            partial.keep_hashes(&scene.hashes);
            scene.fetch(&partial, 0..PIECES);
            let saved = fs::read(scene.state().join(kept)).unwrap();
            partial.put_in_place(&target).await.unwrap();
            fs::create_dir(scene.state()).unwrap();
            fs::write(scene.state().join(kept), saved).unwrap();
            fs::remove_file(&target.path).unwrap();

            for _ in 0..2 {
                let partial = scene.open(&target).await;
                assert!(scene.trusted(&partial).is_empty(), "{kept}");
            }
            fs::remove_dir_all(scene.state()).unwrap();
        }
    }
}

#[tokio::test]
async fn checkpoint_of_replaced_or_truncated_contents_is_invalid() {
    for cut in [true, false] {
        let scene = Scene::new();
        let partial = scene.open(&scene.near()).await;
        scene.fetch(&partial, 0..PIECES);
        let path = partial.path.clone();
        drop(partial);
        if cut {
            File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(70_000)
                .unwrap();
        } else {
            fs::write(path.with_extension("new"), vec![0; scene.bytes.len()]).unwrap();
            fs::rename(path.with_extension("new"), &path).unwrap();
        }
        let partial = scene.open(&scene.near()).await;
        assert!(scene.trusted(&partial).is_empty());
    }
}

#[tokio::test]
async fn contents_used_by_a_copied_home_are_kept() {
    let scene = Scene::new();
    let Some(far) = scene.far() else { return };
    let partial = scene.open(&far).await;
    let state = scene.state();
    let name = state.file_name().unwrap();
    copy(&state, &scene.home("copy").downloads().join(name));
    let other = UnfinishedFile::open(scene.opening("copy", &far)).await;
    assert_eq!(other.err().unwrap().code, ErrorCode::InUse);
    drop(partial);
}

#[tokio::test]
async fn same_download_runs_in_one_process() {
    let scene = Scene::new();
    let first = scene.open(&scene.near()).await;
    let second = UnfinishedFile::open(scene.opening("home", &scene.near())).await;
    assert_eq!(second.err().unwrap().code, ErrorCode::InUse);
    drop(first);
    scene.open(&scene.near()).await;
}

#[tokio::test]
async fn file_larger_than_the_disk_is_refused() {
    let scene = Scene::new();
    for target in [Some(scene.near()), scene.far()].into_iter().flatten() {
        let geometry = PieceGeometry::new(1 << 43).unwrap();
        let opened = UnfinishedFile::open(Opening {
            hash: ContentHash::of(b"x"),
            geometry,
            ..scene.opening("home", &target)
        })
        .await;
        assert_eq!(opened.err().unwrap().code, ErrorCode::NoSpace);
        let left = fs::read_dir(target.folder()).unwrap().count();
        assert_eq!(left, 0, "files were left by a download that did not begin");
    }
}
/// A file system that is mounted twice, in a mount namespace of this test.
#[tokio::test]
async fn download_into_a_bind_mount_works() {
    const BOUND: &str = "CONVITE_TEST_BOUND";
    let scene = Scene::new();
    let Some(bound) = std::env::var_os(BOUND) else {
        if !xtest::Need::Mount.is_met() {
            return;
        }
        // Runs this test again in a child process, with its folder also mounted at another path.
        let (from, to) = (scene.folder.path().join("a"), scene.folder.path().join("b"));
        fs::create_dir_all(&from).unwrap();
        fs::create_dir_all(&to).unwrap();
        let name = "download::partial::tests::download_into_a_bind_mount_works";
        let script =
            "mount --bind \"$1\" \"$2\" || exit 99; exec \"$3\" --exact \"$4\" --nocapture";
        let ran = std::process::Command::new("unshare")
            .args(["-m", "sh", "-c", script, "sh"])
            .args([&from, &to, &std::env::current_exe().unwrap()])
            .arg(name)
            .env(BOUND, &to)
            .output();
        match ran {
            Ok(ran) if ran.status.success() => {
                let said = String::from_utf8_lossy(&ran.stdout).into_owned();
                assert!(said.contains("1 passed"), "{said}");
            }
            Ok(ran) if ran.status.code() == Some(101) => {
                panic!("{}", String::from_utf8_lossy(&ran.stderr))
            }
            refused => panic!("cannot mount a folder twice: {refused:?}"),
        }
        return;
    };
    let target = Target {
        path: Path::new(&bound).join("out/file"),
        force: false,
    };
    fs::create_dir_all(target.folder()).unwrap();
    assert!(same_device(target.folder(), scene.folder.path()).unwrap());
    let partial = scene.open(&target).await;
    assert!(
        partial.path.starts_with(target.folder()),
        "the file would have to be copied"
    );
    partial.keep_hashes(&scene.hashes);
    scene.fetch(&partial, [0]);
    drop(partial);
    // To a target that renaming does not reach from there: the contents are moved.
    let partial = scene.open(&scene.near()).await;
    assert_eq!(scene.trusted(&partial), [0]);
    scene.write(&partial, 0..PIECES);
    // What the file system does not report beforehand is detected at the end.
    partial.put_in_place(&target).await.unwrap();
    assert!(fs::read(&target.path).unwrap() == scene.bytes);
    let left = fs::read_dir(target.folder()).unwrap().count();
    assert_eq!(left, 1, "files were left beside the target");
}
