//! One file from one peer to another, to disk, next to the plain TCP copy of the same file.
//!
//! The rounds interleave, so that a machine that slows down slows both alike; the first of each does
//! not count, because touching memory for the first time alone can triple a transfer's time.

use std::path::Path;

use serde_json::{Value, json};

use super::payload::{self, Scratch};
use super::report::{self, median, mib};
use super::system::{Running, System};
use super::usage::{self, Usage};
use super::{Options, floor};
use crate::Failure;

/// One transfer by one way.
struct Round {
    /// As the receiver tells: from the connection to the end of the fsync.
    seconds: f64,
    /// CPU seconds and peak bytes of the sender.
    sender: (f64, u64),
    receiver: Usage,
    /// Milliseconds to the first verified byte.
    first: Option<f64>,
}

/// Runs the benchmark and prints its table.
///
/// # Errors
/// If anything on the way fails.
pub fn run(options: &Options) -> Result<(), Failure> {
    let scratch = Scratch::new("transfer")?;
    let system = System::new(scratch.path(), options.binary.as_deref())?;
    let share = scratch.folder("share")?;
    let file = share.join("payload.bin");
    eprintln!("making {} bytes", options.size);
    let hash = payload::write(&file, options.size, 1)?;

    let (_directory, invite) = system.directory()?;
    system.join("provider", &invite)?;
    system.join("getter", &invite)?;
    let provider = system.peer("provider", &share)?;
    // What hashing the share took at the start is not the transfer's.
    usage::forget_peak(provider.id())?;
    payload::read(&file)?;

    let mut ways: [Vec<Round>; 3] = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        let copied = scratch.path().join("copied.bin");
        let results = [
            plain(&file, &copied, false)?,
            plain(&file, &copied, true)?,
            convite(&system, &provider, &hash, &scratch.folder("got")?)?,
        ];
        if round > 0 {
            for (way, result) in ways.iter_mut().zip(results) {
                way.push(result);
            }
        }
    }
    let names = ["plain TCP", "plain TCP + BLAKE3", "convite"];
    let floor = median(ways[0].iter().map(|round| round.seconds));
    let figures: Vec<Value> = names
        .iter()
        .zip(&ways)
        .map(|(name, rounds)| summary(name, rounds, options.size, floor))
        .collect();
    print(options, &figures);
    Ok(())
}

fn plain(from: &Path, to: &Path, hashed: bool) -> Result<Round, Failure> {
    let copy = floor::copy(from, to, hashed)?;
    std::fs::remove_file(to).map_err(|error| format!("the copy cannot be removed: {error}"))?;
    Ok(Round {
        seconds: copy.seconds,
        sender: (copy.sender.cpu, copy.sender.peak),
        receiver: copy.receiver,
        first: None,
    })
}

fn convite(
    system: &System,
    provider: &Running,
    hash: &str,
    folder: &Path,
) -> Result<Round, Failure> {
    let before = usage::cpu(provider.id())?;
    let target = format!("{}/", folder.display());
    let (events, receiver) = system.finish("getter", &["get", hash, "-o", &target])?;
    let cpu = usage::cpu(provider.id())? - before;
    let done = events
        .iter()
        .find(|event| event["event"] == "done")
        .ok_or("`convite get` told no `done` event")?;
    let seconds = done["seconds"].as_f64();
    let path = done["path"]
        .as_str()
        .ok_or("the `done` event has no path")?;
    let round = Round {
        seconds: seconds.ok_or("the `done` event has no seconds")?,
        sender: (cpu, usage::peak_memory(provider.id()).unwrap_or(0)),
        receiver,
        first: done["first_verified_ms"].as_f64(),
    };
    if payload::read(Path::new(path))? != hash {
        return Err("what arrived is not what was sent".to_owned());
    }
    std::fs::remove_file(path).map_err(|error| format!("{path} cannot be removed: {error}"))?;
    Ok(round)
}

fn summary(name: &str, rounds: &[Round], size: u64, floor: f64) -> Value {
    let of = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure));
    let seconds = of(|round| round.seconds);
    json!({
        "way": name,
        "seconds": seconds,
        "wall": of(|round| round.receiver.wall),
        "mib_per_second": mib(size) / seconds,
        "ratio": floor / seconds,
        "sender_cpu": of(|round| round.sender.0),
        "receiver_cpu": of(|round| round.receiver.cpu),
        "sender_peak_mib": of(|round| mib(round.sender.1)),
        "receiver_peak_mib": of(|round| mib(round.receiver.peak)),
        "first_verified_ms": median(rounds.iter().filter_map(|round| round.first)),
    })
}

fn print(options: &Options, figures: &[Value]) {
    let (size, rounds) = (options.size, options.rounds);
    let machine = report::machine();
    if options.json {
        let all = json!({"bench": "transfer", "machine": machine, "bytes": size, "rounds": rounds, "ways": figures});
        println!("{all}");
        return;
    }
    println!("{machine}; {} MiB, medians of {rounds}", mib(size));
    let head = [
        "way",
        "s",
        "process s",
        "MiB/s",
        "ratio",
        "CPU s out",
        "CPU s in",
        "MiB out",
        "MiB in",
        "first ms",
    ];
    let rows = figures.iter().map(|figure| {
        let number = |name: &str, digits: usize| match figure[name].as_f64() {
            Some(number) => format!("{number:.digits$}"),
            None => "–".to_owned(),
        };
        vec![
            figure["way"].as_str().unwrap_or_default().to_owned(),
            number("seconds", 2),
            number("wall", 2),
            number("mib_per_second", 0),
            number("ratio", 2),
            number("sender_cpu", 2),
            number("receiver_cpu", 2),
            number("sender_peak_mib", 0),
            number("receiver_peak_mib", 0),
            number("first_verified_ms", 1),
        ]
    });
    report::print_table(&head, &rows.collect::<Vec<_>>());
}
