//! Contents that another program changes between two runs.

use super::*;

/// Overwrites 4 KiB in the middle of a piece.
fn overwrite(path: &Path, scene: &Scene, piece: u32) {
    let file = File::options().write(true).open(path).unwrap();
    let at = scene.piece(piece).0 + 1234;
    file.write_all_at(&[0xaa; 4096], at).unwrap();
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

fn set_modified(path: &Path, time: SystemTime) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}

/// Returns whether change times are reliable on the file system of the contents.
fn is_valid(scene: &Scene, partial: &UnfinishedFile) -> bool {
    let noted = fs::read(scene.state().join("pieces")).unwrap();
    let is_stamped = !noted.windows(3).any(|bytes| bytes == b"\n-\n");
    assert_eq!(
        is_stamped,
        fallbacks::keeps_change_times(partial.contents().file())
    );
    is_stamped
}

#[tokio::test]
async fn overwritten_piece_invalidates_the_checkpoint() {
    for hashes_are_known in [true, false] {
        for time_is_restored in [true, false] {
            let scene = Scene::new();
            let partial = scene.open(&scene.near()).await;
            if hashes_are_known {
                partial.keep_hashes(&scene.hashes);
            }
            scene.fetch(&partial, 0..4);
            let mut verified = partial.verified().clone();
            for piece in 0..4 {
                verified.insert(piece);
            }
            partial.final_checkpoint(&verified)().unwrap();
            let path = partial.path.clone();
            drop(partial);

            let before = modified(&path);
            overwrite(&path, &scene, 2);
            if time_is_restored {
                set_modified(&path, before);
                assert_eq!(modified(&path), before);
            }
            let partial = scene.open(&scene.near()).await;
            let kept: &[u32] = if hashes_are_known { &[0, 1, 3] } else { &[] };
            assert_eq!(scene.trusted(&partial), kept);
        }
    }
}

#[tokio::test]
async fn unchanged_contents_are_not_hashed_again() {
    let scene = Scene::new();
    let partial = scene.open(&scene.near()).await;
    let mut verified = partial.verified().clone();
    for piece in 0..4 {
        scene.write(&partial, [piece]);
        verified.insert(piece);
    }
    partial.final_checkpoint(&verified)().unwrap();
    if !is_valid(&scene, &partial) {
        return;
    }
    drop(partial);
    // Twice: the second run follows a run without progress.
    for _ in 0..2 {
        let partial = scene.open(&scene.near()).await;
        assert_eq!(scene.trusted(&partial), [0, 1, 2, 3]);
    }
}

#[tokio::test]
async fn write_after_the_checkpoint_rehashes_everything() {
    let scene = Scene::new();
    let partial = scene.open(&scene.near()).await;
    partial.keep_hashes(&scene.hashes);
    scene.fetch(&partial, [0, 1]);
    scene.write(&partial, [4]);
    overwrite(&partial.path, &scene, 1);
    drop(partial);

    let partial = scene.open(&scene.near()).await;
    assert_eq!(scene.trusted(&partial), [0, 4]);
}

#[tokio::test]
async fn wrong_pieces_are_not_copied_to_another_disk() {
    let scene = Scene::new();
    let Some(far) = scene.far() else { return };
    let partial = scene.open(&scene.near()).await;
    partial.keep_hashes(&scene.hashes);
    scene.fetch(&partial, 0..4);
    let path = partial.path.clone();
    let before = modified(&path);
    drop(partial);
    overwrite(&path, &scene, 2);
    set_modified(&path, before);

    let partial = scene.open(&far).await;
    assert_eq!(scene.trusted(&partial), [0, 1, 3]);
}

#[tokio::test]
async fn same_file_from_another_process_is_accepted() {
    let scene = Scene::new();
    for target in [Some(scene.near()), scene.far()].into_iter().flatten() {
        for same in [true, false] {
            let partial = scene.open(&target).await;
            partial.keep_hashes(&scene.hashes);
            scene.write(&partial, 0..PIECES);
            let hidden = partial.path.clone();
            let there: &[u8] = if same { &scene.bytes } else { b"different" };
            fs::write(&target.path, there).unwrap();
            let placed = partial.put_in_place(&target).await;
            assert_eq!(fs::read(&target.path).unwrap(), there);
            if same {
                placed.unwrap();
                assert!(!hidden.exists(), "a hidden file was left");
                assert!(!scene.state().exists());
            } else {
                assert_eq!(placed.unwrap_err().code, ErrorCode::FileExists);
                assert!(hidden.exists(), "the downloaded contents are gone");
            }
            fs::remove_file(&target.path).unwrap();
        }
        fs::remove_dir_all(scene.state()).unwrap();
    }
}

#[tokio::test]
async fn verifying_unfinished_contents_can_be_cancelled() {
    let scene = Scene::new();
    let partial = scene.open(&scene.near()).await;
    partial.keep_hashes(&scene.hashes);
    scene.fetch(&partial, 0..3);
    scene.write(&partial, [4]);
    drop(partial);
    let opening = scene.opening("home", &scene.near());
    opening.stop.cancel();
    assert!(UnfinishedFile::open(opening).await.is_err());
    let partial = scene.open(&scene.near()).await;
    assert_eq!(scene.trusted(&partial), [0, 1, 2, 4]);
}

#[tokio::test]
async fn space_of_missing_pieces_is_released_and_allocated_again() {
    let scene = Scene::new();
    let partial = scene.open(&scene.near()).await;
    let taken = |partial: &UnfinishedFile| {
        fallbacks::on_disk(&partial.contents().file().metadata().unwrap())
    };
    let whole = scene.bytes.len() as u64;
    if taken(&partial) < whole {
        // This file system cannot allocate space.
        return;
    }
    scene.write(&partial, [1]);
    let mut verified = PieceSet::empty(PIECES);
    verified.insert(1);
    partial.final_checkpoint(&verified)().unwrap();
    assert!(taken(&partial) < whole / 2, "{}", taken(&partial));
    drop(partial);
    let partial = scene.open(&scene.near()).await;
    assert!(taken(&partial) >= whole);
    assert_eq!(scene.trusted(&partial), [1]);
}

/// The disk of the target is unmounted for a while, and no file can be created at its mount point.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn contents_on_a_disk_that_was_away_are_found_again() {
    let scene = Scene::new();
    let Some(target) = scene.far() else {
        return;
    };
    let partial = scene.open(&target).await;
    partial.keep_hashes(&scene.hashes);
    scene.write(&partial, 0..PIECES);
    let path = partial.path.clone();
    drop(partial);

    let (folder, away) = (target.folder(), target.folder().with_extension("away"));
    fs::rename(folder, &away).unwrap();
    std::os::unix::fs::symlink("/proc", folder).unwrap();
    let refused = UnfinishedFile::open(scene.opening("home", &target)).await;
    assert!(refused.is_err());
    fs::remove_file(folder).unwrap();
    fs::rename(&away, folder).unwrap();

    let partial = scene.open(&target).await;
    assert_eq!(partial.path, path);
    assert_eq!(scene.trusted(&partial).len(), PIECES as usize);
}
