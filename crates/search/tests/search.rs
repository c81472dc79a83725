//! What a person who searches would notice.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::path::Path;

use convite_core::ErrorCode;
use convite_search::{Document, Filter, SearchIndex};
use proptest::prelude::*;

const ANA: i64 = 1;
const BEA: i64 = 2;

fn document(key: i64, paths: &[&str]) -> Document {
    Document {
        key,
        size: key as u64 * 100,
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        peers: vec![ANA],
    }
}

/// An index of one document for each list of paths, with keys from 1 on.
fn index(documents: &[&[&str]]) -> (SearchIndex, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let index = SearchIndex::open(folder.path()).unwrap();
    let documents = documents.iter().zip(1..).map(|(p, key)| document(key, p));
    put(&index, documents.collect());
    (index, folder)
}

fn put(index: &SearchIndex, documents: Vec<Document>) {
    let changes = documents.into_iter().map(|d| (d.key, Some(d)));
    index.apply(changes.collect(), Some(1)).unwrap();
}

fn found_with(index: &SearchIndex, query: &str, filter: &Filter) -> Vec<i64> {
    let hits = index.search(query, filter, &[ANA].into(), 0, 100).unwrap();
    assert_eq!(hits.next_offset, None);
    hits.hits.iter().map(|hit| hit.key).collect()
}

fn found(index: &SearchIndex, query: &str) -> Vec<i64> {
    found_with(index, query, &Filter::default())
}

#[test]
fn names_are_found_as_people_write_them() {
    let (index, _folder) = index(&[
        &["s/Telemática/Informe2024-final.PDF"],
        &["s/fooBarBaz.rs"],
        &["s/报告.docx"],
        &["s/Straße.txt"],
        &["s/HTTPServer_test.go"],
    ]);
    for (query, keys) in [
        ("telematica", [1].as_slice()),
        ("TELEMÁTICA", &[1]),
        ("2024", &[1]),
        ("informe", &[1]),
        ("informe2024", &[1]),
        ("informe 2024 final pdf", &[1]),
        ("s/Telemática/Informe2024-final.PDF", &[1]),
        ("inf", &[1]),
        ("inf 20", &[1]),
        ("forme", &[]),
        ("informe 2025", &[]),
        ("informe baz", &[]),
        ("bar", &[2]),
        ("foo_bar", &[2]),
        ("BarBaz", &[2]),
        ("foobarb", &[2]),
        ("报告", &[3]),
        ("告", &[3]),
        ("strasse", &[4]),
        ("server", &[5]),
        ("httpserver", &[5]),
        ("http test", &[5]),
    ] {
        assert_eq!(found(&index, query), keys, "{query}");
    }
}

#[test]
fn the_whole_word_ranks_above_its_beginning_and_the_name_above_the_folder() {
    let (index, _folder) = index(&[
        &["reporting/x.bin"],
        &["report/x.bin"],
        &["s/reporting.bin"],
        &["s/a report of some length about many things.bin"],
        &["s/report.bin"],
        &["s/other.bin"],
    ]);
    assert_eq!(found(&index, "report"), [5, 4, 3, 2, 1]);
    assert_eq!(found(&index, "report bin"), [5, 4, 3, 2, 1]);
}

#[test]
fn equals_come_newest_first_and_an_empty_query_finds_all() {
    let (index, _folder) = index(&[&["s/same.txt"], &["s/same.txt"], &["s/same.txt"]]);
    assert_eq!(found(&index, "same"), [3, 2, 1]);
    for query in ["", "  ", "*", "./-"] {
        assert_eq!(found(&index, query), [3, 2, 1], "{query:?}");
    }
}

#[test]
fn a_single_letter_is_a_beginning_only_in_the_last_place() {
    let (index, _folder) = index(&[&["s/alpha beta"], &["s/a beta"]]);
    assert_eq!(found(&index, "beta a"), [2, 1]);
    assert_eq!(found(&index, "a beta"), [2]);
}

#[test]
fn filters_narrow_what_is_found() {
    let (index, _folder) = index(&[
        &["s/one.TXT"],
        &["s/two.txt", "s/two.md"],
        &["s/three.tar.gz"],
        &["s/.txt"],
        &["s/txt"],
    ]);
    let extension = |e: &str| Filter {
        extension: Some(e.to_owned()),
        ..Filter::default()
    };
    for (wanted, keys) in [
        ("txt", [2, 1].as_slice()),
        ("TXT", &[2, 1]),
        (".txt", &[2, 1]),
        ("md", &[2]),
        ("gz", &[3]),
        ("tar.gz", &[3]),
        ("tar", &[]),
        ("", &[5, 4, 3, 2, 1]),
        (".*", &[]),
    ] {
        assert_eq!(found_with(&index, "", &extension(wanted)), keys, "{wanted}");
    }
    assert_eq!(found_with(&index, "two", &extension("txt")), [2]);
    assert_eq!(found_with(&index, "three", &extension("txt")), [0; 0]);
    let sizes = |min_size, max_size| Filter {
        min_size,
        max_size,
        ..Filter::default()
    };
    assert_eq!(found_with(&index, "", &sizes(Some(200), Some(300))), [3, 2]);
    assert_eq!(found_with(&index, "", &sizes(Some(301), None)), [5, 4]);
    assert_eq!(found_with(&index, "", &sizes(None, Some(100))), [1]);
    assert_eq!(found_with(&index, "", &sizes(Some(2), Some(1))), [0; 0]);
}

#[test]
fn only_what_someone_online_holds_is_found() {
    let (index, _folder) = index(&[]);
    let mut documents: Vec<_> = (1..=4).map(|key| document(key, &["s/film.mkv"])).collect();
    documents[1].peers = vec![BEA];
    documents[2].peers = vec![ANA, BEA];
    documents[3].peers = vec![];
    put(&index, documents);
    let found = |online: &[i64], peer| {
        let filter = Filter {
            peer,
            ..Filter::default()
        };
        let online: HashSet<i64> = online.iter().copied().collect();
        let hits = index.search("film", &filter, &online, 0, 10).unwrap().hits;
        hits.iter().map(|hit| hit.key).collect::<Vec<_>>()
    };
    assert_eq!(found(&[ANA, BEA], None), [3, 2, 1]);
    assert_eq!(found(&[ANA], None), [3, 1]);
    assert_eq!(found(&[BEA, 99], None), [3, 2]);
    assert_eq!(found(&[], None), [0; 0]);
    assert_eq!(found(&[ANA, BEA], Some(BEA)), [3, 2]);
    assert_eq!(found(&[ANA], Some(BEA)), [0; 0]);
}

#[test]
fn pages_have_no_gaps_and_no_repeats_though_some_are_offline() {
    let (index, _folder) = index(&[]);
    // Several commits, so that there are several segments.
    for batch in 0..5 {
        let documents = (1..=40).map(|n| {
            let mut document = document(batch * 40 + n, &["s/song.mp3", "s/other.mp3"]);
            document.paths.truncate(1 + (n % 2) as usize);
            document.peers = vec![if n % 3 == 0 { BEA } else { ANA }];
            document
        });
        put(&index, documents.collect());
    }
    for (query, limit) in [("song", 7), ("so", 1), ("", 30), ("mp3 song", 135)] {
        let mut keys = Vec::new();
        let mut offset = Some(0);
        while let Some(from) = offset {
            let page = index
                .search(query, &Filter::default(), &[ANA].into(), from, limit)
                .unwrap();
            assert!(page.hits.len() <= limit as usize);
            assert!(!page.hits.is_empty());
            keys.extend(page.hits.iter().map(|hit| hit.key));
            offset = page.next_offset;
        }
        let distinct: HashSet<_> = keys.iter().collect();
        assert_eq!((keys.len(), distinct.len()), (135, 135), "{query}");
        assert!(keys.iter().all(|key| (key - 1) % 40 % 3 != 2));
    }
    let beyond = index.search("", &Filter::default(), &[ANA].into(), u64::MAX, u32::MAX);
    let beyond = beyond.unwrap();
    assert_eq!((beyond.hits.len(), beyond.next_offset), (0, None));
}

#[test]
fn documents_are_replaced_and_dropped_and_kept_with_their_position() {
    let folder = tempfile::tempdir().unwrap();
    let index = SearchIndex::open(folder.path()).unwrap();
    assert_eq!(index.position(), None);
    put(
        &index,
        vec![document(1, &["s/old"]), document(2, &["s/kept"])],
    );
    let changes = vec![
        (1, Some(document(1, &["s/between"]))),
        (1, Some(document(1, &["s/new"]))),
        (2, None),
        (2, Some(document(2, &["s/kept"]))),
        (9, None),
    ];
    index.apply(changes, Some(42)).unwrap();
    let check = |index: &SearchIndex| {
        assert_eq!(index.position(), Some(42));
        assert_eq!(found(index, ""), [2, 1]);
        assert_eq!(found(index, "new"), [1]);
        assert_eq!(found(index, "old"), [0; 0]);
        assert_eq!(found(index, "between"), [0; 0]);
    };
    check(&index);
    drop(index);
    let index = SearchIndex::open(folder.path()).unwrap();
    check(&index);
    index.apply(vec![(1, None)], Some(43)).unwrap();
    assert_eq!(found(&index, ""), [2]);
    // While it is filled anew it stands nowhere.
    index
        .apply(vec![(3, Some(document(3, &["s/x"])))], None)
        .unwrap();
    assert_eq!(index.position(), None);
    index.clear().unwrap();
    assert_eq!(found(&index, ""), [0; 0]);
    drop(index);
    let index = SearchIndex::open(folder.path()).unwrap();
    assert_eq!((index.position(), found(&index, "").len()), (None, 0));
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn an_index_that_cannot_be_read_is_made_anew() {
    let build = || {
        let folder = tempfile::tempdir().unwrap();
        let index = SearchIndex::open(folder.path()).unwrap();
        put(&index, vec![document(1, &["s/a"]), document(2, &["s/b"])]);
        drop(index);
        folder
    };
    let parts = |folder: &Path| {
        let mut parts = files(folder);
        parts.retain(|path| path.extension().is_none_or(|e| e != "lock"));
        parts
    };
    let count = parts(build().path()).len();
    assert!(count > 3);
    let mut anew = 0;
    for n in 0..count {
        for cut in [true, false] {
            let folder = build();
            let path = &parts(folder.path())[n];
            let mut bytes = std::fs::read(path).unwrap();
            if cut {
                bytes.truncate(bytes.len() / 2);
            } else {
                bytes[0] ^= 0xff;
            }
            std::fs::write(path, bytes).unwrap();
            let index = SearchIndex::open(folder.path()).unwrap();
            // Either the damage did not matter, or it begins anew and says so by its position.
            match index.position() {
                Some(1) => assert_eq!(found(&index, ""), [2, 1], "{}", path.display()),
                other => {
                    assert_eq!(other, None);
                    assert_eq!(found(&index, ""), [0; 0]);
                    anew += 1;
                }
            }
            put(&index, vec![document(3, &["s/c"])]);
            assert_eq!(found(&index, "c"), [3]);
        }
    }
    assert!(anew > count, "{anew} of {count} files");
}

#[test]
fn an_index_that_is_open_elsewhere_is_left_alone() {
    let (index, folder) = index(&[&["s/a"]]);
    let refused = SearchIndex::open(folder.path()).err().unwrap();
    assert_eq!(refused.code, ErrorCode::Unavailable);
    put(&index, vec![document(2, &["s/b"])]);
    assert_eq!(found(&index, ""), [2, 1]);
}

#[test]
fn hostile_queries_are_answered() {
    let (index, _folder) = index(&[&["s/a1b2c3.txt"], &["s/.*(x+x+)+y [] \u{1b}[31m.txt"]]);
    for query in [
        "a".repeat(100_000),
        "a1".repeat(50_000),
        "x ".repeat(50_000),
        (0..20_000).map(|n| format!("w{n} ")).collect(),
        " ".repeat(100_000),
        "\u{301}".repeat(100_000),
        "\u{fdfa}".repeat(30_000),
        ".*".into(),
        "(x+x+)+y".into(),
        "\0\u{1b}[31m\n\r".into(),
        "\"AND OR NOT name:a^9 [a TO z] {\\".into(),
        "\u{10ffff}".into(),
    ] {
        index
            .search(&query, &Filter::default(), &[ANA].into(), 0, 10)
            .unwrap();
    }
    assert_eq!(found(&index, "(x+x+)+y"), [2]);
    // Of very many words the first sixteen count.
    let many = format!("{} nothing", "a1b2c3 txt ".repeat(40));
    assert_eq!(found(&index, &many), [0; 0]);
    let words: String = (0..16)
        .map(|n| format!("{} ", &"a1b2c3"[..1 + n % 6]))
        .collect();
    assert_eq!(found(&index, &words), [1]);
}

#[test]
fn merges_leave_no_documents_behind() {
    let (index, folder) = index(&[]);
    for round in 0..60 {
        let documents = (1..=20).map(|key| document(key, &[&format!("s/round{round}.txt")]));
        put(&index, documents.collect());
    }
    assert_eq!(found(&index, "").len(), 20);
    assert_eq!(found(&index, "round59").len(), 20);
    assert_eq!(found(&index, "round58"), [0; 0]);
    // Sixty commits of one segment each, ten files a segment, if nothing was merged and deleted.
    assert!(files(folder.path()).len() < 200);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_part_of_a_name_that_stands_alone_finds_it(
        names in prop::collection::vec("[a-zA-ZñéÜß0-9]{1,8}([._ -][a-zA-Z0-9]{1,8}){0,3}", 1..8),
    ) {
        let paths: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
        let documents: Vec<&[&str]> = paths.iter().map(|path| path.as_slice()).collect();
        let (index, _folder) = index(&documents);
        for (name, key) in names.iter().zip(1..) {
            prop_assert!(found(&index, name).contains(&key), "{name}");
            for word in name.split(['.', '_', ' ', '-']) {
                for query in [word.to_owned(), word.to_lowercase(), word.to_uppercase()] {
                    // Capitals tell words apart, so all capitals may be other words.
                    prop_assert!(found(&index, &query).contains(&key), "{query} in {name}");
                }
            }
        }
    }
}
