//! Manifests of a hostile peer.

use super::*;

/// Encodes a manifest without checks, and returns it with its hash.
fn forged(entries: &[ManifestEntry]) -> (Vec<u8>, ContentHash) {
    let mut bytes = manifest::header(entries.len());
    for entry in entries {
        manifest::write_entry(&mut bytes, &entry.borrowed());
    }
    let hash = ContentHash::of_manifest(&bytes);
    (bytes, hash)
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
