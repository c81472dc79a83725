//! `bench transfer`: one file to disk, from one, two and four peers, compared with its plain TCP
//! copy and with other installed systems.
//!
//! The rounds alternate, so that a machine that slows down affects all methods. The first round of
//! each does not count. Before each round, the memory for the file's cache is accessed, because the
//! first access can triple the time of a transfer.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::method::{Method, Transfer};
use super::netns::Host;
use super::options::Options;
use super::others::nginx::Nginx;
use super::others::{self, aria2, libtorrent, nc};
use super::payload::{self, Scratch};
use super::report::{self, mib};
use super::system::{Running, System};
use super::{baseline, usage};
use crate::Failure;

const NAME: &str = "payload.bin";

/// A directory, providers that share the same folder, and a home that downloads.
struct RunningSystem {
    system: System,
    _directory: Running,
    providers: Vec<Running>,
}

/// The source and the target of the transfers.
struct TransferSetup {
    share: PathBuf,
    file: PathBuf,
    got: PathBuf,
    torrent: PathBuf,
    hash: String,
}

/// Runs the benchmark and prints its table.
///
/// # Errors
/// Fails if Convite fails. If another system fails or is missing, its row says so.
pub fn run(options: &Options) -> Result<(), Failure> {
    let scratch = Scratch::new("transfer")?;
    let system = System::new(scratch.path(), options.binary.as_deref())?;
    if options.install {
        others::install();
    }
    let share = scratch.folder("share")?;
    let file = share.join(NAME);
    let size = options.large();
    eprintln!("writing a file of {size} bytes");
    let hash = payload::write(&file, size, 1)?;
    let setup = TransferSetup {
        share,
        file,
        got: scratch.folder("got")?,
        torrent: scratch.path().join("payload.torrent"),
        hash,
    };
    let mut groups = Vec::new();
    for count in &options.providers {
        let homes = scratch.folder(&format!("providers-{count}"))?;
        groups.push(group(&system.with_homes_in(homes), *count, &setup)?);
    }
    let nginx = if options.alone {
        Err("omitted".to_owned())
    } else {
        Nginx::start(&Host::loopback(), &setup.share, &scratch.folder("nginx")?)
    };
    payload::read(&setup.file)?;

    let baselines = ["plain TCP", "plain TCP + BLAKE3"];
    let mut plain = baselines.map(Method::new);
    let mut ours: Vec<Method> = groups.iter().map(RunningSystem::method).collect();
    let names = [
        "nc",
        "nginx TLS + curl",
        "nginx TLS + aria2c -x4",
        "libtorrent",
    ];
    let mut theirs: Vec<Method> = names.map(Method::new).into();
    if options.alone {
        theirs.clear();
    }
    for round in 0..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        let counts = round > 0;
        for (method, hashed) in plain.iter_mut().zip([false, true]) {
            payload::warm_memory(&setup.got, size)?;
            method.add(Ok(setup.plain(hashed)?), counts);
        }
        for (method, group) in ours.iter_mut().zip(&groups) {
            payload::warm_memory(&setup.got, size)?;
            method.add(Ok(setup.convite(group)?), counts);
        }
        for method in theirs.iter_mut().filter(|method| method.is_available()) {
            payload::warm_memory(&setup.got, size)?;
            method.add(setup.other(&method.name, &nginx), counts);
        }
    }
    let tcp = plain[0].seconds();
    let nc = theirs.first().and_then(Method::seconds);
    let methods = plain.iter().chain(&ours).chain(&theirs);
    let figures: Vec<Value> = methods
        .map(|method| method.summary(size, tcp, nc))
        .collect();
    print(options, &figures);
    Ok(())
}

fn group(system: &System, count: usize, setup: &TransferSetup) -> Result<RunningSystem, Failure> {
    let (directory, invite) = system.directory()?;
    system.join("getter", &invite)?;
    let mut providers = Vec::new();
    for number in 1..=count {
        let home = format!("provider{number}");
        system.join(&home, &invite)?;
        let provider = system.peer(&home, &setup.share)?;
        // The memory for hashing the share at the start does not count.
        usage::reset_peak(provider.id())?;
        providers.push(provider);
    }
    Ok(RunningSystem {
        system: system.clone(),
        _directory: directory,
        providers,
    })
}

impl RunningSystem {
    fn method(&self) -> Method {
        match self.providers.len() {
            1 => Method::new("convite"),
            count => Method::new(format!("convite, {count} providers")),
        }
    }

    /// Returns the CPU seconds of all providers.
    fn cpu(&self) -> Result<f64, Failure> {
        self.providers.iter().map(|one| usage::cpu(one.id())).sum()
    }

    /// Returns the sum of the providers' peak memory in bytes.
    fn peak(&self) -> u64 {
        let peak = |one: &Running| usage::peak_memory(one.id()).unwrap_or(0);
        self.providers.iter().map(peak).sum()
    }
}

impl TransferSetup {
    fn plain(&self, hashed: bool) -> Result<Transfer, Failure> {
        let to = self.got.join(NAME);
        let copy = baseline::copy(&self.file, &to, hashed)?;
        remove(&to)?;
        Ok(Transfer {
            seconds: copy.seconds,
            sender: (copy.sender.cpu, copy.sender.peak),
            receiver: copy.receiver,
            first: None,
        })
    }

    fn other(&self, name: &str, nginx: &Result<Nginx, Failure>) -> Result<Transfer, Failure> {
        let to = self.got.join(NAME);
        let nginx = || nginx.as_ref().map_err(Clone::clone);
        let result = match name {
            "nc" => nc::copy(&self.file, &to),
            "nginx TLS + curl" => nginx()?.curl(NAME, &to),
            "nginx TLS + aria2c -x4" => aria2::ranges(nginx()?, NAME, &to),
            _ => libtorrent::copy(&self.file, &self.torrent, &self.got),
        };
        // After a failure, the file may be incomplete or missing.
        let same = result.is_err() || payload::read(&to)? == self.hash;
        let _ = std::fs::remove_file(&to);
        if same {
            result
        } else {
            Err("the copy differs from the sent file".to_owned())
        }
    }

    fn convite(&self, group: &RunningSystem) -> Result<Transfer, Failure> {
        let before = group.cpu()?;
        let target = format!("{}/", self.got.display());
        let get = ["get", &self.hash, "-o", &target];
        let (events, receiver) = group.system.run("getter", &get)?;
        let cpu = group.cpu()? - before;
        let done = events
            .iter()
            .find(|event| event["event"] == "done")
            .ok_or("`convite get` printed no `done` event")?;
        let seconds = done["seconds"].as_f64();
        let path = done["path"]
            .as_str()
            .ok_or("the `done` event has no path")?;
        let round = Transfer {
            seconds: seconds.ok_or("the `done` event has no seconds")?,
            sender: (cpu, group.peak()),
            receiver,
            first: done["first_verified_ms"].as_f64(),
        };
        if payload::read(Path::new(path))? != self.hash {
            return Err("the copy differs from the sent file".to_owned());
        }
        remove(Path::new(path))?;
        Ok(round)
    }
}

fn remove(path: &Path) -> Result<(), Failure> {
    std::fs::remove_file(path)
        .map_err(|error| format!("{} cannot be removed: {error}", path.display()))
}

fn print(options: &Options, figures: &[Value]) {
    let (size, rounds) = (options.large(), options.rounds);
    let machine = report::machine();
    if options.json {
        let all = json!({"bench": "transfer", "machine": machine, "bytes": size, "rounds": rounds, "ways": figures});
        println!("{all}");
        return;
    }
    println!("{machine}; {} MiB, medians of {rounds}", mib(size));
    let head = [
        "method",
        "s",
        "process s",
        "MiB/s",
        "of TCP",
        "of nc",
        "CPU s",
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
        let name = figure["way"].as_str().unwrap_or_default().to_owned();
        if let Some(why) = figure["missing"].as_str() {
            return report::missing(name, why, head.len());
        }
        vec![
            name,
            number("seconds", 2),
            number("wall", 2),
            number("mib_per_second", 0),
            number("ratio", 2),
            number("ratio_to_nc", 2),
            number("cpu", 2),
            number("sender_cpu", 2),
            number("receiver_cpu", 2),
            number("sender_peak_mib", 0),
            number("receiver_peak_mib", 0),
            number("first_verified_ms", 1),
        ]
    });
    report::print_table(&head, &rows.collect::<Vec<_>>());
}
