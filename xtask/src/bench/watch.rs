//! `bench watch`: a peer that watches a folder with very many small files. Measures its starts, its
//! memory, and the time from a change on the disk until another home can search for it.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::options::Options;
use super::payload::Scratch;
use super::report::{self, median, mib};
use super::system::{Running, System};
use super::usage;
use crate::Failure;

/// The number of files in one folder, about the maximum of real folders.
const FILES_PER_FOLDER: usize = 1_000;
const BURST: usize = 10_000;
const TIMEOUT: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// The number of files of a burst that are searched for: evenly spread, and including the last one.
const SAMPLED_FILES: usize = 16;
const WATCHER: &str = "watcher";
const READER: &str = "reader";

/// Runs the benchmark and prints its figures.
///
/// # Errors
/// Fails if a process or a measurement fails.
pub fn run(options: &Options) -> Result<(), Failure> {
    let scratch = Scratch::new("watch")?;
    let system = System::new(scratch.path(), options.binary.as_deref())?;
    let (_directory, invite) = system.directory()?;
    system.join(WATCHER, &invite)?;
    system.join(READER, &invite)?;
    eprintln!("writing {} files", options.files);
    let folder = scratch.folder("files")?;
    for number in 0..options.files {
        let inner = folder.join(format!("{:04}", number / FILES_PER_FOLDER));
        if number % FILES_PER_FOLDER == 0 {
            make(&inner)?;
        }
        write(&inner.join(format!("file {number}.txt")), number)?;
    }
    eprintln!("starting the peer");
    let start = Instant::now();
    let peer = system.peer(WATCHER, &folder)?;
    wait_until_listed(&system, options.files)?;
    let first = (
        peer.start_seconds,
        start.elapsed().as_secs_f64(),
        memory(&peer),
    );
    peer.stop()?;
    let peer = system.peer(WATCHER, &folder)?;
    let second = peer.start_seconds;
    wait_until_listed(&system, options.files)?;

    let mut changes = Vec::new();
    for round in 0..options.rounds {
        // In the last folder, so that a scan in order finds it last.
        let inner = folder.join(format!("{:04}", (options.files - 1) / FILES_PER_FOLDER));
        let start = Instant::now();
        write(&inner.join(format!("single{round}.txt")), round)?;
        wait_until_found(&system, &format!("single{round}"))?;
        changes.push(start.elapsed().as_secs_f64());
    }
    let before = options.files + options.rounds;
    let mut bursts = Vec::new();
    for round in 0..options.rounds {
        let inner = folder.join(format!("burst {round}"));
        let start = Instant::now();
        make(&inner)?;
        for number in 0..BURST {
            write(&inner.join(format!("burst{round}n{number}.txt")), number)?;
        }
        let written = start.elapsed().as_secs_f64();
        wait_until_listed(&system, before + (round + 1) * BURST)?;
        for at in 1..=SAMPLED_FILES {
            wait_until_found(
                &system,
                &format!("burst{round}n{}", at * BURST / SAMPLED_FILES - 1),
            )?;
        }
        bursts.push((written, start.elapsed().as_secs_f64()));
    }
    let figures = json!({
        "files": options.files,
        "first_start": first.0,
        "listed": first.1,
        "memory_mib": mib(first.2),
        "second_start": second,
        "memory_after_mib": mib(memory(&peer)),
        "change": median(changes),
        "burst_written": median(bursts.iter().map(|burst| burst.0)),
        "burst": median(bursts.iter().map(|burst| burst.1)),
    });
    peer.stop()?;
    print(options, &figures);
    Ok(())
}

fn make(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir(folder)
        .map_err(|error| format!("{} cannot be created: {error}", folder.display()))
}

/// Writes a small file with unique contents.
fn write(path: &Path, number: usize) -> Result<(), Failure> {
    std::fs::write(path, format!("{} {number}", path.display()))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

fn memory(peer: &Running) -> u64 {
    usage::peak_memory(peer.id()).unwrap_or(0)
}

/// Waits until the directory lists `files` files of the peer.
fn wait_until_listed(system: &System, files: usize) -> Result<(), Failure> {
    wait_until(&format!("{files} files of the peer"), || {
        let (peers, _) = system.run(READER, &["peers"])?;
        Ok(peers.iter().any(|peer| peer["files"] == files))
    })
}

/// Waits until a search for `word` by another home finds a file.
fn wait_until_found(system: &System, word: &str) -> Result<(), Failure> {
    wait_until(word, || {
        // The command fails if it finds nothing.
        let found = system.run(READER, &["search", word]);
        Ok(found.is_ok_and(|(hits, _)| !hits.is_empty()))
    })
}

fn wait_until(
    what: &str,
    mut is_there: impl FnMut() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let start = Instant::now();
    while !is_there()? {
        if start.elapsed() > TIMEOUT {
            return Err(format!("timed out while waiting for {what}"));
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

fn print(options: &Options, figures: &Value) {
    let machine = report::machine();
    if options.json {
        let all = json!({"bench": "watch", "machine": machine, "rounds": options.rounds, "figures": figures});
        println!("{all}");
        return;
    }
    println!("{machine}; a folder of {} small files", options.files);
    let number = |name: &str| figures[name].as_f64().unwrap_or(f64::NAN);
    let burst = format!("{BURST} new files: written, searchable");
    let rows = [
        ("first start: ready, s", number("first_start")),
        ("first start: the directory lists all, s", number("listed")),
        ("second start: ready, s", number("second_start")),
        ("peak memory of the peer, MiB", number("memory_mib")),
        ("memory after the bursts, MiB", number("memory_after_mib")),
        ("a new file: searchable, s", number("change")),
    ];
    let mut rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(what, value)| vec![(*what).to_owned(), format!("{value:.2}")])
        .collect();
    let written = format!("{:.2}, {:.2}", number("burst_written"), number("burst"));
    rows.push(vec![format!("{burst}, s"), written]);
    report::print_table(&["", ""], &rows);
}
