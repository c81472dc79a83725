//! One directory under load: several peers publish many files at once, then one client searches and
//! locates, one call after the other on one connection, and each call's time is kept.
//!
//! The client runs on the same cores as the directory; its own work is part of the times.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use convite_client::Query;
use convite_client::{Credentials, DirectoryClient, Home};
use convite_core::model::FileEntry;
use convite_core::{ContentHash, PeerId, Problem};
use serde_json::{Value, json};

use super::Options;
use super::payload::Scratch;
use super::report::{self, mib, quantile};
use super::system::{Running, System};
use super::usage;
use crate::Failure;

const PEERS: usize = 4;
/// Files in one message.
const BATCH: usize = 5_000;
/// One file in so many has the rare word.
const RARE_EVERY: usize = 20_000;
const RARE: &str = "zeppelin";
/// A word of the last file of each peer: once all have been found, the index has caught up.
const LAST: &str = "terminus";
const VISIBLE_WITHIN: Duration = Duration::from_secs(60);

const WORDS: [&str; 40] = [
    "report",
    "data",
    "final",
    "draft",
    "photo",
    "scan",
    "lecture",
    "notes",
    "video",
    "sample",
    "invoice",
    "model",
    "figure",
    "slides",
    "budget",
    "meeting",
    "survey",
    "results",
    "backup",
    "summer",
    "winter",
    "concert",
    "thesis",
    "chapter",
    "genome",
    "reads",
    "holiday",
    "garden",
    "mountain",
    "river",
    "interview",
    "podcast",
    "mixdown",
    "render",
    "texture",
    "manual",
    "contract",
    "offer",
    "station",
    "harbour",
];
const KINDS: [&str; 10] = [
    "pdf", "jpg", "mp4", "csv", "txt", "docx", "png", "fastq.gz", "wav", "zip",
];

/// Runs the benchmark and prints its table.
///
/// # Errors
/// If anything on the way fails.
pub fn run(options: &Options, _: &[&str]) -> Result<(), Failure> {
    if options.files < RARE_EVERY {
        return Err(format!(
            "--files wants at least {RARE_EVERY}, for the rare word to occur"
        ));
    }
    let scratch = Scratch::new("directory")?;
    let system = System::new(scratch.path(), options.binary.as_deref())?;
    let (directory, invite) = system.directory()?;
    let mut homes = Vec::new();
    for number in 0..PEERS {
        let home = format!("loader{number}");
        system.join(&home, &invite)?;
        homes.push(scratch.path().join(home));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let figures = runtime.block_on(measure(options, &directory, homes))?;
    print(options, &figures);
    Ok(())
}

async fn measure(
    options: &Options,
    directory: &Running,
    homes: Vec<PathBuf>,
) -> Result<Value, Failure> {
    let process = directory.id();
    let empty = usage::memory_now(process).unwrap_or(0);
    let start = Instant::now();
    let cpu = usage::cpu(process)?;
    let mut publishing = Vec::new();
    let mut clients = Vec::new();
    for (number, home) in homes.into_iter().enumerate() {
        let client = client(home)?;
        clients.push(client.clone());
        publishing.push(tokio::spawn(publish(client, number, options.files)));
    }
    for task in publishing {
        let done = task.await.map_err(|error| format!("publishing: {error}"))?;
        done.map_err(|problem| told(&problem))?;
    }
    let published = start.elapsed().as_secs_f64();
    let client = &clients[0];
    wait_until_visible(client).await?;
    let visible = start.elapsed().as_secs_f64();
    let published_cpu = usage::cpu(process)? - cpu;

    let mut calls = Vec::new();
    for (name, words) in [
        ("search, rare word", RARE),
        ("search, common word", WORDS[0]),
        ("search, prefix", "zepp"),
        ("search, two words", "report final"),
        ("search, no match", "qwxyzzy"),
    ] {
        eprintln!("{name}");
        calls.push(search(client, name, words, options.queries).await?);
    }
    eprintln!("locate");
    calls.push(locate(client, options).await?);
    Ok(json!({
        "files": options.files,
        "peers": PEERS,
        "publish_seconds": published,
        "visible_seconds": visible,
        "publish_cpu": published_cpu,
        "files_per_second": options.files as f64 / published,
        "memory_empty_mib": mib(empty),
        "memory_mib": mib(usage::memory_now(process).unwrap_or(0)),
        "memory_peak_mib": mib(usage::peak_memory(process).unwrap_or(0)),
        "calls": calls,
    }))
}

fn client(home: PathBuf) -> Result<DirectoryClient, Failure> {
    let home = Home::open(home).map_err(|problem| told(&problem))?;
    let credentials = Credentials::load(&home).map_err(|problem| told(&problem))?;
    let credentials = credentials.ok_or("`convite join` kept no credentials")?;
    DirectoryClient::new(&credentials).map_err(|problem| told(&problem))
}

fn told(problem: &Problem) -> Failure {
    format!("{} ({})", problem.message, problem.code)
}

/// Publishes the files whose number is `number` modulo [`PEERS`], and keeps the lease.
async fn publish(client: DirectoryClient, number: usize, files: usize) -> Result<(), Problem> {
    let peer: PeerId = format!("loader-{number}").parse()?;
    let port = 6_000 + number as u16;
    let registered = client.register_peer(&peer, port, &[], None, false).await?;
    let beating = (client.clone(), peer.clone());
    tokio::spawn(async move {
        let (client, peer) = beating;
        loop {
            tokio::time::sleep(registered.lease / 3).await;
            if client.heartbeat(&peer).await.is_err() {
                break;
            }
        }
    });
    let mine = files.saturating_sub(number).div_ceil(PEERS);
    let batches = (0..mine.div_ceil(BATCH)).map(move |batch| {
        let own = batch * BATCH..mine.min((batch + 1) * BATCH);
        own.filter_map(|index| entry(index * PEERS + number, files))
            .collect()
    });
    let generation = registered.generation + 1;
    client
        .publish_all(&peer, generation, tokio_stream::iter(batches))
        .await?;
    Ok(())
}

/// File `number` of `files`, the same in every run: a few words that occur as unevenly as words do.
fn entry(number: usize, files: usize) -> Option<FileEntry> {
    let digest = *blake3::hash(&(number as u64).to_le_bytes()).as_bytes();
    let word = |at: usize| {
        // The product of two even draws favours the front of the list, as Zipf's law would.
        let draw = usize::from(digest[at]) * usize::from(digest[at + 1]);
        WORDS[draw * WORDS.len() / (256 * 256)]
    };
    let kind = KINDS[usize::from(digest[8]) % KINDS.len()];
    let (year, serial) = (2005 + usize::from(digest[9]) % 22, number % 10_000);
    let mark = if number + PEERS >= files {
        format!("{LAST}_")
    } else if number % RARE_EVERY == RARE_EVERY / 2 {
        format!("{RARE}_")
    } else {
        String::new()
    };
    let folder = word(6);
    let name = format!("{}_{}_{mark}{year}_{serial:04}.{kind}", word(0), word(2));
    Some(FileEntry {
        path: format!("share/{year}/{folder}-{}/{number}/{name}", word(4))
            .parse()
            .ok()?,
        size: 1 + (u64::from(digest[10]) << (digest[11] % 24)),
        hash: ContentHash::from_slice(&digest).ok()?,
        modified: 1_500_000_000 + number as i64,
        space: None,
    })
}

fn query(words: &str) -> Query {
    Query {
        words: words.to_owned(),
        limit: 20,
        ..Query::default()
    }
}

/// The search index follows the database; until it has caught up, there is nothing to measure.
async fn wait_until_visible(client: &DirectoryClient) -> Result<(), Failure> {
    let deadline = Instant::now() + VISIBLE_WITHIN;
    loop {
        let found = client.search(query(LAST)).await;
        let found = found.map_err(|problem| told(&problem))?.items.len();
        if found >= PEERS {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err("what was published cannot be searched for".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn search(
    client: &DirectoryClient,
    name: &str,
    words: &str,
    calls: usize,
) -> Result<Value, Failure> {
    let mut times = Vec::with_capacity(calls);
    let mut hits = 0;
    // One in ten more, at the start, does not count.
    for call in 0..calls + calls / 10 {
        let start = Instant::now();
        let page = client.search(query(words)).await;
        let took = start.elapsed().as_secs_f64();
        hits = page.map_err(|problem| told(&problem))?.items.len();
        if call >= calls / 10 {
            times.push(took);
        }
    }
    Ok(summary(name, &times, hits))
}

async fn locate(client: &DirectoryClient, options: &Options) -> Result<Value, Failure> {
    let mut times = Vec::with_capacity(options.queries);
    let mut providers = 0;
    for call in 0..options.queries {
        // A step that is prime to most counts, so that neighbours are not asked for in turn.
        let Some(file) = entry(call * 7_919 % options.files, options.files) else {
            continue;
        };
        let start = Instant::now();
        let located = client.locate(&file.hash).await;
        times.push(start.elapsed().as_secs_f64());
        providers = located.map_err(|problem| told(&problem))?.providers.len();
    }
    Ok(summary("locate", &times, providers))
}

fn summary(name: &str, times: &[f64], found: usize) -> Value {
    let at = |share| quantile(times.iter().copied(), share) * 1_000.0;
    json!({"call": name, "found": found, "p50_ms": at(0.5), "p99_ms": at(0.99), "calls": times.len()})
}

fn print(options: &Options, figures: &Value) {
    let machine = report::machine();
    if options.json {
        let all = json!({"bench": "directory", "machine": machine, "figures": figures});
        println!("{all}");
        return;
    }
    let number = |name: &str| figures[name].as_f64().unwrap_or(f64::NAN);
    println!(
        "{machine}; {} files of {PEERS} peers, batches of {BATCH}",
        options.files
    );
    println!(
        "published in {:.2} s ({:.0} files/s, {:.2} CPU s), searchable after {:.2} s",
        number("publish_seconds"),
        number("files_per_second"),
        number("publish_cpu"),
        number("visible_seconds")
    );
    println!(
        "memory of the directory: {:.0} MiB empty, {:.0} MiB full, {:.0} MiB at most",
        number("memory_empty_mib"),
        number("memory_mib"),
        number("memory_peak_mib")
    );
    let head = ["call", "found", "p50 ms", "p99 ms"];
    let rows = figures["calls"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|call| {
            let ms = |name: &str| format!("{:.2}", call[name].as_f64().unwrap_or(f64::NAN));
            vec![
                call["call"].as_str().unwrap_or_default().to_owned(),
                call["found"].to_string(),
                ms("p50_ms"),
                ms("p99_ms"),
            ]
        });
    report::print_table(&head, &rows.collect::<Vec<_>>());
}
