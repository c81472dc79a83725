//! Tests of the index on disk: persistence, damage, rebuilding.

use std::path::Path;

use convite_core::ErrorCode;
use convite_search::{Document, Progress, SearchIndex};

use super::{document, found, index, put};

fn changes(documents: Vec<Document>) -> Vec<(i64, Vec<Document>)> {
    let changes = documents.into_iter().map(|d| (d.key, vec![d]));
    changes.collect()
}

#[test]
fn documents_are_replaced_and_dropped_and_kept_with_their_position() {
    let folder = tempfile::tempdir().unwrap();
    let index = SearchIndex::open(folder.path(), "db").unwrap();
    assert_eq!(index.progress(), Progress::New);
    put(
        &index,
        vec![document(1, &["s/old"]), document(2, &["s/kept"])],
    );
    let twice = vec![
        (1, vec![document(1, &["s/between"])]),
        (1, vec![document(1, &["s/new"])]),
        (2, vec![]),
        (2, vec![document(2, &["s/kept"])]),
        (9, vec![]),
    ];
    index.apply(twice, Progress::At(42)).unwrap();
    let check = |index: &SearchIndex| {
        assert_eq!(index.progress(), Progress::At(42));
        assert_eq!(found(index, ""), [2, 1]);
        assert_eq!(found(index, "new"), [1]);
        assert_eq!(found(index, "old"), [0; 0]);
        assert_eq!(found(index, "between"), [0; 0]);
    };
    check(&index);
    drop(index);
    let index = SearchIndex::open(folder.path(), "db").unwrap();
    check(&index);
    index.apply(vec![(1, vec![])], Progress::At(43)).unwrap();
    assert_eq!(found(&index, ""), [2]);
    // While it is being filled again, it stores where to continue.
    let walking = Progress::Walking {
        position: 40,
        after: 3,
    };
    let filled = changes(vec![document(3, &["s/x"])]);
    index.apply(filled, walking).unwrap();
    drop(index);
    let index = SearchIndex::open(folder.path(), "db").unwrap();
    assert_eq!(index.progress(), walking);
    index.clear().unwrap();
    assert_eq!(found(&index, ""), [0; 0]);
    drop(index);
    let index = SearchIndex::open(folder.path(), "db").unwrap();
    assert_eq!(
        (index.progress(), found(&index, "").len()),
        (Progress::New, 0)
    );
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
        let index = SearchIndex::open(folder.path(), "db").unwrap();
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
            let index = SearchIndex::open(folder.path(), "db").unwrap();
            // Either the damage does not matter, or the index starts empty and its position shows
            // it.
            match index.progress() {
                Progress::At(1) => assert_eq!(found(&index, ""), [2, 1], "{}", path.display()),
                other => {
                    assert_eq!(other, Progress::New);
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
    let refused = SearchIndex::open(folder.path(), "db").err().unwrap();
    assert_eq!(refused.code, ErrorCode::InUse);
    put(&index, vec![document(2, &["s/b"])]);
    assert_eq!(found(&index, ""), [2, 1]);
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
    // Without merging and deletion there would be sixty segments with ten files each.
    assert!(files(folder.path()).len() < 200);
}

#[test]
fn an_index_of_another_database_is_made_anew() {
    let (index, folder) = index(&[&["s/a"]]);
    drop(index);
    let index = SearchIndex::open(folder.path(), "another").unwrap();
    assert_eq!(index.progress(), Progress::New);
    assert_eq!(found(&index, ""), [0; 0]);
}

#[test]
fn an_index_that_is_deleted_while_it_is_in_use_is_made_anew() {
    let (index, folder) = index(&[&["s/a"]]);
    std::fs::remove_dir_all(folder.path()).unwrap();
    // Searches still work until the next write.
    assert_eq!(found(&index, "a"), [1]);
    let refused = index.apply(changes(vec![document(2, &["s/b"])]), Progress::At(2));
    assert_eq!(refused.unwrap_err().code, ErrorCode::Internal);
    assert_eq!(index.progress(), Progress::New);
    put(&index, vec![document(1, &["s/a"]), document(2, &["s/b"])]);
    assert_eq!(found(&index, ""), [2, 1]);
    drop(index);
    let index = SearchIndex::open(folder.path(), "db").unwrap();
    assert_eq!(index.progress(), Progress::At(1));
    assert_eq!(found(&index, ""), [2, 1]);
}
