//! Folders from manifests: order, offsets, and manifests of a hostile peer.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::error::{ErrorCode, Problem};
use crate::hash::ContentHash;
use crate::manifest::{self, FILES_MAX, LEVEL_MAX, Manifest, ManifestEntry};
use crate::path::{PATH_MAX, SafePath};

/// A file by its size, or a folder.
#[derive(Debug, Clone)]
enum Node {
    File(u64),
    Folder(BTreeMap<&'static str, Node>),
}

type Items = Vec<(SafePath, Option<FileContents>)>;

fn contents(size: u64) -> FileContents {
    match size {
        0 => FileContents {
            size,
            crc32: 0,
            hash: ContentHash::empty(),
        },
        _ => FileContents {
            size,
            crc32: size as u32,
            hash: ContentHash::of(&size.to_le_bytes()),
        },
    }
}

/// Lists the files and all folders in canonical order.
fn list(folder: &BTreeMap<&'static str, Node>, prefix: &str, items: &mut Items) {
    for (name, node) in folder {
        let path = format!("{prefix}{name}");
        let safe = path.parse().unwrap();
        match node {
            Node::File(size) => items.push((safe, Some(contents(*size)))),
            Node::Folder(below) => {
                items.push((safe, None));
                list(below, &format!("{path}/"), items);
            }
        }
    }
}

fn items() -> impl Strategy<Value = Items> {
    let file = prop_oneof![Just(0), 1u64..4, Just(3 << 20)].prop_map(Node::File);
    let names = prop::sample::select(vec!["B", "a", "a.txt", "a-b", "b", "é"]);
    let folder = move |node| proptest::collection::btree_map(names.clone(), node, 0..4);
    let node = file.prop_recursive(4, 40, 4, {
        let folder = folder.clone();
        move |node| folder(node).prop_map(Node::Folder)
    });
    folder(node.boxed()).prop_map(|root| {
        let mut items = Vec::new();
        list(&root, "", &mut items);
        items
    })
}

/// The parts of all manifests in the order of transfer.
fn parts(tree: &FolderTree, part_size: usize) -> Vec<ManifestPart> {
    let levels = 0..tree.folder_hashes().len();
    let parts = levels.flat_map(|level| tree.manifest_parts(level, part_size));
    parts.collect()
}

fn build(hash: ContentHash, parts: &[ManifestPart]) -> Result<FolderTree, Problem> {
    let mut builder = FolderTreeBuilder::new(hash);
    for part in parts {
        assert_eq!(builder.add_part(&part.bytes, part.last)?, part.entries);
    }
    builder.finish()
}

proptest! {
    #[test]
    fn a_folder_has_its_files_in_canonical_order(items in items()) {
        let tree = Assembly::new(items.iter().rev().cloned()).unwrap().tree().unwrap();
        let files: Vec<_> = items.iter().filter_map(|(p, c)| Some((p, (*c)?))).collect();
        prop_assert_eq!(tree.file_count(), files.len());
        prop_assert_eq!(tree.folder_count(), items.len() - files.len());
        let mut offset = 0;
        for (index, (path, contents)) in files.iter().enumerate() {
            let file = tree.file(index).unwrap();
            prop_assert_eq!((&file.path, file.size), (*path, contents.size));
            prop_assert_eq!((file.crc32, file.hash), (contents.crc32, contents.hash));
            prop_assert_eq!((file.index, file.range().start), (index, offset));
            let entry = tree.entry(file.entry).unwrap();
            prop_assert_eq!((entry.name, entry.hash), (path.file_name(), file.hash));
            if file.size > 0 {
                prop_assert_eq!(tree.file_at(offset), Some(index));
                prop_assert_eq!(tree.file_at(offset + file.size - 1), Some(index));
            }
            prop_assert_eq!(tree.find(path), Some(FolderItem::File(file)));
            offset += contents.size;
        }
        prop_assert_eq!(tree.size(), offset);
        prop_assert_eq!(tree.file_at(offset), None);
        prop_assert_eq!(tree.file(files.len()), None);
        let lengths = items.iter().map(|(path, _)| path.as_str().len());
        prop_assert_eq!(tree.longest_path(), lengths.max().unwrap_or(0));
        let depths = items.iter().map(|(path, _)| path.parts().count());
        prop_assert_eq!(tree.depth(), depths.max().unwrap_or(0));
    }

    #[test]
    fn a_walk_visits_folders_before_their_contents(items in items()) {
        let tree = Assembly::new(items.clone()).unwrap().tree().unwrap();
        let walked: Vec<FolderItem> = tree.walk().collect();
        prop_assert_eq!(walked.len(), items.len());
        for (item, (path, _)) in walked.iter().zip(&items) {
            prop_assert_eq!(item.path(), path);
            prop_assert_eq!(&tree.find(path), &Some(item.clone()));
            if let FolderItem::Folder { files, bytes, hash, entry, .. } = item {
                let below: Vec<FolderFile> = tree.files(files.clone()).collect();
                let prefix = format!("{path}/");
                prop_assert!(below.iter().all(|file| file.path.as_str().starts_with(&prefix)));
                prop_assert_eq!(below.iter().map(|f| f.size).sum::<u64>(), bytes.end - bytes.start);
                if let Some(first) = below.first() {
                    prop_assert_eq!(first.offset, bytes.start);
                }
                let entry = tree.entry(*entry).unwrap();
                prop_assert_eq!((entry.hash, entry.files), (*hash, below.len() as u64));
            }
        }
        prop_assert_eq!(tree.find(&"missing".parse().unwrap()), None);
        if let Some(file) = tree.file(0) {
            let inside = format!("{}/a", file.path).parse().unwrap();
            prop_assert_eq!(tree.find(&inside), None);
        }
    }

    #[test]
    fn any_range_of_files_is_a_part_of_all_files(items in items(), from in 0usize..20, to in 0usize..20) {
        let tree = Assembly::new(items).unwrap().tree().unwrap();
        let all: Vec<FolderFile> = tree.files(0..usize::MAX).collect();
        let end = to.min(all.len());
        let expected = all.get(from..end).unwrap_or(&[]);
        let files = tree.files(from..to);
        prop_assert_eq!(files.len(), expected.len());
        prop_assert_eq!(files.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn manifests_in_parts_build_the_same_folder(items in items(), part_size in 1usize..300) {
        let assembly = Assembly::new(items).unwrap();
        let tree = assembly.tree().unwrap();
        let parts = parts(&tree, part_size);
        let again = build(tree.hash(), &parts).unwrap();
        prop_assert_eq!(again.walk().collect::<Vec<_>>(), tree.walk().collect::<Vec<_>>());
        let bytes: Vec<u8> = parts.into_iter().flat_map(|part| part.bytes).collect();
        let encoded: Vec<u8> = assembly.manifests().iter().flat_map(Manifest::encode).collect();
        prop_assert_eq!(bytes, encoded);
        let hashes: Vec<_> = assembly.manifests().iter().map(Manifest::hash).collect();
        prop_assert_eq!(tree.folder_hashes().collect::<Vec<_>>(), hashes);
        prop_assert_eq!(tree.hash(), assembly.hash());
        prop_assert_eq!((tree.file_count() as u64, tree.size()), assembly.totals());
    }

    #[test]
    fn a_changed_byte_in_any_manifest_is_refused(
        items in items(), part_size in 1usize..300, part in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(), mask in 1u8..,
    ) {
        let tree = Assembly::new(items).unwrap().tree().unwrap();
        let mut parts = parts(&tree, part_size);
        let part = part.index(parts.len());
        let bytes = &mut parts[part].bytes;
        let at = at.index(bytes.len());
        bytes[at] ^= mask;
        prop_assert!(build(tree.hash(), &parts).is_err());
    }

    #[test]
    fn missing_and_repeated_manifests_are_refused(items in items(), at in any::<prop::sample::Index>()) {
        let tree = Assembly::new(items).unwrap().tree().unwrap();
        let good = parts(&tree, usize::MAX);
        let at = at.index(good.len());
        let mut missing = good.clone();
        missing.remove(at);
        let mut builder = FolderTreeBuilder::new(tree.hash());
        let added = missing.iter().try_for_each(|part| builder.add_part(&part.bytes, true).map(drop));
        prop_assert!(added.is_err() || builder.finish().is_err());
        let mut repeated = good.clone();
        repeated.insert(at, good[at].clone());
        let mut builder = FolderTreeBuilder::new(tree.hash());
        let added = repeated.iter().try_for_each(|part| builder.add_part(&part.bytes, true).map(drop));
        prop_assert!(added.is_err());
    }
}

#[test]
fn the_canonical_order_is_by_parts() {
    let mut paths = vec!["a.txt", "b", "a/b", "a-b/c", "a/b/c", "B"];
    paths.sort_by(|a, b| canonical_order(a, b));
    assert_eq!(paths, ["B", "a/b", "a/b/c", "a-b/c", "a.txt", "b"]);
}

#[test]
fn impossible_lists_of_files_are_refused() {
    let refusal = |paths: &[(&str, bool)]| {
        let items = paths
            .iter()
            .map(|(path, is_file)| (path.parse().unwrap(), is_file.then(|| contents(1))));
        Assembly::new(items).unwrap_err().message
    };
    assert_eq!(
        refusal(&[("a", true), ("b", true), ("a", true)]),
        "'a' is listed twice"
    );
    assert_eq!(
        refusal(&[("a", false), ("a", false)]),
        "'a' is listed twice"
    );
    assert!(refusal(&[("a", true), ("a/b", true)]).contains("unique"));
    assert!(refusal(&[("a/.git/x", true)]).contains("hidden"));
    let empty = Assembly::new([]).unwrap();
    assert_eq!((empty.totals(), empty.manifests().len()), ((0, 0), 1));
    assert_eq!(empty.tree().unwrap().walk().count(), 0);
}

// Manifests of a hostile peer.

/// Encodes a manifest without checks, and returns it with its hash.
fn forged(entries: &[ManifestEntry]) -> (Vec<u8>, ContentHash) {
    let mut bytes = manifest::header(entries.len());
    for entry in entries {
        manifest::write_entry(&mut bytes, &entry.borrowed());
    }
    let hash = ContentHash::of_manifest(&bytes);
    (bytes, hash)
}

fn file(name: &str, size: u64) -> ManifestEntry {
    let contents = contents(size);
    ManifestEntry::file(name, size, contents.crc32, contents.hash)
}

fn folder(name: &str, hash: ContentHash, files: u64, size: u64) -> ManifestEntry {
    let summary = manifest::ManifestSummary {
        hash,
        entries: 0,
        files,
        size,
    };
    ManifestEntry::folder(name, &summary)
}

/// Adds forged manifests, the last of which is refused. Returns why.
fn refusal(manifests: &[Vec<u8>]) -> Problem {
    let mut builder = FolderTreeBuilder::new(ContentHash::of_manifest(&manifests[0]));
    let (last, good) = manifests.split_last().unwrap();
    for bytes in good {
        builder.add_part(bytes, true).unwrap();
    }
    let problem = builder.add_part(last, true).unwrap_err();
    assert_eq!(builder.expected(), None);
    assert!(builder.add_part(last, true).is_err());
    assert!(builder.finish().is_err());
    problem
}

#[test]
fn totals_that_differ_from_those_of_the_parent_are_refused() {
    let (below, hash) = forged(&[file("a", 2), file("b", 3)]);
    let (root, _) = forged(&[folder("x", hash, 2, 5)]);
    let mut builder = FolderTreeBuilder::new(ContentHash::of_manifest(&root));
    builder.add_part(&root, true).unwrap();
    builder.add_part(&below, true).unwrap();
    assert!(builder.is_complete());
    for (files, size) in [(1, 5), (3, 5), (2, 4), (2, 6), (0, 0)] {
        let (root, _) = forged(&[folder("x", hash, files, size)]);
        let problem = refusal(&[root, below.clone()]);
        assert_eq!(problem.code, ErrorCode::InvalidArgument);
        assert!(problem.message.contains("parent states"), "{problem:?}");
        // The second time, the manifest is known already.
        let (root, _) = forged(&[folder("x", hash, 2, 5), folder("y", hash, files, size)]);
        let problem = refusal(&[root, below.clone()]);
        assert!(problem.message.contains("parent states"), "{problem:?}");
    }
}

#[test]
fn wrong_totals_are_refused_before_the_folders_below_arrive() {
    let (_, below) = forged(&[file("a", 2), file("b", 3)]);
    let (middle, middle_hash) = forged(&[folder("y", below, 2, 5)]);
    let (root, _) = forged(&[folder("x", middle_hash, 3, 5)]);
    let problem = refusal(&[root, middle]);
    assert!(problem.message.contains("parent states"), "{problem:?}");
}

#[test]
fn a_manifest_of_another_folder_is_refused() {
    let (below, hash) = forged(&[file("a", 2)]);
    let (other, _) = forged(&[file("b", 2)]);
    let (root, _) = forged(&[folder("x", hash, 1, 2)]);
    let problem = refusal(&[root.clone(), other]);
    assert_eq!(problem.code, ErrorCode::ContentChanged);
    let problem = refusal(&[root.clone(), below.clone(), below]);
    assert!(
        problem.message.contains("too many manifests"),
        "{problem:?}"
    );
    let mut builder = FolderTreeBuilder::new(hash);
    assert_eq!(builder.expected(), Some(hash));
    assert_eq!(
        builder.add_part(&root, true).unwrap_err().code,
        ErrorCode::ContentChanged
    );
}

/// A chain of `depth` folders, the innermost with a file. Outermost first.
fn chain(depth: usize, name: &str) -> Vec<Vec<u8>> {
    let (mut bytes, mut hash) = forged(&[file(name, 1)]);
    let mut manifests = vec![bytes];
    for _ in 0..depth {
        (bytes, hash) = forged(&[folder(name, hash, 1, 1)]);
        manifests.push(bytes);
    }
    manifests.reverse();
    manifests
}

fn accepted(manifests: &[Vec<u8>]) -> FolderTree {
    let mut builder = FolderTreeBuilder::new(ContentHash::of_manifest(&manifests[0]));
    for bytes in manifests {
        builder.add_part(bytes, true).unwrap();
    }
    builder.finish().unwrap()
}

#[test]
fn a_folder_that_is_too_deep_is_refused() {
    let tree = accepted(&chain(DEPTH_MAX - 1, "x"));
    assert_eq!(tree.depth(), DEPTH_MAX);
    assert_eq!(tree.file(0).unwrap().path.parts().count(), DEPTH_MAX);
    let problem = refusal(&chain(DEPTH_MAX, "x"));
    assert_eq!(problem.code, ErrorCode::TooLarge);
    assert!(problem.message.contains("256 levels"), "{problem:?}");
}

#[test]
fn a_known_folder_at_a_place_that_is_too_deep_is_refused() {
    // The folder 'a' has 200 levels; it occurs again below 'b', which has 56 more.
    let known = chain(199, "x");
    let hash = ContentHash::of_manifest(&known[0]);
    for (depth, is_good) in [(54, true), (55, false)] {
        let mut below = vec![forged(&[folder("x", hash, 1, 1)])];
        for _ in 0..depth {
            let (_, hash) = below[below.len() - 1];
            below.push(forged(&[folder("x", hash, 1, 1)]));
        }
        let outer = below[below.len() - 1].1;
        let (root, _) = forged(&[folder("a", hash, 1, 1), folder("b", outer, 1, 1)]);
        let mut manifests = [vec![root], known.clone()].concat();
        manifests.extend(below.into_iter().rev().map(|(bytes, _)| bytes));
        if is_good {
            assert_eq!(accepted(&manifests).depth(), DEPTH_MAX);
        } else {
            assert!(refusal(&manifests).message.contains("256 levels"));
        }
    }
}

#[test]
fn a_path_that_is_too_long_is_refused() {
    // 16 parts of 255 bytes and 15 separators: the maximum.
    let name = "n".repeat(255);
    let tree = accepted(&chain(15, &name));
    assert_eq!(tree.longest_path(), PATH_MAX);
    let problem = refusal(&chain(16, &name));
    assert_eq!(problem.code, ErrorCode::TooLarge);
    assert!(problem.message.contains("4095 bytes"), "{problem:?}");
}

#[test]
fn a_known_folder_at_a_place_with_too_long_a_path_is_refused() {
    let name = "n".repeat(255);
    let known = chain(14, &name);
    let hash = ContentHash::of_manifest(&known[0]);
    let (root, _) = forged(&[
        folder("a", hash, 1, 1),
        folder(&"b".repeat(255), hash, 1, 1),
    ]);
    let manifests = [vec![root], known.clone()].concat();
    assert_eq!(accepted(&manifests).longest_path(), PATH_MAX);
    // One more level.
    let (middle, middle_hash) = forged(&[folder("m", hash, 1, 1)]);
    let (root, _) = forged(&[
        folder("a", hash, 1, 1),
        folder(&"b".repeat(254), middle_hash, 1, 1),
    ]);
    let manifests = [vec![root], known, vec![middle]].concat();
    let problem = refusal(&manifests);
    assert!(problem.message.contains("4095 bytes"), "{problem:?}");
}

/// A folder with `width` equal sub-folders, in `levels` levels above one manifest.
fn bomb(below: Vec<u8>, totals: (u64, u64), width: u64, levels: u32) -> Vec<Vec<u8>> {
    let mut manifests = vec![below];
    for level in 0..levels {
        let hash = ContentHash::of_manifest(&manifests[manifests.len() - 1]);
        let times = width.saturating_pow(level);
        let (files, size) = (totals.0 * times, totals.1 * times);
        let entries: Vec<_> = (0..width)
            .map(|i| folder(&format!("{i:04}"), hash, files, size))
            .collect();
        manifests.push(forged(&entries).0);
    }
    manifests.reverse();
    manifests
}

#[test]
fn equal_folders_that_expand_to_too_many_folders_are_refused() {
    let (empty, _) = forged(&[]);
    let tree = accepted(&bomb(empty.clone(), (0, 0), 999, 2));
    assert_eq!(tree.folder_count(), 999 * 1000);
    assert!(tree.heap_bytes() < 1 << 20);
    let problem = refusal(&bomb(empty.clone(), (0, 0), 1000, 2));
    assert_eq!(problem.code, ErrorCode::TooLarge);
    assert!(problem.message.contains("1000000 folders"), "{problem:?}");
    // 10^30 folders.
    assert!(
        refusal_in(&bomb(empty, (0, 0), 1000, 10))
            .message
            .contains("folders")
    );
}

#[test]
fn too_many_folders_in_one_manifest_are_refused_when_they_arrive() {
    let (_, empty) = forged(&[]);
    let entries: Vec<_> = (0..LEVEL_MAX)
        .map(|i| folder(&format!("{i:06}"), empty, 0, 0))
        .collect();
    let (below, below_hash) = forged(&entries);
    let (root, root_hash) = forged(&[folder("a", below_hash, 0, 0), folder("b", empty, 0, 0)]);
    let mut builder = FolderTreeBuilder::new(root_hash);
    builder.add_part(&root, true).unwrap();
    let entry = 50 + 6;
    let (most, last_two) = below.split_at(below.len() - 2 * entry);
    builder.add_part(most, false).unwrap();
    let problem = builder.add_part(&last_two[..entry], false).unwrap_err();
    assert!(problem.message.contains("1000000 folders"), "{problem:?}");
}

#[test]
fn equal_folders_that_expand_to_too_many_files_are_refused() {
    let entries: Vec<_> = (0..1000).map(|i| file(&format!("{i:04}"), 1)).collect();
    let (level, _) = forged(&entries);
    let tree = accepted(&bomb(level.clone(), (1000, 1000), 1000, 1));
    assert_eq!((tree.file_count(), tree.size()), (1_000_000, 1_000_000));
    assert_eq!(tree.file(999_999).unwrap().path.as_str(), "0999/0999");
    let problem = refusal_in(&bomb(level, (1000, 1000), 1000, 2));
    assert_eq!(problem.code, ErrorCode::TooLarge);
    assert!(
        problem.message.contains(&format!("{FILES_MAX} files")),
        "{problem:?}"
    );
}

/// Adds manifests until one is refused.
fn refusal_in(manifests: &[Vec<u8>]) -> Problem {
    let mut builder = FolderTreeBuilder::new(ContentHash::of_manifest(&manifests[0]));
    let added = manifests.iter().map(|bytes| builder.add_part(bytes, true));
    added.filter_map(Result::err).next().unwrap()
}

#[test]
fn a_folder_that_claims_few_files_cannot_send_many() {
    let entries: Vec<_> = (0..1000).map(|i| file(&format!("{i:04}"), 1)).collect();
    let (below, hash) = forged(&entries);
    let (root, root_hash) = forged(&[folder("x", hash, 10, 10)]);
    let mut builder = FolderTreeBuilder::new(root_hash);
    builder.add_part(&root, true).unwrap();
    // The first part is refused, before the rest arrives.
    let entry = 46 + 4;
    assert!(builder.add_part(&below[..8 + 10 * entry], false).is_ok());
    assert!(
        builder
            .add_part(&below[8 + 10 * entry..][..entry], false)
            .is_err()
    );
}

#[test]
fn a_million_files_take_less_than_a_hundred_bytes_each() {
    let mut encoder = manifest::ManifestEncoder::new(LEVEL_MAX).unwrap();
    for i in 0..LEVEL_MAX {
        let name = format!("photo-{i:07}.jpg");
        encoder.push(file(&name, 1024).borrowed()).unwrap();
    }
    let (bytes, summary) = encoder.finish().unwrap();
    let mut builder = FolderTreeBuilder::new(summary.hash);
    let entry = 46 + "photo-0000000.jpg".len();
    let (first, rest) = bytes.split_at(8 + 10_000 * entry);
    builder.add_part(first, false).unwrap();
    let parts = rest.chunks(10_000 * entry);
    let count = parts.len();
    for (index, part) in parts.enumerate() {
        builder.add_part(part, index + 1 == count).unwrap();
    }
    let peak = builder.heap_bytes();
    let tree = builder.finish().unwrap();
    assert_eq!(tree.file_count(), LEVEL_MAX);
    assert!(tree.heap_bytes() <= 70 * LEVEL_MAX, "{}", tree.heap_bytes());
    assert!(peak <= 100 * LEVEL_MAX, "{peak}");
    assert_eq!(
        tree.file(777_777).unwrap().path.as_str(),
        "photo-0777777.jpg"
    );
    let pieces = FolderPieces::new(&tree);
    assert_eq!(pieces.piece_count(), 977);
}
