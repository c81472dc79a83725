//! Tests of a target with folders made in memory, without providers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use convite_client::Home;
use convite_core::folder::{Assembly, FileContents};
use convite_core::verify::hash_piece;
use convite_core::{ContentHash, ErrorCode, PieceGeometry, PieceHashes, Problem, SafePath};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::fs::names::UNFINISHED_MARKER;
use crate::sharing::path_hash::hash_path;

/// The modification time of all files, in seconds since 1970.
const MODIFIED: i64 = 1_500_000_000;

/// A folder in memory: files with their contents, and empty folders.
#[derive(Clone, Default)]
struct Source(BTreeMap<String, Option<Vec<u8>>>);

impl Source {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let entry = |(path, bytes): &(&str, &[u8])| (path.to_string(), Some(bytes.to_vec()));
        Self(files.iter().map(entry).collect())
    }

    fn with(mut self, path: &str, bytes: &[u8]) -> Self {
        self.0.insert(path.to_owned(), Some(bytes.to_vec()));
        self
    }

    fn without(mut self, path: &str) -> Self {
        self.0.remove(path);
        self
    }

    fn with_folder(mut self, path: &str) -> Self {
        self.0.insert(path.to_owned(), None);
        self
    }

    fn received(&self) -> Arc<ReceivedFolder> {
        let items = self.0.iter().map(|(path, bytes)| {
            let contents = bytes.as_ref().map(|bytes| FileContents {
                size: bytes.len() as u64,
                crc32: crc32fast::hash(bytes),
                hash: ContentHash::of(bytes),
            });
            (path.parse().unwrap(), contents)
        });
        let tree = Assembly::new(items).unwrap().tree().unwrap();
        let count = tree.entry_count();
        let mut attributes = FileAttributes::default();
        let mut executable = vec![0; count.div_ceil(8)];
        for file in tree.files(0..tree.file_count()) {
            if file.path.as_str().ends_with(".sh") {
                executable[file.entry / 8] |= 1 << (file.entry % 8);
            }
        }
        attributes
            .add(0..count, &vec![MODIFIED; count], &executable)
            .unwrap();
        Arc::new(ReceivedFolder::new(tree, attributes))
    }

    /// Returns the bytes of a piece.
    fn piece(&self, folder: &ReceivedFolder, piece: u32) -> Bytes {
        let all: Vec<u8> = folder
            .tree
            .files(0..folder.tree.file_count())
            .flat_map(|file| self.0[file.path.as_str()].clone().unwrap())
            .collect();
        let range = folder.pieces.piece_range(piece);
        Bytes::copy_from_slice(&all[range.start as usize..range.end as usize])
    }
}

fn contents(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// A home and a place for targets.
struct Scene {
    place: TempDir,
}

impl Scene {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        Self { place }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join("target").join(name)
    }

    fn opening(&self, source: &Source, options: ArrivalOptions) -> TargetOpening {
        TargetOpening {
            home: Home::open(self.place.path().join("home")).unwrap(),
            path: self.place.path().join("target"),
            place: "peer_1:share/folder".to_owned(),
            folder: source.received(),
            options,
            stop: CancellationToken::new(),
        }
    }

    fn open(&self, source: &Source, options: ArrivalOptions) -> Result<FolderTarget, Problem> {
        FolderTarget::open(self.opening(source, options))
    }

    /// Gets the folder completely. Returns the number of received bytes and the target.
    fn get(
        &self,
        source: &Source,
        options: ArrivalOptions,
    ) -> Result<(u64, FolderTarget), Problem> {
        let target = self.open(source, options)?;
        let received = receive(&target, source, u32::MAX);
        target.finish().unwrap();
        Ok((received, target))
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Checks that the target is the folder, and contains nothing else.
    fn check_whole(&self, source: &Source) {
        let hash = hash_path(&self.path("")).unwrap().hash;
        assert_eq!(hash, source.received().tree.hash());
        for hidden in [PARTS, UNFINISHED_MARKER] {
            assert!(!self.path(hidden).exists(), "{hidden} is left");
        }
    }
}

/// Writes the first `max` missing pieces. Returns their size in bytes.
fn receive(target: &FolderTarget, source: &Source, max: u32) -> u64 {
    let folder = target.folder().clone();
    let missing = (0..folder.pieces.piece_count()).filter(|p| !target.verified().contains(*p));
    let mut received = 0;
    for piece in missing.take(max as usize) {
        let bytes = source.piece(&folder, piece);
        received += bytes.len() as u64;
        let middle = bytes.len() / 2;
        target
            .write_piece(piece, vec![bytes.slice(..middle), bytes.slice(middle..)])
            .unwrap();
    }
    received
}

fn updating() -> ArrivalOptions {
    ArrivalOptions {
        update: true,
        ..ArrivalOptions::default()
    }
}

fn mixed() -> Source {
    let mut source = Source::new(&[
        ("a/run.sh", b"#!/bin/sh"),
        ("a/empty", b""),
        ("readme", b"hello"),
    ])
    .with("big.bin", &contents(1, 5_000_001))
    .with("copy/big.bin", &contents(1, 5_000_001))
    .with("copy/readme", b"hello")
    .with_folder("void/inner");
    for number in 0..50 {
        source = source.with(&format!("many/{number:02}"), &contents(number, 40_000));
    }
    source
}

#[test]
fn folder_arrives_with_times_and_permissions() {
    let (scene, source) = (Scene::new(), mixed());
    let target = scene.open(&source, ArrivalOptions::default()).unwrap();
    assert!(scene.path("void/inner").is_dir());
    assert!(UnfinishedFolder::read(&scene.path("")).unwrap().is_some());
    let received = receive(&target, &source, u32::MAX);
    // Without a batch, no file has its name.
    assert!(!scene.path("readme").exists() && !scene.path("big.bin").exists());
    target.finish().unwrap();
    scene.check_whole(&source);
    let size = source.received().tree.size();
    assert_eq!(
        received,
        size - 5_000_001,
        "equal large files are received once"
    );
    assert_eq!(target.totals(), (56, size));
    assert_eq!((target.files_done(), target.bytes_done()), target.totals());
    for (name, executable) in [("a/run.sh", true), ("copy/big.bin", false)] {
        let about = fs::metadata(scene.path(name)).unwrap();
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(MODIFIED as u64);
        assert_eq!(about.modified().unwrap(), modified);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                about.permissions().mode() & 0o100 != 0,
                executable,
                "{name}"
            );
        }
        #[cfg(not(unix))]
        let _ = executable;
    }
    // It is known, so nothing is hashed or received again.
    let (received, _) = scene.get(&source, ArrivalOptions::default()).unwrap();
    assert_eq!(received, 0);
}

#[test]
fn arrival_continues_after_a_kill_at_any_piece() {
    let source = mixed();
    let folder = source.received();
    let pieces = folder.pieces.piece_count() - 5;
    for stop_after in 0..=pieces {
        let scene = Scene::new();
        let target = scene.open(&source, ArrivalOptions::default()).unwrap();
        store_hashes(&target, &source);
        let first = receive(&target, &source, stop_after);
        if stop_after % 2 == 1 {
            target.place_written(Batch::Next).unwrap();
        }
        drop(target);
        let (second, _) = scene.get(&source, ArrivalOptions::default()).unwrap();
        assert_eq!(
            first + second,
            folder.tree.size() - 5_000_001,
            "{stop_after}"
        );
        scene.check_whole(&source);
    }
}

fn store_hashes(target: &FolderTarget, source: &Source) {
    for file in target
        .folder()
        .tree
        .files(0..target.folder().tree.file_count())
    {
        if target.is_large(&file) {
            let bytes = source.0[file.path.as_str()].as_ref().unwrap();
            let geometry = PieceGeometry::new(file.size).unwrap();
            let hash = |index| {
                let range = geometry.piece_range(index);
                let piece = &bytes[range.start as usize..range.end as usize];
                hash_piece(&geometry, index, piece)
            };
            let hashes = (0..geometry.piece_count()).map(hash).collect();
            let hashes = PieceHashes::fold(geometry, hashes).unwrap();
            target.store_hashes(&file, &hashes);
        }
    }
}

#[test]
fn changed_parts_are_not_resumed() {
    let (scene, source) = (Scene::new(), mixed());
    let target = scene.open(&source, ArrivalOptions::default()).unwrap();
    store_hashes(&target, &source);
    receive(&target, &source, u32::MAX);
    // Checkpoints of the last batch would be valid for unchanged files.
    drop(target);
    let parts = scene.path(PARTS);
    for entry in fs::read_dir(&parts).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut bytes = fs::read(&path).unwrap();
        if name.contains('-') || name.ends_with(".part") {
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            fs::write(&path, bytes).unwrap();
        }
    }
    let target = scene.open(&source, ArrivalOptions::default()).unwrap();
    assert_eq!(target.files_done(), 1, "only the empty file is unchanged");
    receive(&target, &source, u32::MAX);
    target.finish().unwrap();
    scene.check_whole(&source);
}

#[test]
fn large_file_without_its_hashes_needs_a_checkpoint() {
    let source = Source::new(&[]).with("big.bin", &contents(1, 5_000_001));
    for last in [true, false] {
        let scene = Scene::new();
        let target = scene.open(&source, ArrivalOptions::default()).unwrap();
        let first = receive(&target, &source, 3);
        if last {
            target.place_written(Batch::Last).unwrap();
        }
        drop(target);
        let (second, _) = scene.get(&source, ArrivalOptions::default()).unwrap();
        let kept = if last { first } else { 0 };
        assert_eq!(second, 5_000_001 - kept);
        scene.check_whole(&source);
    }
}

#[test]
fn differing_files_are_refused_and_nothing_is_changed() {
    let (scene, source) = (Scene::new(), mixed());
    scene.write("readme", b"other");
    scene.write("a/run.sh", b"#!/bin/sh");
    let problem = scene
        .open(&source, ArrivalOptions::default())
        .err()
        .unwrap();
    assert_eq!(problem.code, ErrorCode::FileExists);
    assert!(problem.message.contains("1 file") && problem.message.contains("'readme'"));
    assert!(!problem.message.contains("run.sh"), "{problem:?}");
    assert_eq!(fs::read_dir(scene.path("")).unwrap().count(), 2);
    assert_eq!(scene.read("readme"), b"other");
    // A new target is not left behind.
    let other = Scene::new();
    let exclude = ArrivalOptions {
        selection: Selection {
            include: vec!["nothing".parse().unwrap()],
            exclude: Vec::new(),
        },
        ..ArrivalOptions::default()
    };
    assert!(other.open(&source, exclude).is_err());
    assert!(!other.path("").exists());
}

#[test]
fn update_replaces_what_was_placed_and_keeps_what_was_changed() {
    let (scene, old) = (Scene::new(), mixed());
    scene.write("many/07", b"mine, and never downloaded");
    let (_, target) = scene.get(&old, updating()).unwrap();
    assert_eq!(
        target.kept_others(),
        ["many/07 (conflict)".parse().unwrap()]
    );
    assert_eq!(
        scene.read("many/07 (conflict)"),
        b"mine, and never downloaded"
    );
    let new = old
        .clone()
        .with("readme", b"newer")
        .with("many/03", b"newer 3")
        .with("many/04", b"newer 4")
        .without("many/05");
    scene.write("many/03", b"changed here");
    // The same contents with another time.
    scene.write("many/04", &contents(4, 40_000));
    let problem = scene.open(&new, ArrivalOptions::default()).err().unwrap();
    assert!(problem.message.contains("3 files"), "{problem:?}");
    let (_, target) = scene.get(&new, updating()).unwrap();
    assert_eq!(
        target.kept_others(),
        ["many/03 (conflict)".parse().unwrap()]
    );
    assert_eq!(scene.read("readme"), b"newer");
    assert_eq!(scene.read("many/03"), b"newer 3");
    assert_eq!(scene.read("many/04"), b"newer 4");
    assert_eq!(scene.read("many/03 (conflict)"), b"changed here");
    // What the folder no longer has stays, without --delete.
    assert!(scene.path("many/05").exists());
}

#[test]
fn file_that_changes_during_the_download_is_kept() {
    let (scene, old) = (Scene::new(), mixed());
    scene.get(&old, ArrivalOptions::default()).unwrap();
    let new = old.with("readme", b"newer").with("added", b"added");
    let target = scene.open(&new, updating()).unwrap();
    receive(&target, &new, u32::MAX);
    scene.write("readme", b"changed meanwhile");
    scene.write("added", b"appeared meanwhile");
    target.finish().unwrap();
    assert_eq!(scene.read("readme"), b"newer");
    assert_eq!(scene.read("readme (conflict)"), b"changed meanwhile");
    assert_eq!(scene.read("added (conflict)"), b"appeared meanwhile");
    // Without --update, nothing takes its place.
    let scene = Scene::new();
    let target = scene.open(&new, ArrivalOptions::default()).unwrap();
    receive(&target, &new, u32::MAX);
    scene.write("added", b"appeared meanwhile");
    assert!(target.finish().is_err());
    assert_eq!(scene.read("added"), b"appeared meanwhile");
}

#[test]
fn delete_removes_only_unchanged_files_that_were_placed() {
    let (scene, old) = (Scene::new(), mixed());
    scene.write("many/01", &contents(1, 40_000));
    scene.get(&old, ArrivalOptions::default()).unwrap();
    scene.write("many/02", b"changed here");
    scene.write("mine", b"mine");
    let mut new = old.clone().without("a/empty").without("a/run.sh");
    for number in 1..4 {
        new = new.without(&format!("many/{number:02}"));
    }
    let options = ArrivalOptions {
        delete: true,
        ..updating()
    };
    let plan = plan(&scene.opening(&new, options.clone())).unwrap();
    let removed: Vec<_> = plan
        .changes
        .iter()
        .map(|change| change.path.as_str())
        .collect();
    assert_eq!(removed, ["a/empty", "a/run.sh", "many/03"]);
    assert!(
        plan.changes
            .iter()
            .all(|c| c.action == PlannedAction::Remove)
    );
    assert!(scene.path("many/03").exists(), "a plan changes nothing");
    let target = scene.open(&new, options).unwrap();
    let removed: Vec<SafePath> = target.finish().unwrap();
    assert_eq!(removed.len(), 3);
    for (name, stays) in [
        ("many/01", true),
        ("many/02", true),
        ("mine", true),
        ("many/03", false),
        ("a", false),
        ("many/04", true),
    ] {
        assert_eq!(scene.path(name).exists(), stays, "{name}");
    }
}

#[test]
fn renamed_files_are_copied_from_the_target() {
    let (scene, old) = (Scene::new(), mixed());
    scene.get(&old, ArrivalOptions::default()).unwrap();
    let new = old
        .without("big.bin")
        .without("copy/big.bin")
        .with("moved/bigger.bin", &contents(1, 5_000_001))
        .with("moved/readme.txt", b"hello");
    let (received, _) = scene.get(&new, updating()).unwrap();
    assert_eq!(received, 0);
    assert_eq!(scene.read("moved/bigger.bin"), contents(1, 5_000_001));
    // A source that has changed is not copied, though it is recorded.
    let newest = new.with("moved/again.bin", &contents(2, 40_000));
    scene.write("many/02", &contents(3, 40_000));
    let newest = newest.without("many/02");
    let (received, _) = scene.get(&newest, updating()).unwrap();
    assert!(received >= 40_000);
    assert_eq!(scene.read("moved/again.bin"), contents(2, 40_000));
}

#[test]
fn selected_files_arrive_alone() {
    let (scene, source) = (Scene::new(), mixed());
    let options = ArrivalOptions {
        selection: Selection {
            include: vec!["many".parse().unwrap(), "*.sh".parse().unwrap()],
            exclude: vec!["0?".parse().unwrap()],
        },
        ..ArrivalOptions::default()
    };
    let (_, target) = scene.get(&source, options).unwrap();
    assert_eq!(target.totals().0, 41);
    assert!(scene.path("many/10").exists() && scene.path("a/run.sh").exists());
    for absent in ["many/09", "a/empty", "void", "copy", "big.bin"] {
        assert!(!scene.path(absent).exists(), "{absent}");
    }
}

#[test]
fn markers_of_other_folders_and_locked_targets_are_refused() {
    let (scene, source) = (Scene::new(), mixed());
    let target = scene.open(&source, ArrivalOptions::default()).unwrap();
    let again = scene
        .open(&source, ArrivalOptions::default())
        .err()
        .unwrap();
    assert_eq!(again.code, ErrorCode::InUse);
    drop(target);
    let other = source.clone().with("readme", b"other");
    let refused = scene.open(&other, ArrivalOptions::default()).err().unwrap();
    assert_eq!(refused.code, ErrorCode::FileExists);
    assert!(
        refused
            .message
            .contains(&source.received().tree.hash().to_string())
    );
    scene.get(&other, updating()).unwrap();
    scene.check_whole(&other);
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link() {
    let (scene, source) = (Scene::new(), mixed());
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir_all(scene.path("")).unwrap();
    std::os::unix::fs::symlink(outside.path(), scene.path("many")).unwrap();
    for options in [ArrivalOptions::default(), updating()] {
        let refused = scene.open(&source, options).err().unwrap();
        assert_eq!(refused.code, ErrorCode::FileExists);
        assert!(refused.message.contains("'many'"), "{refused:?}");
    }
    fs::remove_file(scene.path("many")).unwrap();
    // A link that appears during the download.
    let target = scene.open(&source, updating()).unwrap();
    receive(&target, &source, u32::MAX);
    fs::remove_dir(scene.path("many")).unwrap();
    std::os::unix::fs::symlink(outside.path(), scene.path("many")).unwrap();
    assert!(target.finish().is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn unfinished_target_is_not_published() {
    let (scene, source) = (Scene::new(), mixed());
    let target = scene.open(&source, ArrivalOptions::default()).unwrap();
    receive(&target, &source, 3);
    target.place_written(Batch::Next).unwrap();
    let refused = hash_path(Path::new(&scene.path(""))).unwrap_err();
    assert!(
        refused.message.contains("is being downloaded"),
        "{refused:?}"
    );
}
