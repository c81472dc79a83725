//! Tests of visibility by online peers and by space.

use convite_search::{Document, Filter};

use super::{ANA, Asked, BEA, EVERYONE, document, index, put};

#[test]
fn only_what_someone_online_holds_is_found() {
    let (index, _folder) = index(&[]);
    let mut documents: Vec<_> = (1..=4).map(|key| document(key, &["s/film.mkv"])).collect();
    documents[1].peers = vec![BEA];
    documents[2].peers = vec![ANA, BEA];
    documents[3].peers = vec![];
    put(&index, documents);
    let found = |online: &[i64], peer| {
        let asked = Asked {
            online: online.iter().copied().collect(),
            filter: Filter {
                peer,
                ..Filter::default()
            },
            ..Asked::new("film")
        };
        asked.found(&index)
    };
    assert_eq!(found(&[ANA, BEA], None), [3, 2, 1]);
    assert_eq!(found(&[ANA], None), [3, 1]);
    assert_eq!(found(&[BEA, 99], None), [3, 2]);
    assert_eq!(found(&[], None), [0; 0]);
    assert_eq!(found(&[ANA, BEA], Some(BEA)), [3, 2]);
    assert_eq!(found(&[ANA], Some(BEA)), [0; 0]);
}

#[test]
fn what_lies_in_other_spaces_is_not_there() {
    let (index, _folder) = index(&[]);
    let of = |key, space, path: &str| Document {
        space,
        ..document(key, &[path])
    };
    put(
        &index,
        vec![
            of(1, EVERYONE, "s/plan.txt"),
            of(2, 7, "s/plan secret.txt"),
            // The same content under a harmless name for everyone.
            of(3, EVERYONE, "s/harmless.txt"),
            of(3, 7, "s/plan merger.txt"),
            of(3, 8, "s/plan.pdf"),
            of(4, 8, "plan/x.bin"),
        ],
    );
    let typed = |t: &str| Filter {
        file_type: Some(t.parse().unwrap()),
        ..Filter::default()
    };
    for (spaces, query, filter, expected) in [
        (
            [EVERYONE].as_slice(),
            "plan",
            Filter::default(),
            [1].as_slice(),
        ),
        (&[EVERYONE], "merger", Filter::default(), &[]),
        (&[EVERYONE], "merg", Filter::default(), &[]),
        (&[EVERYONE], "mergre", Filter::default(), &[]),
        (&[EVERYONE], "\"plan merger\"", Filter::default(), &[]),
        (&[EVERYONE], "", typed("pdf"), &[]),
        (&[EVERYONE], "", typed("document"), &[3, 1]),
        (&[EVERYONE], "harmless -merger", Filter::default(), &[3]),
        (&[EVERYONE], "harmless merger", Filter::default(), &[]),
        (&[EVERYONE], "", Filter::default(), &[3, 1]),
        (&[EVERYONE, 7], "plan", Filter::default(), &[1, 3, 2]),
        (&[EVERYONE, 7], "merger", Filter::default(), &[3]),
        (&[EVERYONE, 7], "", typed("pdf"), &[]),
        (&[EVERYONE, 8], "plan", Filter::default(), &[3, 1, 4]),
        (&[EVERYONE, 7, 8], "plan", Filter::default(), &[3, 1, 2, 4]),
        (&[EVERYONE, 7, 8], "", Filter::default(), &[4, 3, 2, 1]),
        (&[8], "", Filter::default(), &[4, 3]),
        (&[9], "", Filter::default(), &[]),
        (&[], "", Filter::default(), &[]),
    ] {
        for limit in [1, 100] {
            let asked = Asked {
                spaces,
                filter: filter.clone(),
                limit,
                ..Asked::new(query)
            };
            assert_eq!(asked.found(&index), expected, "{spaces:?} {query}");
        }
    }
}

#[test]
fn a_page_is_full_however_much_is_hidden() {
    let (index, _folder) = index(&[]);
    let documents = (1..=2000).map(|key| Document {
        space: if key % 100 == 0 { EVERYONE } else { 5 },
        ..document(key, &["s/a.txt"])
    });
    put(&index, documents.collect());
    let asked = Asked {
        limit: 10,
        ..Asked::new("a")
    };
    let page = asked.page(&index, None);
    assert_eq!(page.hits.len(), 10);
    let page = asked.page(&index, page.next);
    // Exactly the rest, and no next page.
    assert_eq!((page.hits.len(), page.next), (10, None));
}
