//! Names that a file system cannot store, and those that replace them.

use proptest::prelude::*;

use super::*;
use crate::folder::{Assembly, FileContents};
use crate::hash::ContentHash;

const LINUX: NameRules = NameRules {
    ignores_case: false,
    ignores_form: false,
    windows: false,
    name_max: 255,
    path_max: PATH_MAX,
};
const MACOS: NameRules = NameRules {
    ignores_case: true,
    ignores_form: true,
    ..LINUX
};
const WINDOWS: NameRules = NameRules {
    ignores_case: true,
    windows: true,
    ..LINUX
};

/// Builds a folder; a path that ends with `/` is an empty folder.
fn tree<S: AsRef<str>>(paths: &[S]) -> FolderTree {
    let items = paths.iter().map(|path| {
        let path = path.as_ref();
        let contents = FileContents {
            size: 0,
            crc32: 0,
            hash: ContentHash::EMPTY,
        };
        match path.strip_suffix('/') {
            Some(folder) => (folder.parse().unwrap(), None),
            None => (path.parse().unwrap(), Some(contents)),
        }
    });
    Assembly::new(items).unwrap().tree().unwrap()
}

fn pairs(paths: &[&str], rules: &NameRules) -> Vec<[String; 2]> {
    let report = judge_names(&tree(paths), rules);
    assert_eq!(report.unusable, []);
    let pairs = report.collisions.iter();
    pairs
        .map(|pair| [pair.first.to_string(), pair.second.to_string()])
        .collect()
}

fn faults(paths: &[&str], rules: &NameRules) -> Vec<String> {
    let report = judge_names(&tree(paths), rules);
    let faults = report.unusable.iter();
    faults
        .map(|name| format!("{}: {}", name.path, name.fault))
        .collect()
}

/// Returns the paths of files that differ with the new names.
fn renamed(paths: &[&str], rules: &NameRules) -> Vec<String> {
    let tree = tree(paths);
    let names = rename_collisions(&tree, rules).unwrap();
    let pairs = tree.walk().zip(tree.local_walk(&names));
    let changed = pairs.filter(|(old, new)| old.path() != new.path());
    changed.map(|(_, new)| new.path().to_string()).collect()
}

#[test]
fn names_that_differ_in_case_or_form_collide_where_the_file_system_says_so() {
    let case = ["Readme", "README", "readme", "x/Readme", "sub/A", "sub/a/b"];
    assert!(pairs(&case, &LINUX).is_empty());
    for rules in [MACOS, WINDOWS] {
        assert_eq!(
            pairs(&case, &rules),
            [
                ["README", "Readme"],
                ["README", "readme"],
                ["sub/A", "sub/a"]
            ]
        );
    }
    let forms = ["caf\u{e9}", "cafe\u{301}"];
    assert_eq!(pairs(&forms, &MACOS), [["cafe\u{301}", "caf\u{e9}"]]);
    assert!(pairs(&forms, &WINDOWS).is_empty());
    for (a, b) in [
        ("CAF\u{c9}", "cafe\u{301}"),
        ("ΣΑΣ", "σας"),
        ("Straße", "STRASSE"),
        ("ẞ", "ß"),
        ("\u{212a}", "k"),
        ("ﬁ", "FI"),
        ("\u{3a9}", "\u{2126}"),
        ("a\u{200d}", "A"),
    ] {
        assert_eq!(pairs(&[a, b], &MACOS).len(), 1, "{a} {b}");
    }
    for (a, b) in [("a", "b"), ("e", "é"), ("ı", "j"), ("ａ", "a")] {
        assert!(pairs(&[a, b], &MACOS).is_empty(), "{a} {b}");
    }
}

#[test]
fn names_that_windows_cannot_store_are_reported() {
    let paths = [
        "a:b", "nul.txt", "x/con/y", "end.", "blank ", "ok", "a\u{1}",
    ];
    assert!(judge_names(&tree(&paths), &LINUX).is_empty());
    assert_eq!(
        faults(&paths, &WINDOWS),
        [
            "a\u{1}: it contains '\\u{1}'",
            "a:b: it contains ':'",
            "blank : it ends with a dot or a blank",
            "end.: it ends with a dot or a blank",
            "nul.txt: Windows reserves this name for a device",
            "x/con: Windows reserves this name for a device",
        ]
    );
    assert_eq!(
        renamed(&paths, &WINDOWS),
        [
            "a_", "a_b", "blank", "end", "_nul.txt", "x/_con", "x/_con/y"
        ]
    );
    // A new name must not take that of another file.
    assert_eq!(
        renamed(&["a:b", "A_b", "a?b"], &WINDOWS),
        ["a_b (2)", "a_b (3)"]
    );
}

#[test]
fn names_and_paths_that_are_too_long_are_reported() {
    let short = NameRules {
        name_max: 143,
        path_max: 200,
        ..LINUX
    };
    let long = format!("{}.tar.gz", "é".repeat(80));
    let deep = format!("{0}/{0}", "n".repeat(100));
    assert_eq!(
        faults(&[&long, &deep], &short),
        [
            format!("{long}: the name is too long"),
            format!("{deep}: the path is too long")
        ]
    );
    let kept = format!("{}.gz", "é".repeat(70));
    assert_eq!(renamed(&[&long], &short), [kept]);
    let problem = rename_collisions(&tree(&[deep]), &short).unwrap_err();
    assert!(problem.message.contains("200 bytes"), "{problem:?}");
    assert!(problem.hint.is_some());
}

#[test]
fn colliding_names_get_the_first_free_number() {
    assert_eq!(
        renamed(
            &["A.txt", "a.TXT", "a.txt", "a (2).txt", "v1.0/x", "V1.0/",],
            &MACOS
        ),
        ["a (3).TXT", "a (4).txt", "v1.0 (2)", "v1.0 (2)/x"]
    );
    assert!(renamed(&["A", "a"], &LINUX).is_empty());
    let long = "n".repeat(255);
    let other = format!("N{}", "n".repeat(254));
    let cut = format!("{} (2)", "n".repeat(251));
    assert_eq!(renamed(&[&long, &other], &MACOS), [cut]);
}

#[test]
fn equal_folders_get_the_same_names_and_are_reported_once() {
    let paths = ["x/A", "x/a", "y/z/A", "y/z/a"];
    assert_eq!(pairs(&paths, &MACOS), [["x/A", "x/a"]]);
    assert_eq!(renamed(&paths, &MACOS), ["x/a (2)", "y/z/a (2)"]);
    let tree = tree(&paths);
    let names = rename_collisions(&tree, &MACOS).unwrap();
    assert_eq!(names.len(), 1);
    let files: Vec<String> = tree
        .local_files(&names, 1..4)
        .map(|file| file.path.to_string())
        .collect();
    assert_eq!(files, ["x/a (2)", "y/z/A", "y/z/a (2)"]);
}

#[test]
fn many_collisions_take_linear_time_and_a_short_report() {
    // All spellings of 15 letters, in upper or lower case: 32,768 names.
    let spelling = |bits: u32| -> String {
        let letters = "nnnnnnnnnnnnnnn".chars().enumerate();
        let spelled = letters.map(|(i, c)| match bits >> i & 1 {
            1 => c.to_ascii_uppercase(),
            _ => c,
        });
        format!("{}{}", spelled.collect::<String>(), "x".repeat(230))
    };
    let names: Vec<String> = (0..1 << 15).map(spelling).collect();
    let tree = tree(&names);
    let report = judge_names(&tree, &MACOS);
    assert_eq!(
        (report.count, report.collisions.len()),
        ((1 << 15) - 1, REPORT_MAX)
    );
    let local = rename_collisions(&tree, &MACOS).unwrap();
    assert_eq!(local.len(), (1 << 15) - 1);
}

proptest! {
    #[test]
    fn new_names_can_be_stored_and_do_not_collide(
        names in proptest::collection::hash_set("[aAéÉ:_.ﬁ]{1,3}( \\(2\\))?(\\.[tT.])?", 1..24),
        ignores_case: bool, ignores_form: bool, windows: bool,
    ) {
        let rules = NameRules { ignores_case, ignores_form, windows, ..LINUX };
        let names: Vec<String> = names.into_iter().filter(|n| !n.starts_with('.')).collect();
        let before = tree(&names);
        let local = rename_collisions(&before, &rules).unwrap();
        let report = judge_names(&before, &rules);
        prop_assert_eq!(report.is_empty(), local.is_empty());
        let new: Vec<String> = before.local_walk(&local).map(|i| i.path().to_string()).collect();
        // No two names are equal, otherwise the folder cannot be built.
        prop_assert_eq!(judge_names(&tree(&new), &rules), NameReport::default());
        for (item, new) in before.walk().zip(&new) {
            let renamed = local.name_of(item.entry());
            prop_assert_eq!(renamed.unwrap_or(item.path().as_str()), new);
        }
    }
}
