//! Tests of which queries match which names.

use convite_core::EntryKind;
use convite_core::file_kind::FileType;
use convite_core::sort::Sort;
use convite_search::{Document, Filter, Progress, Query};
use proptest::prelude::*;
use unicode_normalization::char::is_combining_mark;

use super::{Asked, document, found, found_with, index, put};

/// Lists names, and for each query the names that it finds, best first.
#[test]
fn names_are_found_as_people_write_them() {
    let names = [
        "s/Telemática/Informe2024-final.PDF",
        "s/fooBarBaz.rs",
        "s/报告.docx",
        "s/Straße.txt",
        "s/HTTPServer_test.go",
        "holiday/beach photo 01.jpg",
        "holiday/photo of the beach.jpg",
        "work/annual report.pdf",
        "work/annual report draft.pdf",
        "work/reports/annual.xlsx",
        "music/Björk - Jóga (live).flac",
        "music/20240131_123456.mp3",
    ];
    let paths: Vec<[&str; 1]> = names.iter().map(|name| [*name]).collect();
    let documents: Vec<&[&str]> = paths.iter().map(|path| path.as_slice()).collect();
    let (index, _folder) = index(&documents);
    let mut differences = Vec::new();
    for (query, keys) in [
        // Case and accents.
        ("telematica", [1].as_slice()),
        ("TELEMÁTICA", &[1]),
        ("strasse", &[4]),
        ("bjork joga", &[11]),
        // Letters, digits, capitals, dots, dashes, underscores.
        ("2024", &[1, 12]),
        ("informe", &[1]),
        ("informe2024", &[1]),
        ("informe 2024 final pdf", &[1]),
        ("s/Telemática/Informe2024-final.PDF", &[1]),
        ("bar", &[2]),
        ("foo_bar", &[2]),
        ("BarBaz", &[2]),
        ("foobarb", &[2]),
        ("server", &[5]),
        ("httpserver", &[5]),
        ("http test", &[5]),
        ("报告", &[3]),
        ("告", &[3]),
        // Any order.
        ("final informe", &[1]),
        ("jpg beach photo", &[6, 7]),
        // Prefixes.
        ("inf", &[1]),
        ("inf 20", &[1]),
        ("i", &[1]),
        ("holid", &[7, 6]),
        ("202401", &[12]),
        ("forme", &[]),
        // All words.
        ("informe 2025", &[]),
        ("informe baz", &[]),
        // Folders come after names.
        ("report", &[9, 8, 10]),
        ("annual report", &[8, 9, 10]),
        ("music", &[12, 11]),
        // One typo, but not two, and not in short words or numbers.
        ("telematcia", &[]),
        ("infrome", &[1]),
        ("infrmo", &[]),
        ("annaul raport", &[9, 8]),
        ("beech", &[7, 6]),
        ("phto", &[]),
        ("20240132", &[]),
        ("strase", &[4]),
        // Phrases.
        ("\"beach photo\"", &[6]),
        ("\"photo beach\"", &[]),
        ("\"the beach\"", &[7]),
        ("\"annual report\" pdf", &[9, 8]),
        ("\"annual report pdf\"", &[8]),
        ("\"2024 final\"", &[1]),
        ("\"informe 2024\"", &[1]),
        ("\"foo bar\"", &[2]),
        ("\"bar foo\"", &[]),
        ("\"foobarbaz rs\"", &[2]),
        ("\"http server test\"", &[5]),
        ("-foobarbaz -http s", &[4, 3, 1]),
        ("\"informe2024 FINAL\"", &[1]),
        ("\"beach\"", &[7, 6]),
        ("\"beac\"", &[]),
        ("\"beach phot", &[]),
        // Exclusions.
        ("beach -photo", &[]),
        ("annual -draft", &[10, 8]),
        ("annual -\"report draft\"", &[10, 8]),
        ("annual -reports", &[9, 8]),
        ("annual -rep", &[10, 9, 8]),
        ("-s -holiday -work", &[12, 11]),
        ("well-annual", &[]),
    ] {
        let actual = found(&index, query);
        if actual != keys {
            differences.push(format!("{query}: {actual:?}, not {keys:?}"));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn symbols_are_found_where_they_are_and_nowhere_else() {
    let (index, _folder) = index(&[
        &["s/!!!.mp3"],
        &["s/what! really!.txt"],
        &["s/5\" disk.img"],
        &["s/🎵.txt"],
        &["s/🎵🎶 song.txt"],
        &["s/rock & roll - live.mp3"],
        &["s/song.txt"],
        &["s/ﬀ→ﬃ.txt"],
    ]);
    for (query, keys) in [
        ("!!!", [1].as_slice()),
        ("!", &[1, 2]),
        ("!?", &[]),
        ("\"", &[3]),
        ("-", &[6]),
        ("&", &[6]),
        ("🎵", &[5, 4]),
        ("🎵🎶", &[5]),
        ("🎶🎵", &[]),
        ("🎵.txt", &[4, 5]),
        ("🎵 song", &[5]),
        ("song -🎵", &[7]),
        ("🎸", &[]),
        ("→", &[8]),
        // Separators are ignored.
        ("rock - roll", &[6]),
        ("rock / roll!", &[6]),
        // Characters that are invisible on their own.
        ("\u{301}", &[]),
        ("\u{200d}", &[]),
        (" ", &[8, 7, 6, 5, 4, 3, 2, 1]),
    ] {
        let (mut actual, mut expected) = (found(&index, query), keys.to_vec());
        actual.sort_unstable();
        expected.sort_unstable();
        assert_eq!(actual, expected, "{query:?}");
    }
}

#[test]
fn scripts_without_spaces_are_found_by_any_piece() {
    let (index, _folder) = index(&[
        &["s/한국어노래.mp3"],
        &["s/노란래일.mp3"],
        &["s/เพลงไทยเก็บ.mp3"],
        &["s/ភាសាខ្មែរ.txt"],
        &["s/كتـــابي.pdf"],
        &["s/می\u{200c}خواهم.txt"],
        &["s/Donau\u{ad}dampf.txt"],
        &["s/日本語の長い名前がここに続いてどこまでも終わらない物語の第一章.txt"],
        &["노래/x.bin"],
        &["래노/x.bin"],
        // Decomposed, as some file systems store it.
        &["s/\u{1102}\u{1169}\u{1105}\u{1162}방.txt"],
        &["s/미래2024노래report.txt"],
    ]);
    for (query, keys) in [
        ("노래", [12, 11, 1, 9].as_slice()),
        ("국어노", &[1]),
        ("래노", &[10]),
        ("노래방", &[11]),
        ("노래2024", &[12]),
        ("미래 report", &[12]),
        ("ไทย", &[3]),
        ("เก็บ", &[3]),
        ("ยทไ", &[]),
        ("ខ្មែរ", &[4]),
        ("كتابي", &[5]),
        ("میخواهم", &[6]),
        ("donaudampf", &[7]),
        ("Donau\u{ad}dampf", &[7]),
        ("物語", &[8]),
        ("第一章", &[8]),
        ("章一", &[]),
        ("\"物語の\"", &[8]),
        ("日本 -物語", &[]),
    ] {
        let (mut actual, mut expected) = (found(&index, query), keys.to_vec());
        actual.sort_unstable();
        expected.sort_unstable();
        assert_eq!(actual, expected, "{query:?}");
    }
}

#[test]
fn any_of_several_queries_matches() {
    let (index, _folder) = index(&[
        &["s/a.txt"],
        &["s/b.txt"],
        &["s/c.txt"],
        &["s/b a long name with c.txt"],
    ]);
    fn both<'a>(texts: &'a [&'a str]) -> Asked<'a> {
        Asked {
            any: texts,
            ..Asked::new("")
        }
    }
    assert_eq!(both(&["a.txt", "b.txt"]).found(&index), [2, 1, 4]);
    assert_eq!(both(&["a.txt", "", " "]).found(&index), [1, 4]);
    assert_eq!(both(&["c -long", "b -a"]).found(&index), [3, 2]);
    assert_eq!(both(&["", ""]).found(&index), [4, 3, 2, 1]);
    assert_eq!(both(&["zzz", "b"]).found(&index), [2, 4]);
    assert!(Query::any(["a"; 17]).is_err());
}

#[test]
fn a_name_that_is_the_query_comes_first() {
    let names: Vec<String> = (0..120).map(|n| format!("s/scan_{n:04}.pdf")).collect();
    let mut paths: Vec<[&str; 1]> = vec![["s/scan.pdf"], ["s/a -b \"c\".txt"]];
    paths.extend(names.iter().map(|name| [name.as_str()]));
    let documents: Vec<&[&str]> = paths.iter().map(|path| path.as_slice()).collect();
    let (index, _folder) = index(&documents);
    for query in ["scan.pdf", "SCAN.PDF", "s/scan.pdf"] {
        assert_eq!(found(&index, query)[0], 1, "{query}");
    }
    assert_eq!(found(&index, "a -b \"c\".txt"), [2]);
    let by_size = Asked {
        sort: Sort::Size,
        ..Asked::new("a -b \"c\".txt")
    };
    assert_eq!(by_size.found(&index), [2]);
}

#[test]
fn a_single_letter_is_a_beginning_only_in_the_last_place() {
    let (index, _folder) = index(&[&["s/alpha beta"], &["s/a beta"]]);
    assert_eq!(found(&index, "beta a"), [2, 1]);
    assert_eq!(found(&index, "a beta"), [2]);
}

#[test]
fn filters_reduce_the_results() {
    let (index, _folder) = index(&[
        &["s/one.TXT"],
        &["s/two.txt", "s/two.mp4"],
        &["s/three.tar.gz"],
        &["s/.txt"],
        &["s/txt"],
        &["s/four.MKV"],
    ]);
    let of_type = |text: &str| Filter {
        file_type: Some(text.parse::<FileType>().unwrap()),
        ..Filter::default()
    };
    for (wanted, keys) in [
        ("txt", [2, 1].as_slice()),
        ("TXT", &[2, 1]),
        (".txt", &[2, 1]),
        ("gz", &[3]),
        ("tar.gz", &[3]),
        ("tar", &[]),
        (".*", &[]),
        ("video", &[6, 2]),
        ("document", &[2, 1]),
        ("archive", &[3]),
        ("audio", &[]),
    ] {
        assert_eq!(found_with(&index, "", &of_type(wanted)), keys, "{wanted}");
    }
    assert_eq!(found_with(&index, "two", &of_type("txt")), [2]);
    assert_eq!(found_with(&index, "two -txt", &of_type("video")), [0; 0]);
    assert_eq!(found_with(&index, "three", &of_type("txt")), [0; 0]);
    // A folder has no extension.
    let folder = Document {
        kind: EntryKind::Folder,
        ..document(7, &["s/two.txt"])
    };
    put(&index, vec![folder]);
    for (wanted, keys) in [
        ("folder", [7].as_slice()),
        ("file", &[6, 5, 4, 3, 2, 1]),
        ("txt", &[2, 1]),
        ("document", &[2, 1]),
        (".folder", &[]),
    ] {
        assert_eq!(found_with(&index, "", &of_type(wanted)), keys, "{wanted}");
    }
    assert_eq!(found_with(&index, "two", &of_type("folder")), [7]);
    assert_eq!(found_with(&index, "s/two.txt", &of_type("folders")), [7]);
    put(&index, vec![document(7, &["s/other"])]);
    assert_eq!(found_with(&index, "", &of_type("folder")), [0; 0]);
    index.apply(vec![(7, Vec::new())], Progress::At(2)).unwrap();
    let sizes = |min_size, max_size| Filter {
        min_size,
        max_size,
        ..Filter::default()
    };
    assert_eq!(found_with(&index, "", &sizes(Some(200), Some(300))), [3, 2]);
    assert_eq!(found_with(&index, "", &sizes(Some(401), None)), [6, 5]);
    assert_eq!(found_with(&index, "", &sizes(None, Some(100))), [1]);
    assert_eq!(found_with(&index, "", &sizes(Some(2), Some(1))), [0; 0]);
    let dates = |modified_from, modified_before| Filter {
        modified_from,
        modified_before,
        ..Filter::default()
    };
    assert_eq!(found_with(&index, "", &dates(Some(5000), None)), [6, 5]);
    assert_eq!(found_with(&index, "", &dates(None, Some(2000))), [1]);
    assert_eq!(
        found_with(&index, "", &dates(Some(2000), Some(4000))),
        [3, 2]
    );
}

#[test]
fn a_name_may_be_full_of_what_means_something_elsewhere() {
    let (index, _folder) = index(&[&["s/.*(x+x+)+y [] \u{1b}[31m.txt"]]);
    for query in ["(x+x+)+y", "\0x\u{1b}\n\r", "txt\"", "\"\" \"x", "x\" -\""] {
        assert_eq!(found(&index, query), [1], "{query:?}");
    }
    // Without words, the query searches for the symbols themselves.
    for (query, is_there) in [
        (".*(", true),
        ("\u{10ffff} x", false),
        ("[]", true),
        (")+", true),
        ("\u{1b}", true),
        ("\"[]\"", true),
        (".*[", false),
        ("\"", false),
        ("-", false),
        ("- - -", false),
        ("\"-\"", false),
    ] {
        assert_eq!(!found(&index, query).is_empty(), is_there, "{query:?}");
    }
    assert_eq!(found(&index, "AND OR NOT name:x^9 [a TO z] {\\"), [0; 0]);
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
            let phrase = format!("\"{name}\"");
            prop_assert!(found(&index, &phrase).contains(&key), "{phrase}");
            for word in name.split(['.', '_', ' ', '-']) {
                for query in [word.to_owned(), word.to_lowercase(), word.to_uppercase()] {
                    // Capitals separate words, so a word in all capitals may be split differently.
                    prop_assert!(found(&index, &query).contains(&key), "{query} in {name}");
                }
                let without = format!("{name} -{word}");
                prop_assert!(!found(&index, &without).contains(&key), "{without}");
            }
        }
    }

    #[test]
    fn a_name_is_found_by_its_words_and_by_itself(
        names in prop::collection::vec(
            "[a-zA-Zàß0-9]{1,7}|[가-힣]{1,8}|[ก-ฮะ-ู]{1,12}|[぀-ヿ一-丿]{1,9}|[ا-ي]{1,8}|[ऀ-ॿ]{1,8}|[!-/🌀-🌟]{1,4}|\\PC{1,6}",
            1..6,
        ),
        glue in "[ ._-]",
        cut in 0usize..8,
    ) {
        let name: String = names.join(&glue);
        prop_assume!(!name.contains('/') && !name.trim().is_empty());
        let path = format!("s/{name}");
        let (index, _folder) = index(&[&[&path], &["s/other"]]);
        let is_found = |query: &str| found(&index, query).contains(&1);
        prop_assert!(is_found(&name), "{name:?} by itself");
        prop_assert!(is_found(&path), "{path:?} by its path");
        for word in &names {
            let is_plain = !word.contains(['"', '\u{201c}', '\u{201d}', '\u{201e}', '-']);
            // Combining marks alone are no word: the index ignores accents.
            let is_word = word.chars().all(char::is_alphanumeric)
                && !word.chars().all(is_combining_mark);
            if is_plain && is_word {
                prop_assert!(is_found(word), "{word:?} in {name:?}");
            }
            // Any section of text in a script without spaces.
            let is_unspaced = word.chars().all(|c| matches!(c, '가'..='힣' | '一'..='丿'));
            if is_unspaced {
                let piece: String = word.chars().skip(cut).collect();
                prop_assert!(piece.is_empty() || is_found(&piece), "{piece:?} in {name:?}");
            }
        }
    }

    #[test]
    fn any_query_is_answered(query in "\\PC{0,60}|[ab1\" .-]{0,40}") {
        let (index, _folder) = index(&[&["s/a b1.txt"], &["a/b.1"]]);
        let keys = found(&index, &query);
        prop_assert!(keys.len() <= 2);
    }
}
