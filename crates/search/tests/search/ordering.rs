//! Tests of the order of matches and of pages.

use std::collections::HashSet;

use convite_core::EntryKind;
use convite_core::sort::{Order, Sort};
use convite_search::{Document, SearchIndex};
use proptest::prelude::*;

use super::{ANA, Asked, BEA, EVERYONE, document, found, index, put};

#[test]
fn the_better_match_comes_first() {
    let (index, _folder) = index(&[
        &["s/reprot.bin"],
        &["reporting/x.bin"],
        &["report/x.bin"],
        &["s/reporting.bin"],
        &["s/a report of some length about many things.bin"],
        &["s/report.bin"],
        &["s/other.bin"],
    ]);
    // Only the word; the word; its prefix; folders, newest first; a typo.
    assert_eq!(found(&index, "report"), [6, 5, 4, 3, 2, 1]);
    assert_eq!(found(&index, "report bin"), [6, 5, 4, 3, 2, 1]);
    let page = Asked::new("report").page(&index, None);
    assert!(page.hits.is_sorted_by(|a, b| a.score >= b.score));
    assert!(page.hits[0].score > page.hits[5].score);
}

#[test]
fn a_folder_precedes_what_is_inside_of_it() {
    let (index, _folder) = index(&[]);
    let entry = |key, path: &str, kind| Document {
        kind,
        ..document(key, &[path])
    };
    let (file, folder) = (EntryKind::File, EntryKind::Folder);
    // The files are newer than their folder.
    let documents = [
        entry(1, "photos/summer holiday", folder),
        entry(2, "photos/summer holiday/beach.jpg", file),
        entry(3, "photos/summer holiday/raw", folder),
        entry(4, "photos/summer holiday/raw/holiday.nef", file),
        entry(5, "photos/summer holiday/sunset.jpg", file),
    ];
    put(&index, documents.into());
    for (query, expected) in [
        ("summer holiday", [1, 4, 5, 3, 2].as_slice()),
        ("summer", &[1, 5, 4, 3, 2]),
        ("holiday", &[4, 1, 5, 3, 2]),
        ("holi", &[4, 1, 5, 3, 2]),
        // A word that only the path has.
        ("photos holiday", &[4, 1, 5, 3, 2]),
        ("photos summer", &[1, 5, 4, 3, 2]),
        ("photos hol", &[4, 1, 5, 3, 2]),
        ("photos raw", &[3, 4]),
        // Two queries.
        ("\"summer holiday\"", &[1]),
        ("holidya", &[4, 1]),
        ("photos", &[5, 4, 3, 2, 1]),
        ("photos -holiday", &[]),
    ] {
        for limit in [1, 2, 100] {
            let asked = Asked {
                limit,
                ..Asked::new(query)
            };
            assert_eq!(asked.found(&index), expected, "{query}");
        }
    }
    let asked = Asked {
        any: &["photos raw", "summer holiday"],
        ..Asked::new("")
    };
    assert_eq!(asked.found(&index), [1, 4, 3, 5, 2]);
}

#[test]
fn equals_come_newest_first_and_an_empty_query_finds_all() {
    let (index, _folder) = index(&[&["s/same.txt"], &["s/same.txt"], &["s/same.txt"]]);
    assert_eq!(found(&index, "same"), [3, 2, 1]);
    for query in ["", "  ", "\t"] {
        assert_eq!(found(&index, query), [3, 2, 1], "{query:?}");
    }
}

#[test]
fn other_orders_than_relevance() {
    let (index, _folder) = index(&[]);
    let mut documents: Vec<Document> = (1..=4).map(|key| document(key, &["s/film.mkv"])).collect();
    documents[0].size = 9_000;
    documents[1].peers = vec![ANA, BEA];
    documents[2].modified = -5;
    documents[3].paths = vec!["s/flim.mkv".to_owned()];
    documents[3].size = 10_000;
    put(&index, documents);
    for (sort, order, expected) in [
        (Sort::Relevance, Order::Descending, [3, 2, 1].as_slice()),
        (Sort::Size, Order::Descending, &[1, 3, 2]),
        (Sort::Size, Order::Ascending, &[2, 3, 1]),
        (Sort::Date, Order::Descending, &[2, 1, 3]),
        (Sort::Date, Order::Ascending, &[3, 1, 2]),
        (Sort::Providers, Order::Descending, &[2, 3, 1]),
        (Sort::Providers, Order::Ascending, &[3, 1, 2]),
    ] {
        for limit in [1, 100] {
            let asked = Asked {
                sort,
                order,
                limit,
                online: [ANA, BEA].into(),
                ..Asked::new("film mkv")
            };
            let found = asked.found(&index);
            // A typo counts only for relevance, or if nothing else matches.
            let found: Vec<_> = found.into_iter().filter(|key| *key != 4).collect();
            assert_eq!(found, expected, "{sort:?} {order:?} {limit}");
        }
    }
    let sorted = |query| Asked {
        sort: Sort::Size,
        limit: 1,
        ..Asked::new(query)
    };
    assert_eq!(sorted("film").found(&index), [1, 3, 2]);
    assert_eq!(found(&index, "flims"), [4]);
    assert_eq!(sorted("flims").found(&index), [4]);
    assert_eq!(sorted("filmm").found(&index), [1, 3, 2]);
}

/// Creates an index with several commits, so that there are several segments. Every third document
/// is held by BEA.
fn songs() -> (SearchIndex, tempfile::TempDir) {
    let (index, folder) = index(&[]);
    for batch in 0..5 {
        let documents = (1..=40).map(|n| {
            let mut document = document(batch * 40 + n, &["s/song.mp3", "s/other.mp3"]);
            document.paths.truncate(1 + (n % 2) as usize);
            document.peers = vec![if n % 3 == 0 { BEA } else { ANA }];
            document.size = (n % 7) as u64;
            document
        });
        put(&index, documents.collect());
    }
    (index, folder)
}

#[test]
fn pages_have_no_gaps_and_no_repeats_though_some_are_offline() {
    let (index, _folder) = songs();
    for (query, sort, limit) in [
        ("song", Sort::Relevance, 7),
        ("so", Sort::Relevance, 1),
        ("", Sort::Relevance, 30),
        ("mp3 song", Sort::Relevance, 135),
        ("mp3", Sort::Size, 4),
        ("mp3", Sort::Providers, 11),
    ] {
        let asked = Asked {
            sort,
            limit,
            ..Asked::new(query)
        };
        let keys = asked.found(&index);
        let distinct: HashSet<_> = keys.iter().collect();
        assert_eq!((keys.len(), distinct.len()), (135, 135), "{query}");
        assert!(keys.iter().all(|key| (key - 1) % 40 % 3 != 2));
    }
}

#[test]
fn pages_stay_as_they_are_while_others_come_and_go() {
    for sort in [Sort::Relevance, Sort::Size, Sort::Date] {
        let (index, _folder) = songs();
        let asked = Asked {
            sort,
            limit: 10,
            ..Asked::new("song")
        };
        let before: Vec<i64> = asked.found(&index);
        let gone = before[..3].to_vec();
        let mut new = 1000;
        let after = asked.pages(&index, || {
            // New documents before and after the position; shown ones are removed; old ones are
            // merged.
            let mut documents: Vec<Document> = (0..5)
                .map(|n| Document {
                    size: n,
                    ..document(new + n as i64, &["s/song.mp3"])
                })
                .collect();
            documents.extend(gone.iter().map(|key| Document {
                paths: vec!["s/renamed".to_owned()],
                ..document(*key, &[])
            }));
            put(&index, documents);
            new += 5;
        });
        let distinct: HashSet<_> = after.iter().collect();
        assert_eq!(distinct.len(), after.len(), "{sort:?}");
        let stayed: Vec<i64> = after.into_iter().filter(|key| *key < 1000).collect();
        assert_eq!(stayed, before, "{sort:?}");
    }
}

#[test]
fn of_a_word_that_very_many_have_the_newest_come_first() {
    let (index, _folder) = index(&[]);
    // The keys span two eras.
    let count = 120_000;
    for first in (0..count).step_by(20_000) {
        let documents = (first..first + 20_000).map(|key| {
            let name = if key % 50_000 == 7 {
                "s/rare x.jpg"
            } else {
                "s/x y.jpg"
            };
            document(key + 1, &[name])
        });
        put(&index, documents.collect());
    }
    let page = |query| {
        let asked = Asked {
            limit: 3,
            ..Asked::new(query)
        };
        let first = asked.page(&index, None);
        let second = first.next.map(|next| asked.page(&index, Some(next)).hits);
        let hits = first.hits.into_iter().chain(second.into_iter().flatten());
        hits.map(|hit| hit.key).collect::<Vec<_>>()
    };
    assert_eq!(page("jpg"), (119_995..=120_000).rev().collect::<Vec<_>>());
    assert_eq!(page("rare"), [100_008, 50_008, 8]);
    assert_eq!(page("rare jpg"), [100_008, 50_008, 8]);
    // Few visible documents among very many.
    let oldest = Document {
        peers: vec![BEA],
        ..document(5, &["s/x y.jpg"])
    };
    put(&index, vec![oldest]);
    let bea = Asked {
        online: [BEA].into(),
        ..Asked::new("jpg")
    };
    assert_eq!(bea.found(&index), [5]);
}

#[test]
fn places_are_any_bytes_and_pages_have_bounds() {
    let (index, _folder) = index(&[&["s/a"], &["s/a b c d"]]);
    let place = convite_search::Place::from_bytes;
    for level in [0, 1, 4, 5, 16, 17, 200, 255] {
        for rest in [0, 127, 255] {
            let mut bytes = [rest; 17];
            bytes[0] = level;
            for sort in [Sort::Relevance, Sort::Size] {
                let asked = Asked {
                    sort,
                    ..Asked::new("a")
                };
                assert!(asked.page(&index, Some(place(bytes))).hits.len() <= 2);
            }
            assert_eq!(place(bytes).to_bytes(), bytes);
        }
    }
    for limit in [1, 2, u32::MAX] {
        let asked = Asked {
            limit,
            ..Asked::new("a")
        };
        assert_eq!(asked.found(&index), [1, 2]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn small_pages_make_up_the_large_one(
        documents in prop::collection::vec(("(ab|abc|abd|b)( (ab|c|b)){0,3}", 0..3i64, 0..3u64), 1..40),
        query in "(ab?|b|c|\"ab\"|-c)( (ab?|b)){0,2}",
        sort in prop::sample::select(vec![Sort::Relevance, Sort::Size, Sort::Date, Sort::Providers]),
    ) {
        let (index, _folder) = index(&[]);
        let documents = documents.into_iter().zip(0..).map(|((name, space, size), n)| {
            // Two documents of each content, in different spaces.
            Document { space, size, modified: n % 4, ..document(1 + n / 2, &[&name]) }
        });
        let mut seen = HashSet::new();
        put(&index, documents.filter(|d| seen.insert((d.key, d.space))).collect());
        for spaces in [[EVERYONE].as_slice(), &[EVERYONE, 1], &[EVERYONE, 1, 2]] {
            let asked = |limit| Asked { sort, limit, spaces, ..Asked::new(&query) }.found(&index);
            let whole = asked(1000);
            let distinct: HashSet<_> = whole.iter().collect();
            prop_assert_eq!(distinct.len(), whole.len());
            for limit in [1, 2, 5] {
                prop_assert_eq!(&asked(limit), &whole);
            }
        }
    }
}
