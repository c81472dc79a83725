//! Encoding and decoding of manifests: round trips, mutations, rules.

use proptest::prelude::*;

use super::*;
use crate::entry_kind::EntryKind;
use crate::error::ErrorCode;

fn file(name: &str, size: u64) -> ManifestEntry {
    match size {
        0 => ManifestEntry::file(name, 0, 0, ContentHash::EMPTY),
        _ => ManifestEntry::file(
            name,
            size,
            size as u32,
            ContentHash::of(&size.to_le_bytes()),
        ),
    }
}

fn folder(name: &str, files: u64, size: u64) -> ManifestEntry {
    let hash = ContentHash::of(name.as_bytes());
    let summary = ManifestSummary {
        hash,
        entries: 0,
        files,
        size,
    };
    ManifestEntry::folder(name, &summary)
}

/// Encodes entries without checks.
fn raw(entries: &[ManifestEntry]) -> Vec<u8> {
    let mut bytes = header(entries.len());
    for entry in entries {
        write_entry(&mut bytes, &entry.borrowed());
    }
    bytes
}

fn entry() -> impl Strategy<Value = ManifestEntry> {
    let name = "[a-cA-C][a-c. ñ文]{0,6}";
    let size = prop_oneof![Just(0), 1u64..5000, Just(1 << 40)];
    (name, size, 0u64..1000, any::<bool>()).prop_map(|(name, size, files, is_file)| {
        if is_file {
            file(&name, size)
        } else {
            folder(&name, files, if files == 0 { 0 } else { size })
        }
    })
}

fn manifest() -> impl Strategy<Value = Manifest> {
    proptest::collection::vec(entry(), 0..12).prop_map(|mut entries| {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        entries.dedup_by(|a, b| a.name == b.name);
        Manifest::new(entries).unwrap()
    })
}

/// Returns the lengths of the header with the first entry, and of each other entry.
fn entry_lengths(manifest: &Manifest) -> Vec<usize> {
    let lengths = manifest.entries().iter().map(|entry| {
        let fixed = if entry.kind.is_file() { 46 } else { 50 };
        fixed + entry.name.len()
    });
    let mut lengths: Vec<usize> = lengths.collect();
    match lengths.first_mut() {
        Some(first) => *first += 8,
        None => lengths.push(8),
    }
    lengths
}

proptest! {
    #[test]
    fn a_manifest_survives_encoding(manifest in manifest()) {
        let bytes = manifest.encode();
        prop_assert_eq!(manifest.hash(), ContentHash::of_manifest(&bytes));
        prop_assert_ne!(manifest.hash(), ContentHash::of(&bytes));
        prop_assert_eq!(&Manifest::decode(&bytes).unwrap(), &manifest);
        let shuffled = manifest.entries().iter().rev().cloned().collect();
        prop_assert_eq!(&Manifest::new(shuffled).unwrap(), &manifest);
        for entry in manifest.entries() {
            prop_assert_eq!(manifest.entry(&entry.name), Some(entry));
        }
    }

    #[test]
    fn parts_between_entries_make_the_same_manifest(
        manifest in manifest(), runs in proptest::collection::vec(1usize..4, 12),
    ) {
        let mut encoder = ManifestEncoder::new(manifest.entries().len()).unwrap();
        let mut decoder = ManifestDecoder::new();
        let mut bytes = Vec::new();
        let mut decoded = Vec::new();
        let mut rest = manifest.entries();
        for run in runs {
            let (now, later) = rest.split_at(run.min(rest.len()));
            for entry in now {
                encoder.push(entry.borrowed()).unwrap();
            }
            let part = encoder.take_part();
            decoder.push(&part, |entry| {
                decoded.push(entry.to_entry());
                Ok(())
            }).unwrap();
            bytes.extend(part);
            rest = later;
        }
        let (last, summary) = encoder.finish().unwrap();
        prop_assert!(last.is_empty());
        prop_assert_eq!(&summary, manifest.summary());
        prop_assert_eq!(decoder.announced(), Some(decoded.len()));
        prop_assert_eq!(decoder.totals(), manifest.totals());
        prop_assert_eq!(&decoder.finish().unwrap(), manifest.summary());
        prop_assert_eq!(&bytes, &manifest.encode());
        prop_assert_eq!(decoded, manifest.entries());
    }

    #[test]
    fn a_changed_byte_is_refused_or_changes_the_hash(
        manifest in manifest(), at in any::<prop::sample::Index>(), mask in 1u8..,
    ) {
        let good = manifest.encode();
        let mut bytes = good.clone();
        bytes[at.index(good.len())] ^= mask;
        if let Ok(other) = Manifest::decode(&bytes) {
            prop_assert_ne!(other.hash(), manifest.hash());
            // The encoding is canonical: what is accepted is what the encoder writes.
            prop_assert_eq!(other.encode(), bytes);
        }
    }

    #[test]
    fn a_manifest_that_is_cut_or_longer_is_refused(
        manifest in manifest(), at in any::<prop::sample::Index>(), more in 1usize..60,
    ) {
        let mut bytes = manifest.encode();
        prop_assert!(Manifest::decode(&bytes[..at.index(bytes.len())]).is_err());
        bytes.extend(std::iter::repeat_n(0, more));
        prop_assert!(Manifest::decode(&bytes).is_err());
    }

    #[test]
    fn a_part_that_ends_within_an_entry_is_refused(
        manifest in manifest(), at in any::<prop::sample::Index>(),
    ) {
        let bytes = manifest.encode();
        let cut = at.index(bytes.len());
        let mut borders = vec![0];
        for length in entry_lengths(&manifest) {
            borders.push(borders[borders.len() - 1] + length);
        }
        let mut decoder = ManifestDecoder::new();
        let first = decoder.push(&bytes[..cut], |_| Ok(()));
        // The header alone is a part, too.
        prop_assert_eq!(first.is_ok(), cut == 8 || borders[1..].contains(&cut));
    }

    #[test]
    fn arbitrary_bytes_are_refused_or_canonical(
        head in prop_oneof![Just(b"CVM1\x01\0\0\0\0".to_vec()), Just(Vec::new())],
        tail in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = [head, tail].concat();
        if let Ok(manifest) = Manifest::decode(&bytes) {
            prop_assert_eq!(manifest.encode(), bytes);
        }
    }
}

#[test]
fn entries_that_break_a_rule_are_refused_by_encoder_and_decoder() {
    use ErrorCode::{InvalidArgument, TooLarge};
    let entry = |kind, size, files, crc32| ManifestEntry {
        kind,
        size,
        files,
        crc32,
        ..file("a", 7)
    };
    let max = FOLDER_SIZE_MAX;
    let cases = [
        (vec![file("", 1)], InvalidArgument, "is empty"),
        (vec![file(".", 1)], InvalidArgument, "begins with a dot"),
        (vec![file("..", 1)], InvalidArgument, "begins with a dot"),
        (vec![file(".ssh", 1)], InvalidArgument, "hidden names"),
        (vec![file("a/b", 1)], InvalidArgument, "contains '/'"),
        (vec![file("a\0", 1)], InvalidArgument, "or NUL"),
        (vec![file("a", 1), file("a", 2)], InvalidArgument, "unique"),
        (
            vec![file("a", 1), folder("a", 1, 1)],
            InvalidArgument,
            "unique",
        ),
        (vec![folder("a", 0, 1)], InvalidArgument, "without files"),
        (
            vec![entry(EntryKind::File, 0, 1, 0)],
            InvalidArgument,
            "an empty file",
        ),
        (vec![file("a", max + 1)], TooLarge, "9007199254740992 bytes"),
        (vec![file("a", max), file("b", 1)], TooLarge, "bytes"),
        (vec![file("a", u64::MAX), file("b", 1)], TooLarge, "bytes"),
        (vec![file("a", 1), file("b", u64::MAX)], TooLarge, "bytes"),
        (
            vec![folder("a", FILES_MAX + 1, 1)],
            TooLarge,
            "5000000 files",
        ),
        (
            vec![folder("a", FILES_MAX, 1), file("b", 1)],
            TooLarge,
            "files",
        ),
        (
            vec![folder("a", u64::MAX, 1), folder("b", 2, 1)],
            TooLarge,
            "files",
        ),
    ];
    for (entries, code, text) in cases {
        let encoded = Manifest::new(entries.clone()).unwrap_err();
        let decoded = Manifest::decode(&raw(&entries)).unwrap_err();
        assert_eq!(encoded, decoded, "{entries:?}");
        assert_eq!(decoded.code, code, "{entries:?}");
        assert!(decoded.message.contains(text), "{decoded:?}");
    }
    // An encoding cannot express these.
    let unwritable = [
        entry(EntryKind::File, 7, 2, 0),
        entry(EntryKind::Folder, 7, 1, 1),
        file(&"x".repeat(256), 1),
    ];
    for entry in unwritable {
        assert!(Manifest::new(vec![entry]).is_err());
    }
    assert!(Manifest::new(vec![file(&"x".repeat(255), 1)]).is_ok());
    assert!(Manifest::new(vec![file("a", max)]).is_ok());
    assert!(Manifest::new(vec![folder("a", FILES_MAX, max)]).is_ok());
}

#[test]
fn unsorted_names_other_versions_and_unknown_kinds_are_refused() {
    let sorted = [file("B", 1), file("a", 1)];
    let bytes = raw(&sorted);
    assert!(Manifest::decode(&bytes).is_ok());
    let refusal = |bytes: &[u8]| Manifest::decode(bytes).unwrap_err().message;
    let unsorted = raw(&[sorted[1].clone(), sorted[0].clone()]);
    assert!(refusal(&unsorted).contains("sorted by bytes"));
    let mut other = bytes.clone();
    other[3] = b'2';
    assert!(refusal(&other).contains("known version"));
    let mut other = bytes.clone();
    other[8] = 2;
    assert!(refusal(&other).contains("unknown kind 2"));
    let mut other = bytes.clone();
    other[10] = 0xff;
    assert!(refusal(&other).contains("UTF-8"));
    let mut other = bytes.clone();
    other[4] = 1;
    assert!(refusal(&other).contains("more than the 1 entries"));
    other[4] = 3;
    assert!(refusal(&other).contains("2 of the 3 entries"));
    assert_eq!(refusal(&bytes[..7]), "a manifest ends too early");
}

#[test]
fn a_level_has_at_most_a_million_entries() {
    assert!(ManifestEncoder::new(LEVEL_MAX).is_ok());
    let encoded = ManifestEncoder::new(LEVEL_MAX + 1).unwrap_err();
    let decoded = Manifest::decode(&header(LEVEL_MAX + 1)).unwrap_err();
    assert_eq!(encoded, decoded);
    assert_eq!(decoded.code, ErrorCode::TooLarge);
    assert!(Manifest::decode(&[b'C', b'V', b'M', b'1', 255, 255, 255, 255]).is_err());
}

#[test]
fn the_hasher_agrees_with_the_encoding_across_its_runs() {
    let entries = (0..5000).map(|i| file(&format!("{i:05}"), i)).collect();
    let manifest = Manifest::new(entries).unwrap();
    assert_eq!(
        manifest.hash(),
        ContentHash::of_manifest(&manifest.encode())
    );
}

#[test]
fn an_error_shows_no_control_characters() {
    let bytes = raw(&[file(".\u{1b}[2J", 1)]);
    let problem = Manifest::decode(&bytes).unwrap_err();
    assert!(!problem.message.contains('\u{1b}'), "{problem:?}");
}
