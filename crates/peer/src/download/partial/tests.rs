//! What a resume trusts, after interruptions at any point.

use std::os::unix::fs::FileExt;

use convite_core::verify::hash_piece;

use super::whereabouts::same_device;
use super::*;

const PIECES: u32 = 6;

fn contents(len: usize) -> Vec<u8> {
    (0..len).map(|i| ((i * 31) >> 3) as u8).collect()
}

/// A file of [`PIECES`] pieces, and where it is fetched to.
struct Scene {
    folder: tempfile::TempDir,
    /// A folder on another file system than the home.
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
        // Not in the system's folder for temporary files, which may be in memory.
        let here = std::env::current_exe().unwrap();
        Self {
            folder: tempfile::tempdir_in(here.parent().unwrap()).unwrap(),
            elsewhere: tempfile::tempdir_in("/dev/shm").ok(),
            hashes: PieceHashes::fold(geometry, hashes).unwrap(),
            bytes,
        }
    }

    /// A target on the file system of the home.
    fn near(&self) -> Target {
        Self::target(self.folder.path())
    }

    /// A target on another one; none, loudly, on a machine without.
    fn far(&self) -> Option<Target> {
        let far = self.elsewhere.as_ref().map(|folder| folder.path());
        let far = far.filter(|far| !same_device(far, self.folder.path()).unwrap());
        if far.is_none() {
            eprintln!("*** SKIPPED: there is no second file system");
        }
        far.map(Self::target)
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

    /// The state of the download in the home "home".
    fn state(&self) -> PathBuf {
        let name = format!("{}-{}", self.hashes.content(), self.bytes.len());
        self.home("home").downloads().join(name)
    }

    async fn open(&self, target: &Target) -> Partial {
        let (hash, geometry) = (self.hashes.content(), self.hashes.geometry());
        Partial::open(&self.home("home"), hash, geometry, target, &Within::Seen)
            .await
            .unwrap()
    }

    fn piece(&self, index: u32) -> (u64, &[u8]) {
        let range = self.hashes.geometry().piece_range(index);
        let bytes = &self.bytes[range.start as usize..range.end as usize];
        (range.start, bytes)
    }

    fn write(&self, partial: &Partial, pieces: impl IntoIterator<Item = u32>) {
        for index in pieces {
            let (offset, bytes) = self.piece(index);
            partial
                .contents()
                .file()
                .write_all_at(bytes, offset)
                .unwrap();
        }
    }

    /// Writes pieces, and notes them.
    fn fetch(&self, partial: &Partial, pieces: impl IntoIterator<Item = u32>) {
        let mut verified = partial.verified().clone();
        for index in pieces {
            self.write(partial, [index]);
            verified.insert(index);
        }
        partial.checkpoint(&verified)().unwrap();
    }

    /// What is trusted, none of which may be wrong.
    fn trusted(&self, partial: &Partial) -> Vec<u32> {
        let trusted: Vec<u32> = partial.verified().iter().collect();
        for index in &trusted {
            let (offset, bytes) = self.piece(*index);
            let mut there = vec![0; bytes.len()];
            let file = partial.contents().file();
            file.read_exact_at(&mut there, offset).unwrap();
            assert!(there == bytes, "piece {index} is trusted and wrong");
        }
        trusted
    }
}

#[tokio::test]
async fn a_killed_download_keeps_what_is_right_and_nothing_else() {
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
async fn what_was_fetched_onto_another_disk_is_not_taken_for_being_on_this_one() {
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
async fn notes_without_their_contents_are_not_trusted_for_new_ones() {
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
async fn a_false_size_leaves_what_was_fetched_of_the_true_one() {
    let scene = Scene::new();
    let Some(far) = scene.far() else { return };
    let partial = scene.open(&far).await;
    partial.keep_hashes(&scene.hashes);
    scene.fetch(&partial, 0..4);
    drop(partial);
    let geometry = PieceGeometry::new(1).unwrap();
    let home = scene.home("home");
    let wrong = Partial::open(&home, scene.hashes.content(), geometry, &far, &Within::Seen).await;
    drop(wrong.unwrap());

    let partial = scene.open(&far).await;
    assert_eq!(scene.trusted(&partial), [0, 1, 2, 3]);
}

#[tokio::test]
async fn two_homes_never_write_the_same_contents() {
    use std::os::unix::fs::MetadataExt;
    let scene = Scene::new();
    let Some(far) = scene.far() else { return };
    let one = scene.open(&far).await;
    let (hash, geometry) = (scene.hashes.content(), scene.hashes.geometry());
    let other = Partial::open(&scene.home("other"), hash, geometry, &far, &Within::Seen).await;
    let inode = |partial: &Partial| partial.contents().file().metadata().unwrap().ino();
    assert_ne!(inode(&one), inode(&other.unwrap()));
}

#[tokio::test]
async fn a_link_where_the_contents_were_is_not_written_through() {
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
async fn a_note_leads_to_no_file_that_is_not_of_the_download() {
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
async fn what_was_fetched_moves_to_another_disk_and_back() {
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
    assert!(!first.exists(), "the old contents take up room");
    scene.fetch(&partial, [1]);
    let second = partial.path.clone();
    drop(partial);

    let partial = scene.open(&scene.near()).await;
    assert_eq!(scene.trusted(&partial), [0, 1, 4, 5]);
    assert!(!second.exists(), "the old contents take up room");
    scene.write(&partial, 0..PIECES);
    let path = partial.put_in_place(&scene.near()).await.unwrap();
    assert!(fs::read(path).unwrap() == scene.bytes);
    assert!(!scene.state().exists());
}

/// Copies a folder of plain files.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A move to another disk writes `left`, then `where`, then makes the contents, fills them, removes
/// the old ones, then `left`. It is cut off after each of these.
#[tokio::test]
async fn a_kill_at_any_step_of_a_move_loses_nothing_and_leaves_nothing() {
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

        // What was there at that step.
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
            "something is left beside the file after step {step}"
        );
    }
}

#[tokio::test]
async fn a_kill_while_the_state_of_a_finished_download_is_removed_does_no_harm() {
    for kept in ["where", "pieces", "hashes", "lock"] {
        let scene = Scene::new();
        for target in [Some(scene.near()), scene.far()].into_iter().flatten() {
            let partial = scene.open(&target).await;
            partial.keep_hashes(&scene.hashes);
            scene.fetch(&partial, 0..PIECES);
            let saved = fs::read(scene.state().join(kept)).unwrap();
            let path = partial.put_in_place(&target).await.unwrap();
            fs::create_dir(scene.state()).unwrap();
            fs::write(scene.state().join(kept), saved).unwrap();
            fs::remove_file(path).unwrap();

            for _ in 0..2 {
                let partial = scene.open(&target).await;
                assert!(scene.trusted(&partial).is_empty(), "{kept}");
            }
            fs::remove_dir_all(scene.state()).unwrap();
        }
    }
}

#[tokio::test]
async fn notes_of_contents_that_were_replaced_or_cut_are_not_trusted() {
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
async fn contents_that_a_copy_of_the_home_works_on_are_left_alone() {
    let scene = Scene::new();
    let Some(far) = scene.far() else { return };
    let partial = scene.open(&far).await;
    let state = scene.state();
    let name = state.file_name().unwrap();
    copy(&state, &scene.home("copy").downloads().join(name));
    let (hash, geometry) = (scene.hashes.content(), scene.hashes.geometry());
    let other = Partial::open(&scene.home("copy"), hash, geometry, &far, &Within::Seen).await;
    assert_eq!(other.err().unwrap().code, ErrorCode::InUse);
    drop(partial);
}

#[tokio::test]
async fn two_processes_cannot_fetch_the_same_file_at_once() {
    let scene = Scene::new();
    let first = scene.open(&scene.near()).await;
    let (hash, geometry) = (scene.hashes.content(), scene.hashes.geometry());
    let second = Partial::open(
        &scene.home("home"),
        hash,
        geometry,
        &scene.near(),
        &Within::Seen,
    )
    .await;
    assert_eq!(second.err().unwrap().code, ErrorCode::InUse);
    drop(first);
    scene.open(&scene.near()).await;
}

#[tokio::test]
async fn a_file_larger_than_the_disk_is_refused_before_it_begins() {
    let scene = Scene::new();
    for target in [Some(scene.near()), scene.far()].into_iter().flatten() {
        let geometry = PieceGeometry::new(1 << 43).unwrap();
        let home = scene.home("home");
        let opened = Partial::open(
            &home,
            ContentHash::of(b"x"),
            geometry,
            &target,
            &Within::Seen,
        )
        .await;
        assert_eq!(opened.err().unwrap().code, ErrorCode::NoSpace);
        let left = fs::read_dir(target.folder()).unwrap().count();
        assert_eq!(left, 0, "something is left of what never began");
    }
}
/// One file system that is mounted twice, in a mount namespace of this test's own.
#[tokio::test]
async fn a_folder_that_is_mounted_twice_is_downloaded_into() {
    const BOUND: &str = "CONVITE_TEST_BOUND";
    let scene = Scene::new();
    let Some(bound) = std::env::var_os(BOUND) else {
        // The same test again, with its folder also at another place.
        let (from, to) = (scene.folder.path().join("a"), scene.folder.path().join("b"));
        fs::create_dir_all(&from).unwrap();
        fs::create_dir_all(&to).unwrap();
        let name = "download::partial::tests::a_folder_that_is_mounted_twice_is_downloaded_into";
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
            refused => eprintln!("*** SKIPPED: nothing can be mounted here: {refused:?}"),
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
        "it would have to be copied"
    );
    partial.keep_hashes(&scene.hashes);
    scene.fetch(&partial, [0]);
    drop(partial);
    // To where it cannot be renamed from there: it is carried over.
    let partial = scene.open(&scene.near()).await;
    assert_eq!(scene.trusted(&partial), [0]);
    scene.write(&partial, 0..PIECES);
    // What the file system does not tell before is found out at the end.
    let path = partial.put_in_place(&target).await.unwrap();
    assert!(fs::read(path).unwrap() == scene.bytes);
    let left = fs::read_dir(target.folder()).unwrap().count();
    assert_eq!(left, 1, "something is left beside the file");
}
