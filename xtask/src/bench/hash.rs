//! `bench hash`: the first start of a peer, which hashes its shares, and the second start, which
//! finds every hash in its cache. Measured from the start of the process to its ready line, and
//! compared with BLAKE3 over the same cached files on all cores (and with `b3sum`, if it is
//! installed).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use super::baseline;
use super::options::Options;
use super::payload::{self, Scratch};
use super::report::{self, median, mib};
use super::system::System;
use crate::Failure;

const SMALL_FILES: u64 = 10_000;
const SMALL_SIZE: u64 = 10 << 10;

/// A shared folder of test files, with a name for the table.
struct Case {
    name: String,
    folder: PathBuf,
    files: Vec<PathBuf>,
    bytes: u64,
}

/// Runs the benchmark and prints its table.
///
/// # Errors
/// Fails if a process or a measurement fails.
pub fn run(options: &Options) -> Result<(), Failure> {
    let scratch = Scratch::new("hash")?;
    let system = System::new(scratch.path(), options.binary.as_deref())?;
    let (_directory, invite) = system.directory()?;
    eprintln!("writing the files");
    let cases = [
        case(&scratch, "large", 1, options.large())?,
        case(&scratch, "small", SMALL_FILES, SMALL_SIZE)?,
    ];
    let mut figures = Vec::new();
    for case in &cases {
        for file in &case.files {
            payload::read(file)?;
        }
        figures.push(measure(&system, &invite, case, options.rounds)?);
    }
    print(options, &figures);
    Ok(())
}

fn case(scratch: &Scratch, name: &str, files: u64, size: u64) -> Result<Case, Failure> {
    let folder = scratch.folder(name)?;
    let mut paths = Vec::new();
    for number in 0..files {
        // 100 files per folder, like real nested folders.
        let inner = scratch.folder(&format!("{name}/{:03}", number / 100))?;
        let path = inner.join(format!("file-{number:05}.bin"));
        payload::write(&path, size, number)?;
        paths.push(path);
    }
    Ok(Case {
        name: format!("{files} × {} KiB", size >> 10),
        folder,
        files: paths,
        bytes: files * size,
    })
}

fn measure(system: &System, invite: &str, case: &Case, rounds: usize) -> Result<Value, Failure> {
    let mut baselines = Vec::new();
    let mut b3sums = Vec::new();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        eprintln!("{}: round {round} of {rounds}", case.name);
        let baseline = baseline::hash(&case.files)?;
        let b3sum = b3sum(&case.folder);
        // A new home in each round, so that its cache is empty.
        let home = format!("hash{}-{round}", case.files.len());
        system.join(&home, invite)?;
        let starts = [start(system, &home, case)?, start(system, &home, case)?];
        if round > 0 {
            baselines.push(baseline);
            b3sums.extend(b3sum);
            first.push(starts[0]);
            second.push(starts[1]);
        }
    }
    Ok(json!({
        "files": case.name,
        "mib": mib(case.bytes),
        "floor": median(baselines),
        "b3sum": median(b3sums),
        "first_start": median(first),
        "second_start": median(second),
    }))
}

fn start(system: &System, home: &str, case: &Case) -> Result<f64, Failure> {
    let running = system.peer(home, &case.folder)?;
    let took = running.start_seconds;
    let files = running.ready["files"].as_u64();
    if files != Some(case.files.len() as u64) {
        return Err(format!(
            "the peer was ready with {files:?} files instead of {}",
            case.files.len()
        ));
    }
    running.stop()?;
    Ok(took)
}

/// Returns the seconds that `b3sum` takes; none if it is not installed.
fn b3sum(folder: &Path) -> Option<f64> {
    let start = Instant::now();
    let script = "find \"$0\" -type f -print0 | xargs -0 b3sum";
    let status = Command::new("sh")
        .args(["-c", script])
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status
        .ok()?
        .success()
        .then(|| start.elapsed().as_secs_f64())
}

fn print(options: &Options, figures: &[Value]) {
    let machine = report::machine();
    if options.json {
        println!(
            "{}",
            json!({"bench": "hash", "machine": machine, "rounds": options.rounds, "cases": figures})
        );
        return;
    }
    println!(
        "{machine}; cached files, medians of {}, seconds",
        options.rounds
    );
    let head = [
        "files",
        "MiB",
        "BLAKE3",
        "b3sum",
        "first start",
        "MiB/s",
        "second start",
    ];
    let rows = figures.iter().map(|figure| {
        let number = |name: &str| figure[name].as_f64();
        let seconds = |name: &str| number(name).map_or("–".to_owned(), |s| format!("{s:.3}"));
        let rate = number("mib")
            .zip(number("first_start"))
            .map(|(mib, s)| mib / s);
        vec![
            figure["files"].as_str().unwrap_or_default().to_owned(),
            format!("{:.0}", number("mib").unwrap_or_default()),
            seconds("floor"),
            seconds("b3sum"),
            seconds("first_start"),
            format!("{:.0}", rate.unwrap_or_default()),
            seconds("second_start"),
        ]
    });
    report::print_table(&head, &rows.collect::<Vec<_>>());
}
