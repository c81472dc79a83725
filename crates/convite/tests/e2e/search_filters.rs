//! Filters and sort orders of `search`.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::harness::{Directory, contents, wait_until};

const DAY: Duration = Duration::from_secs(86_400);

fn changed_days_ago(path: &Path, days: u32) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - DAY * days).unwrap();
}

#[test]
fn search_results_are_filtered_and_sorted() {
    let directory = Directory::with("");
    let (ana, ben) = (directory.member("ana"), directory.member("ben"));
    ana.write("docs/lake one.jpg", &contents(1, 3_000));
    let older = ana.write("docs/lake two.txt", &contents(2, 70_000));
    changed_days_ago(&older, 400);
    let old = ana.write("docs/lake three.mp4", &contents(3, 500));
    changed_days_ago(&old, 40);
    let _ana = ana.peer("ana-1", &ana.path("docs"), "");
    // Two peers have this file.
    ben.write("docs/a lake.jpg", &contents(1, 3_000));
    let _ben = ben.peer("ben-1", &ben.path("docs"), "");
    wait_until("search finds all files", || {
        let found = ben.json("search lake").objects();
        let held = found.iter().map(|hit| hit["providers"].as_u64().unwrap());
        (held.sum::<u64>() == 4).then_some(())
    });
    let all = ["one", "three", "two"];
    for (args, expected) in [
        ("", &all[..]),
        ("--type image", &["one"]),
        ("--type .TXT", &["two"]),
        ("--type video", &["three"]),
        ("--min-size 2KiB", &["one", "two"]),
        ("--max-size 3000", &["one", "three"]),
        ("--min-size 1kB --max-size 60kB", &["one"]),
        ("--peer ben-1", &["one"]),
        ("--newer 30d", &["one"]),
        ("--older 1y", &["two"]),
        ("--newer 60d --older 7d", &["three"]),
        ("--limit 1 --sort size", &["two"]),
    ] {
        println!("{args}");
        let found = ben.json(&format!("search lake {args}")).ok().objects();
        let numbers = found.iter().map(|hit| {
            let names = hit["names"].to_string();
            let has = |word: &&&str| names.contains(**word);
            *all.iter().find(has).expect("unexpected name")
        });
        let mut numbers: Vec<_> = numbers.collect();
        numbers.sort_unstable();
        assert_eq!(numbers, expected, "{args}: {found:?}");
    }
    for (args, first, last) in [
        ("--sort size", "two", "three"),
        ("--sort size --order asc", "three", "two"),
        ("--sort date", "one", "two"),
        ("--sort date --order asc", "two", "one"),
        ("--sort providers", "one", ""),
        ("--sort providers --order asc", "", "one"),
    ] {
        let found = ben.json(&format!("search lake {args}")).ok().objects();
        assert_eq!(found.len(), 3);
        assert!(found[0]["names"].to_string().contains(first), "{args}");
        assert!(found[2]["names"].to_string().contains(last), "{args}");
    }
}
