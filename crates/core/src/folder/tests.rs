//! Folders from manifests: order, offsets and memory.

mod hostile;

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
            hash: ContentHash::EMPTY,
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

fn file(name: &str, size: u64) -> ManifestEntry {
    let contents = contents(size);
    ManifestEntry::file(name, size, contents.crc32, contents.hash)
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
