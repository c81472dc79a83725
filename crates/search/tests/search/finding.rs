//! What finds what.

use convite_core::kind::FileType;
use convite_search::Filter;
use proptest::prelude::*;

use super::{found, found_with, index};

/// Names, and for each query which of them it finds, the best first.
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
        ("jpg beach photo", &[7, 6]),
        // Beginnings.
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
        // One typo, and not two, and not in short words or numbers.
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
        ("-foobarbaz -http s", &[1, 3, 4]),
        ("\"informe2024 FINAL\"", &[1]),
        ("\"beach\"", &[7, 6]),
        ("\"beac\"", &[]),
        ("\"beach phot", &[]),
        // Without.
        ("beach -photo", &[]),
        ("annual -draft", &[8, 10]),
        ("annual -\"report draft\"", &[8, 10]),
        ("annual -reports", &[9, 8]),
        ("annual -rep", &[8, 9, 10]),
        ("-s -holiday -work", &[12, 11]),
        ("well-annual", &[]),
    ] {
        let mut expected = keys.to_vec();
        let mut actual = found(&index, query);
        // The order is asserted where it was written to mean something: see `ordering`.
        expected.sort_unstable();
        actual.sort_unstable();
        assert_eq!(actual, expected, "{query}");
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
    for query in [
        "(x+x+)+y",
        "\0x\u{1b}\n\r",
        "\u{10ffff} x",
        ".*[",
        "txt\"",
        "\"",
        "\"\" \"x",
        "-",
        "- - -",
        "\"-\"",
        "x\" -\"",
    ] {
        assert_eq!(found(&index, query), [1], "{query:?}");
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
                    // Capitals tell words apart, so all capitals may be other words.
                    prop_assert!(found(&index, &query).contains(&key), "{query} in {name}");
                }
                let without = format!("{name} -{word}");
                prop_assert!(!found(&index, &without).contains(&key), "{without}");
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
