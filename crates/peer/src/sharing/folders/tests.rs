use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use convite_core::{ContentHash, Manifest, ManifestEntry, SpaceName};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::fs::identity::FileIdentity;
use crate::sharing::catalogue::{FoundFolder, IndexedFile, with_ancestors};
use crate::sharing::folder_readiness::{SETTLE_MAX, SETTLE_TIME};
use crate::sharing::shares::ShareList;

fn shared_files() -> SharedFiles {
    SharedFiles::new(ShareList::default(), CancellationToken::new())
}

fn root() -> Arc<Path> {
    Path::new("/r").into()
}

fn file(path: &str, contents: &[u8]) -> IndexedFile {
    IndexedFile {
        path: path.parse().unwrap(),
        root: root(),
        space: None,
        identity: FileIdentity {
            device: 1,
            inode: 1,
            size: contents.len() as u64,
            modified_ns: 1,
            changed_ns: 1,
            executable: false,
        },
        hash: ContentHash::of(contents),
        crc32: Some(crc32fast::hash(contents)),
    }
}

fn found(path: &str, unfinished: bool) -> FoundFolder {
    FoundFolder {
        path: path.parse().unwrap(),
        root: root(),
        space: None,
        unfinished,
    }
}

/// What is on disk, and what is published of it: path → folder hash.
#[derive(Default)]
struct World {
    files: BTreeMap<String, Vec<u8>>,
    folders: BTreeSet<String>,
    unfinished: BTreeSet<String>,
    left_out: BTreeSet<String>,
    published: BTreeMap<String, ContentHash>,
}

impl World {
    fn add_folders_of(&mut self, path: &str) {
        let above = with_ancestors(path).skip(1);
        self.folders.extend(above.map(str::to_owned));
    }

    /// Returns the manifest of a folder, computed from scratch.
    fn manifest(&self, folder: &str) -> Option<Manifest> {
        if with_ancestors(folder).any(|path| self.unfinished.contains(path)) {
            return None;
        }
        let name_in = |path: &str| {
            let (parent, name) = path.rsplit_once('/')?;
            (parent == folder).then(|| name.to_owned())
        };
        let files = self.files.iter().filter_map(|(path, contents)| {
            let name = name_in(path).filter(|_| !self.left_out.contains(path))?;
            let (size, crc32) = (contents.len() as u64, crc32fast::hash(contents));
            Some(ManifestEntry::file(
                name,
                size,
                crc32,
                ContentHash::of(contents),
            ))
        });
        let folders = self.folders.iter().filter_map(|path| {
            let name = name_in(path)?;
            Some(ManifestEntry::folder(name, self.manifest(path)?.summary()))
        });
        Some(Manifest::new(files.chain(folders).collect()).unwrap())
    }

    fn expected(&self) -> BTreeMap<String, ContentHash> {
        let folders = self.folders.iter();
        folders
            .filter_map(|path| Some((path.clone(), self.manifest(path)?.hash())))
            .collect()
    }

    /// Publishes what is queued, as the publisher does.
    fn publish(&mut self, files: &SharedFiles) {
        loop {
            let (paths, more) = files.publish_queue.take();
            for path in paths {
                let folder = files.catalogue.folder_by_path(&path);
                match folder {
                    Some(folder) => self.published.insert(path.to_string(), folder.hash),
                    None => self.published.remove(path.as_str()),
                };
            }
            if !more {
                return;
            }
        }
    }

    fn apply(&mut self, change: &Change, files: &SharedFiles) {
        let catalogue = &files.catalogue;
        match change {
            Change::Put(path, contents) => {
                if self.folders.contains(path) {
                    return;
                }
                let above = with_ancestors(path).skip(1);
                if above.into_iter().any(|path| self.files.contains_key(path)) {
                    return;
                }
                catalogue.put(file(path, contents));
                self.files.insert(path.clone(), contents.clone());
                self.add_folders_of(path);
            }
            Change::Remove(place) => {
                for path in catalogue.paths_below(place) {
                    catalogue.remove(&path);
                    self.files.remove(path.as_str());
                }
                files.remove_missing_folders(place, &HashSet::new());
                let below = |path: &String| path == place || path.starts_with(&format!("{place}/"));
                self.folders.retain(|path| !below(path));
                self.unfinished.retain(|path| !below(path));
            }
            Change::Folder(path, unfinished) => {
                if with_ancestors(path).any(|path| self.files.contains_key(path)) {
                    return;
                }
                catalogue.add_folder(&found(path, *unfinished));
                self.folders.insert(path.clone());
                self.add_folders_of(path);
                if *unfinished {
                    self.unfinished.insert(path.clone());
                } else {
                    self.unfinished.remove(path);
                }
            }
            Change::LeaveOut(paths) => {
                let parsed = paths.iter().map(|path| path.parse().unwrap());
                catalogue.set_left_out(parsed.collect());
                self.left_out = paths.iter().cloned().collect();
            }
            Change::Settle => {
                compute_all(files);
                self.publish(files);
            }
        }
    }
}

/// Computes all folders. [`settle`] would determine which files are left out.
fn compute_all(files: &SharedFiles) {
    let changed = files.catalogue.changed_folders();
    let blocked = HashSet::new();
    let ready = ReadyFolders::new(&changed, &blocked, Instant::now(), Urgency::Now);
    compute(files, &changed, &ready);
    assert!(files.catalogue.changed_folders().is_empty());
}

#[derive(Debug, Clone)]
enum Change {
    Put(String, Vec<u8>),
    Remove(String),
    Folder(String, bool),
    LeaveOut(Vec<String>),
    Settle,
}

fn path() -> impl Strategy<Value = String> {
    // '-' and '0' are beside '/' in the order of characters.
    let part = prop::sample::select(vec!["a", "b", "a-", "a0"]);
    prop::collection::vec(part, 1..5).prop_map(|parts| format!("s/{}", parts.join("/")))
}

fn change() -> impl Strategy<Value = Change> {
    let contents = prop::collection::vec(any::<u8>(), 0..3);
    prop_oneof![
        6 => (path(), contents).prop_map(|(path, contents)| Change::Put(path, contents)),
        3 => path().prop_map(Change::Remove),
        2 => path().prop_map(|path| Change::Folder(path, false)),
        1 => path().prop_map(|path| Change::Folder(path, true)),
        1 => prop::collection::vec(path(), 0..3).prop_map(Change::LeaveOut),
        3 => Just(Change::Settle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn incremental_folders_equal_folders_computed_from_scratch(
        changes in prop::collection::vec(change(), 0..60),
    ) {
        let (files, mut world) = (shared_files(), World::default());
        for change in &changes {
            world.apply(change, &files);
        }
        world.apply(&Change::Settle, &files);
        prop_assert_eq!(&world.published, &world.expected());
        for (path, hash) in &world.published {
            let holders = files.catalogue.folders_by_hash(hash);
            let holders: Vec<_> = holders.iter().map(|held| held.path.to_string()).collect();
            let alike = world.published.iter().filter(|(_, other)| *other == hash);
            prop_assert_eq!(holders.len(), alike.count());
            prop_assert!(holders.contains(path));
        }
    }
}

#[test]
fn only_folders_above_a_change_are_published_again() {
    let (files, mut world) = (shared_files(), World::default());
    for path in ["s/a/x/1", "s/a/y/1", "s/b/1"] {
        world.apply(&Change::Put(path.to_owned(), b"1".to_vec()), &files);
    }
    world.apply(&Change::Settle, &files);
    assert_eq!(world.published.len(), 5);
    files.catalogue.put(file("s/a/x/1", b"2"));
    compute_all(&files);
    let (queued, _) = files.publish_queue.take();
    let queued: Vec<_> = queued.iter().map(SafePath::as_str).collect();
    assert_eq!(queued, ["s", "s/a", "s/a/x"]);
    // The same contents under another identity change nothing.
    let mut touched = file("s/a/x/1", b"2");
    touched.identity.changed_ns = 2;
    files.catalogue.put(touched);
    compute_all(&files);
    assert!(files.publish_queue.take().0.is_empty());
}

#[test]
fn folders_wait_for_their_unhashed_files_only() {
    let files = shared_files();
    let published = |files: &SharedFiles, path: &str| {
        files
            .catalogue
            .folder_by_path(&path.parse().unwrap())
            .is_some()
    };
    files.catalogue.put(file("s/a/1", b"1"));
    files.catalogue.put(file("s/b/1", b"1"));
    let unhashed: SafePath = "s/b/2".parse().unwrap();
    let mut guard = files.unhashed.add([&unhashed].into_iter());
    settle(&files, Instant::now(), Urgency::Now);
    assert!(published(&files, "s/a"));
    assert!(!published(&files, "s/b") && !published(&files, "s"));
    files.catalogue.put(file("s/b/2", b"2"));
    guard.done(&unhashed);
    settle(&files, Instant::now(), Urgency::Settled);
    assert!(!published(&files, "s/b"));
    settle(&files, Instant::now() + SETTLE_TIME, Urgency::Settled);
    assert!(published(&files, "s/b") && published(&files, "s"));

    // A file with unknown CRC-32 is not in a manifest.
    let mut resumed = file("s/a/2", b"2");
    resumed.crc32 = None;
    files.catalogue.put(resumed);
    let before = files.catalogue.folder_by_path(&"s".parse().unwrap());
    settle(&files, Instant::now() + SETTLE_MAX, Urgency::Settled);
    assert_eq!(
        files.catalogue.folder_by_path(&"s".parse().unwrap()),
        before
    );
    files.catalogue.put(file("s/a/2", b"2"));
    settle(&files, Instant::now() + SETTLE_MAX, Urgency::Settled);
    assert_ne!(
        files.catalogue.folder_by_path(&"s".parse().unwrap()),
        before
    );
}

#[test]
fn a_changed_file_is_awaited_for_a_minute() {
    let files = shared_files();
    let size = |files: &SharedFiles| {
        let folder = files.catalogue.folder_by_path(&"s".parse().unwrap());
        folder.map(|folder| folder.files)
    };
    let now = Instant::now();
    files.catalogue.put(file("s/1", b"1"));
    files.catalogue.put(file("s/2", b"1"));
    settle(&files, now, Urgency::Now);
    files.catalogue.remove_changed(&"s/1".parse().unwrap());
    settle(&files, now + CHANGING_TIME / 2, Urgency::Now);
    assert_eq!(size(&files), Some(2));
    settle(&files, now + CHANGING_TIME * 2, Urgency::Now);
    assert_eq!(size(&files), Some(1));
    files.catalogue.put(file("s/1", b"3"));
    settle(&files, now + CHANGING_TIME * 2, Urgency::Now);
    assert_eq!(size(&files), Some(2));
}

#[test]
fn a_growing_log_is_left_out_until_it_rests() {
    let place = tempfile::tempdir().unwrap();
    let root = dunce::canonicalize(place.path()).unwrap();
    let files = shared_files();
    let name = files.share(&root, None).unwrap().name;
    let put = |inner: &str, contents: &[u8]| {
        files.catalogue.put(IndexedFile {
            root: root.clone().into(),
            ..file(&format!("{name}/{inner}"), contents)
        });
    };
    let folder = |files: &SharedFiles| {
        let folder = files.catalogue.folder_by_path(&name.parse().unwrap());
        folder.map(|folder| folder.files)
    };
    let skipped = |files: &SharedFiles| -> Vec<(String, Vec<String>)> {
        let status = files.share_status(&files.shares()[0], None);
        let skipped = status.skipped.into_iter();
        skipped
            .map(|skipped| (skipped.reason, skipped.paths))
            .collect()
    };
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    put("log", b"1");
    put("notes", b"1");
    settle(&files, at(0), Urgency::Now);
    assert_eq!(folder(&files), Some(2));
    let touch = |path: PathBuf, now| files.changed_places.lock().note(path, now);
    put("notes", b"2");
    for second in 0..=60 {
        touch(root.join("log"), at(second));
        settle(&files, at(second), Urgency::Settled);
        assert!(second == 60 || folder(&files) == Some(2));
    }
    // The first version is still what is published: a changing file was not believed.
    settle(&files, at(63), Urgency::Settled);
    assert_eq!(folder(&files), Some(1));
    assert_eq!(
        skipped(&files),
        [("changing".to_owned(), vec!["log".to_owned()])]
    );

    files.changed_places.lock().take(at(65));
    files.changed_places.lock().end_scan();
    settle(&files, at(66), Urgency::Settled);
    put("log", b"many");
    settle(&files, at(68), Urgency::Settled);
    assert_eq!(folder(&files), Some(2));
    assert!(skipped(&files).is_empty());
}

#[test]
fn folders_beyond_the_limits_are_not_published() {
    let files = shared_files();
    let deep = vec!["d"; DEPTH_MAX].join("/");
    files.catalogue.put(file(&format!("s/{deep}/x"), b"1"));
    files.catalogue.put(file("s/other/x", b"1"));
    settle(&files, Instant::now(), Urgency::Now);
    let state = |path: &str| {
        files
            .catalogue
            .folder_by_path(&path.parse().unwrap())
            .is_some()
    };
    assert!(state("s/d/d") && state("s/d") && state("s/other"));
    assert!(!state("s"));
    let exceptions = files.catalogue.folder_exceptions();
    assert_eq!(exceptions.too_large, ["s".parse().unwrap()]);
}

#[test]
fn a_folder_that_moves_to_another_space_is_published_again() {
    let place = tempfile::tempdir().unwrap();
    let root = dunce::canonicalize(place.path()).unwrap();
    let files = shared_files();
    let lab: SpaceName = "lab".parse().unwrap();
    let name = files.share(&root, None).unwrap().name;
    let put = |space: Option<&SpaceName>| {
        files.add_file(IndexedFile {
            root: root.clone().into(),
            space: space.cloned().map(Arc::new),
            ..file(&format!("{name}/a/1"), b"1")
        })
    };
    assert!(put(None));
    settle(&files, Instant::now(), Urgency::Now);
    let space = || {
        let folder = files.catalogue.folder_by_path(&name.parse().unwrap());
        folder.map(|folder| folder.space.as_deref().cloned())
    };
    assert_eq!(space(), Some(None));
    files.publish_queue.take();
    files.share(&root, Some(lab.clone())).unwrap();
    assert_eq!(space(), None);
    assert_eq!(files.publish_queue.take().0.len(), 3);
    assert!(put(Some(&lab)));
    settle(&files, Instant::now(), Urgency::Now);
    assert_eq!(space(), Some(Some(lab)));
    assert_eq!(files.publish_queue.take().0.len(), 2);
}
