//! Measures the time to fill and query the index with realistic names, without and with concurrent
//! changes.
//!
//! `cargo run --release -p convite-search --example search_speed [NAMES]` (default 100,000).
#![allow(clippy::print_stdout)]

use std::collections::HashSet;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use convite_core::file_kind::{FileKind, FileType};
use convite_core::sort::{Order, Sort};
use convite_search::{Document, Filter, Progress, Query, Search, SearchIndex};

const BATCH: i64 = 5_000;
const PEERS: i64 = 200;
/// Searches of each kind, and their rate per second during concurrent changes.
const SEARCHES: u32 = 300;
const SEARCHES_A_SECOND: u32 = 100;
/// Changes per second, and the number of commits that contain them.
const CHANGES_A_SECOND: i64 = 1_000;
const COMMITS_A_SECOND: i64 = 10;
const WORDS: [&str; 24] = [
    "report",
    "photo",
    "song",
    "Telemática",
    "invoice",
    "backup",
    "draft",
    "final",
    "lecture",
    "Notes",
    "scan",
    "video",
    "holiday",
    "budget",
    "thesis",
    "figure",
    "data",
    "results",
    "slides",
    "contract",
    "readme",
    "index",
    "model",
    "cover",
];
const KINDS: [&str; 8] = ["pdf", "jpg", "mp3", "csv", "docx", "mkv", "tar.gz", "txt"];

/// SplitMix64 (Steele et al. 2014).
fn mixed(n: u64) -> u64 {
    let z = n
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn document(key: i64) -> Document {
    let r = mixed(key as u64);
    // Squared, so that some words are much more common than others.
    let word = |r: u64| WORDS[((r % 1000) * (r % 1000) * WORDS.len() as u64 / 1_000_000) as usize];
    let path = format!(
        "{}/{}{}/{}_{}-{:05}.{}",
        word(r >> 3),
        word(r >> 7),
        2000 + (r >> 11) % 26,
        word(r >> 17),
        word(r >> 23),
        (r >> 31) % 100_000,
        KINDS[(r >> 49) as usize % KINDS.len()],
    );
    Document {
        key,
        kind: convite_core::EntryKind::File,
        space: r.is_multiple_of(10).into(),
        size: r >> 30,
        modified: (r >> 33) as i64,
        paths: vec![path],
        peers: (0..1 + r % 3)
            .map(|n| (mixed(r + n) % PEERS as u64) as i64)
            .collect(),
    }
}

/// Returns the searches to measure: kind, words, sort key and filter.
fn kinds() -> Vec<(&'static str, &'static str, Sort, Filter)> {
    let plain = |kind, words| (kind, words, Sort::Relevance, Filter::default());
    let images = Filter {
        file_type: Some(FileType::Kind(FileKind::Image)),
        ..Filter::default()
    };
    vec![
        plain("rare word", "00042"),
        plain("common word", "report"),
        plain("prefix", "repo"),
        plain("short prefix", "re"),
        plain("one letter", "r"),
        plain("two words", "report final"),
        plain("two common", "report photo"),
        plain("one typo", "reprot"),
        plain("typo and word", "contarct 00042"),
        plain("phrase", "\"photo report\""),
        plain("without", "report -photo"),
        plain("four words", "telematica 2024 photo jpg"),
        plain("sixteen words", "a b c d e f g h i j k l m n o p"),
        plain("no such", "zzzzzz"),
        plain("all", ""),
        ("word and kind", "report", Sort::Relevance, images),
        ("rare by size", "00042", Sort::Size, Filter::default()),
        ("common by size", "report", Sort::Size, Filter::default()),
    ]
}

fn measure(index: &SearchIndex, every: Option<Duration>) -> Result<(), Box<dyn Error>> {
    let online: HashSet<i64> = (0..PEERS).filter(|peer| peer % 2 == 0).collect();
    for (kind, words, sort, filter) in kinds() {
        let mut times: Vec<Duration> = Vec::new();
        let mut found = 0;
        let first = Instant::now();
        for n in 0..SEARCHES {
            let due = every.map(|every| first + every * n);
            // Measured from the due time, so that waiting counts.
            let began = due.unwrap_or_else(Instant::now);
            std::thread::sleep(began.saturating_duration_since(Instant::now()));
            let query = Query::parse(words)?;
            let search = Search {
                query: &query,
                filter: &filter,
                spaces: &[0, 1],
                online: &online,
                sort,
                order: Order::Descending,
                after: None,
                limit: 20,
            };
            found = index.search(&search)?.hits.len();
            times.push(began.elapsed());
        }
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        println!(
            "  {kind:14} median {:9.2?}  p99 {:9.2?}  {found} hits",
            at(50),
            at(99)
        );
    }
    Ok(())
}

/// Returns the resident memory of this process, if the system provides it.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status.lines();
    let lines = lines.filter(|line| line.starts_with("RssAnon") || line.starts_with("RssFile"));
    let lines: Vec<String> = lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    lines.join(", ")
}

fn size(folder: &std::path::Path) -> std::io::Result<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(folder)? {
        size += entry?.metadata()?.len();
    }
    Ok(size)
}

fn changes(first: i64, count: i64) -> Vec<(i64, Vec<Document>)> {
    (first..first + count)
        .map(|key| (key, vec![document(key)]))
        .collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let names: i64 = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 100_000,
    };
    let folder = std::env::temp_dir().join(format!("convite-measure-{}", std::process::id()));
    let index = SearchIndex::open(&folder, "measure")?;
    let began = Instant::now();
    for first in (1..=names).step_by(BATCH as usize) {
        let count = BATCH.min(names - first + 1);
        index.apply(changes(first, count), Progress::At(first + count))?;
    }
    println!(
        "{names} names in {:.2?}, {} MB on disk",
        began.elapsed(),
        size(&folder)? >> 20
    );
    let began = Instant::now();
    index.apply(changes(1, names.min(1000)), Progress::At(names))?;
    println!("1000 changes in {:.2?}", began.elapsed());

    println!("without changes, one after the other:");
    measure(&index, None)?;
    println!(
        "{SEARCHES_A_SECOND} searches per second with {CHANGES_A_SECOND} concurrent changes per second:"
    );
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let writer = scope.spawn(|| {
            let (mut n, began) = (0, Instant::now());
            while !done.load(Ordering::Relaxed) {
                let count = CHANGES_A_SECOND / COMMITS_A_SECOND;
                let first = (mixed(n as u64) % names.max(1) as u64) as i64;
                index.apply(changes(first.max(1), count), Progress::At(names))?;
                n += 1;
                let due = began + Duration::from_millis((n * 1000 / COMMITS_A_SECOND) as u64);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            Ok::<_, convite_core::Problem>((n, began.elapsed()))
        });
        let measured = measure(&index, Some(Duration::from_secs(1) / SEARCHES_A_SECOND));
        done.store(true, Ordering::Relaxed);
        let (commits, took) = writer.join().map_err(|_| "the writer failed")??;
        println!("  {commits} commits in {took:.2?}");
        measured
    })?;
    println!("{}, {} MB on disk", memory(), size(&folder)? >> 20);
    drop(index);
    let began = Instant::now();
    drop(SearchIndex::open(&folder, "measure")?);
    println!("reopened in {:.2?}", began.elapsed());
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
