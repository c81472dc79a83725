//! How fast the index is filled and asked, with names as people give them.
//!
//! `cargo run --release -p convite-search --example search_speed [DOCUMENTS]` (default 100,000).
#![allow(clippy::print_stdout)]

use std::collections::HashSet;
use std::error::Error;
use std::time::{Duration, Instant};

use convite_search::{Document, Filter, SearchIndex};

const BATCH: i64 = 5_000;
const PEERS: i64 = 200;
const SEARCHES: u64 = 500;
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
    // Squared, so that some words are far more common than others.
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
        size: r >> 30,
        paths: vec![path],
        peers: (0..1 + r % 3)
            .map(|n| (mixed(r + n) % PEERS as u64) as i64)
            .collect(),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let documents: i64 = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 100_000,
    };
    let folder = std::env::temp_dir().join(format!("convite-measure-{}", std::process::id()));
    let index = SearchIndex::open(&folder)?;
    let began = Instant::now();
    for first in (1..=documents).step_by(BATCH as usize) {
        let last = (first + BATCH - 1).min(documents);
        let batch = (first..=last).map(|key| (key, Some(document(key))));
        index.apply(batch.collect(), Some(last))?;
    }
    println!("{documents} documents applied in {:.2?}", began.elapsed());
    let began = Instant::now();
    let changed = (1..=documents.min(1000)).map(|key| (key, Some(document(key))));
    index.apply(changed.collect(), Some(documents))?;
    println!("1000 changes applied in {:.2?}", began.elapsed());

    let online: HashSet<i64> = (0..PEERS).filter(|peer| peer % 2 == 0).collect();
    for (kind, query) in [
        ("all", ""),
        ("common word", "report"),
        ("rare word", "0004"),
        ("beginning", "re"),
        ("one letter", "r"),
        ("two words", "report final"),
        ("four words", "telematica 2024 photo jpg"),
        ("sixteen words", "a b c d e f g h i j k l m n o p"),
        ("no such", "zzzz"),
    ] {
        let mut times: Vec<Duration> = Vec::new();
        let mut found = 0;
        for _ in 0..SEARCHES {
            let began = Instant::now();
            found = index
                .search(query, &Filter::default(), &online, 0, 20)?
                .hits
                .len();
            times.push(began.elapsed());
        }
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        println!(
            "{kind:14} median {:9.2?}  p99 {:9.2?}  {found} hits",
            at(50),
            at(99)
        );
    }
    drop(index);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
