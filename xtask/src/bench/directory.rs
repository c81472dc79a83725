//! `bench directory`: one directory under load. Several peers publish many files at once; then
//! follows a fixed mix of searches, locates, heartbeats, logins and changes, in an open loop; then
//! the number of calls per CPU second; then a restart.
//!
//! This process generates the load on the same cores, so its work is part of the times.

#![allow(
    clippy::disallowed_methods,
    reason = "xtask starts its few tasks without names"
)]

mod mix;
mod names;
mod page;
mod setup;
mod throughput;

pub use self::page::run as page;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use self::setup::{BATCH, PEERS, fill, homes, runtime, wait_until_visible};
use super::options::Options;
use super::payload::Scratch;
use super::report::{self, mib};
use super::system::{Running, System};
use super::usage;
use crate::Failure;

/// Runs the benchmark and prints its tables.
///
/// # Errors
/// Fails if a process, a call or a measurement fails.
pub fn run(options: &Options, _: &[&str]) -> Result<(), Failure> {
    if options.files < names::RARE_EVERY {
        return Err(format!(
            "--files must be at least {}, so that the rare word occurs",
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
    // Closes the connections first, so that the directory does not wait for them when it stops.
    drop(runtime);
    directory.stop()?;
    let (again, _) = system.directory_on(database)?;
    figures["restart_seconds"] = json!(again.start_seconds);
    print(options, &figures);
    Ok(())
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
    // Two seconds that do not count warm the caches of both ends.
    mix::run(&callers, options.files, 2).await;
    let calls = mix::run(&callers, options.files, options.seconds).await;
    eprintln!("maximum throughput");
    let work = throughput::rows(process, &callers, options.files, options.alone, folder).await?;
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

/// Returns the bytes of all files in `folder` and its subfolders. Unreadable files count as 0.
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
        "memory of the directory: {:.0} MiB empty, {:.0} MiB full, {:.0} MiB peak; home {:.0} MiB on disk; restart to ready {:.2} s",
        number("memory_empty_mib"),
        number("memory_mib"),
        number("memory_peak_mib"),
        number("disk_mib"),
        number("restart_seconds")
    );
    println!(
        "\nthe mix: {} searches per second, 1,000 changes per second, {} s",
        mix::SEARCHES,
        options.seconds
    );
    rows(
        &["call", "calls", "failed", "p50 ms", "p99 ms"],
        &["calls", "failed", "p50_ms", "p99_ms"],
        &figures["calls"],
    );
    println!("\nmaximum throughput over open connections");
    rows(
        &["call", "per second", "per CPU second", "failed"],
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
