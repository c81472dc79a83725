//! One directory under load: several peers publish many files at once; then a fixed mix of searches,
//! locates, heartbeats, logins and changes, in an open loop; then how much it gets done for its
//! processor time; then a restart.
//!
//! What drives it is this process, which runs on the same cores: its own work is part of the times.

mod mix;
mod names;
mod page;
mod work;

pub use self::page::run as page;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use convite_client::{Credentials, DirectoryClient, Home};
use convite_core::activity::Activity;
use convite_core::{PeerId, Problem, Terms};
use serde_json::{Value, json};

use self::mix::{Caller, query};
use super::Options;
use super::payload::Scratch;
use super::report::{self, mib};
use super::system::{Running, System};
use super::usage;
use crate::Failure;

const PEERS: usize = 4;
/// Files in one message.
const BATCH: usize = 5_000;
const VISIBLE_WITHIN: Duration = Duration::from_secs(300);

/// Runs the benchmark and prints its tables.
///
/// # Errors
/// If anything on Convite's way fails.
pub fn run(options: &Options, _: &[&str]) -> Result<(), Failure> {
    if options.files < names::RARE_EVERY {
        return Err(format!(
            "--files wants at least {}, for the rare word to occur",
            names::RARE_EVERY
        ));
    }
    if options.install {
        super::others::install();
    }
    let scratch = Scratch::new("directory")?;
    let system = System::new(scratch.path(), options.binary.as_deref())?;
    let database = options.database.as_deref();
    let (directory, invite) = system.directory_on(database)?;
    let homes = homes(&system, &scratch, &invite)?;
    let runtime = runtime()?;
    let folder = scratch.folder("tracker")?;
    let mut figures = runtime.block_on(measure(options, &directory, homes, &folder))?;
    let home = scratch.path().join("directory");
    figures["disk_mib"] = json!(mib(bytes_in(&home)));
    // What drove it goes first: its connections would only be drained.
    drop(runtime);
    directory.stop()?;
    let (again, _) = system.directory_on(database)?;
    figures["restart_seconds"] = json!(again.took);
    print(options, &figures);
    Ok(())
}

/// A home for each peer, with an account of the directory.
fn homes(system: &System, scratch: &Scratch, invite: &str) -> Result<Vec<PathBuf>, Failure> {
    let mut homes = Vec::new();
    for number in 0..PEERS {
        let home = format!("loader{number}");
        system.join(&home, invite)?;
        homes.push(scratch.path().join(home));
    }
    Ok(homes)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))
}

async fn measure(
    options: &Options,
    directory: &Running,
    homes: Vec<PathBuf>,
    folder: &Path,
) -> Result<Value, Failure> {
    let process = directory.id();
    let empty = usage::memory_now(process).unwrap_or(0);
    let start = Instant::now();
    let cpu = usage::cpu(process)?;
    let callers = fill(homes, options.files).await?;
    let published = start.elapsed().as_secs_f64();
    eprintln!("published after {published:.1} s");
    wait_until_visible(&callers[0].client).await?;
    let visible = start.elapsed().as_secs_f64();
    let published_cpu = usage::cpu(process)? - cpu;
    let full = usage::memory_now(process).unwrap_or(0);

    eprintln!("the mix, {} s", options.seconds);
    // The first second or two warm the caches of both ends, and do not count.
    mix::drive(&callers, options.files, 2).await;
    let calls = mix::drive(&callers, options.files, options.seconds).await;
    eprintln!("as much as it can");
    let work = work::rows(process, &callers, options.files, options.alone, folder).await?;
    Ok(json!({
        "files": options.files,
        "peers": PEERS,
        "publish_seconds": published,
        "visible_seconds": visible,
        "publish_cpu": published_cpu,
        "files_per_second": options.files as f64 / published,
        "memory_empty_mib": mib(empty),
        "memory_mib": mib(full),
        "memory_peak_mib": mib(usage::peak_memory(process).unwrap_or(0)),
        "calls": calls,
        "work": work,
    }))
}

/// Publishes so many files as peers of these homes, whose leases are kept as long as the runtime lives.
async fn fill(homes: Vec<PathBuf>, files: usize) -> Result<Vec<Caller>, Failure> {
    let mut callers = Vec::new();
    for (number, home) in homes.into_iter().enumerate() {
        callers.push(caller(home, number)?);
    }
    let mut publishing = Vec::new();
    for (number, caller) in callers.iter().enumerate() {
        publishing.push(tokio::spawn(publish(caller.clone(), number, files)));
    }
    for task in publishing {
        let done = task.await.map_err(|error| format!("publishing: {error}"))?;
        done.map_err(|problem| told(&problem))?;
    }
    Ok(callers)
}

fn caller(home: PathBuf, number: usize) -> Result<Caller, Failure> {
    let home = Home::open(home).map_err(|problem| told(&problem))?;
    let credentials = Credentials::load(&home).map_err(|problem| told(&problem))?;
    let credentials = credentials.ok_or("`convite join` kept no credentials")?;
    let client = DirectoryClient::new(&credentials).map_err(|problem| told(&problem))?;
    let peer = format!("loader-{number}").parse::<PeerId>();
    Ok(Caller {
        client,
        credentials,
        peer: peer.map_err(|problem| told(&problem))?,
    })
}

fn told(problem: &Problem) -> Failure {
    format!("{} ({})", problem.message, problem.code)
}

/// Publishes the files whose number is `number` modulo [`PEERS`], and keeps the lease.
async fn publish(caller: Caller, number: usize, files: usize) -> Result<(), Problem> {
    let Caller { client, peer, .. } = caller;
    let port = 6_000 + number as u16;
    let registered = client
        .register_peer(&peer, port, &[], None, false, &Terms::default())
        .await?;
    let beating = (client.clone(), peer.clone());
    tokio::spawn(async move {
        let (client, peer) = beating;
        loop {
            tokio::time::sleep(registered.lease / 3).await;
            if client.heartbeat(&peer, &Activity::default()).await.is_err() {
                break;
            }
        }
    });
    let mine = files.saturating_sub(number).div_ceil(PEERS);
    let batches = (0..mine.div_ceil(BATCH)).map(move |batch| {
        let own = batch * BATCH..mine.min((batch + 1) * BATCH);
        own.filter_map(|index| names::entry(index * PEERS + number, files, PEERS))
            .collect()
    });
    let generation = registered.generation + 1;
    client
        .publish_all(&peer, generation, tokio_stream::iter(batches))
        .await?;
    Ok(())
}

/// The search index follows the database; until it has caught up, there is nothing to measure.
async fn wait_until_visible(client: &DirectoryClient) -> Result<(), Failure> {
    let deadline = Instant::now() + VISIBLE_WITHIN;
    loop {
        let found = client.search(query(names::LAST)).await;
        let found = found.map_err(|problem| told(&problem))?.items.len();
        if found >= PEERS {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err("what was published cannot be searched for".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Bytes of all files below `folder`; what cannot be read counts nothing.
fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(there) if there.is_dir() => bytes_in(&entry.path()),
        Ok(there) => there.len(),
        Err(_) => 0,
    };
    entries.map(bytes).sum()
}

fn print(options: &Options, figures: &Value) {
    let machine = report::machine();
    if options.json {
        let all = json!({"bench": "directory", "machine": machine, "figures": figures});
        println!("{all}");
        return;
    }
    let number = |name: &str| figures[name].as_f64().unwrap_or(f64::NAN);
    let database = match &options.database {
        Some(_) => "PostgreSQL",
        None => "SQLite",
    };
    println!(
        "{machine}; {database}; {} files of {PEERS} peers, batches of {BATCH}",
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
        "memory of the directory: {:.0} MiB empty, {:.0} MiB full, {:.0} MiB at most; home {:.0} MiB on disk; restart to ready {:.2} s",
        number("memory_empty_mib"),
        number("memory_mib"),
        number("memory_peak_mib"),
        number("disk_mib"),
        number("restart_seconds")
    );
    println!(
        "\nthe mix: {} searches a second, 1,000 changes a second, {} s",
        mix::SEARCHES,
        options.seconds
    );
    rows(
        &["call", "calls", "failed", "p50 ms", "p99 ms"],
        &["calls", "failed", "p50_ms", "p99_ms"],
        &figures["calls"],
    );
    println!("\nas much as it can, over connections that are kept open");
    rows(
        &["call", "a second", "a CPU second", "failed"],
        &["per_second", "per_cpu_second", "failed"],
        &figures["work"],
    );
}

fn rows(head: &[&str], fields: &[&str], rows: &Value) {
    let row = |row: &Value| {
        let name = row["call"].as_str().unwrap_or_default().to_owned();
        if let Some(why) = row["missing"].as_str() {
            return report::missing(name, why, head.len());
        }
        let cell = |field: &&str| match &row[field] {
            whole if whole.is_u64() => whole.to_string(),
            other => match other.as_f64() {
                Some(number) if number >= 1_000.0 => format!("{number:.0}"),
                Some(number) => format!("{number:.2}"),
                None => "–".to_owned(),
            },
        };
        std::iter::once(name)
            .chain(fields.iter().map(cell))
            .collect()
    };
    let rows: Vec<Vec<String>> = rows.as_array().into_iter().flatten().map(row).collect();
    report::print_table(head, &rows);
}
