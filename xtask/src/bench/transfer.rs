//! One file to disk, from one, two and four peers, next to the plain TCP copy of the same file and
//! to the other systems that are installed.
//!
//! The rounds interleave, so that a machine that slows down slows all alike; the first of each does
//! not count, and before each the memory that its file will be cached in is touched, because the
//! first touch alone can triple a transfer's time.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::netns::Host;
use super::others::nginx::Nginx;
use super::others::{self, aria2, libtorrent, nc};
use super::payload::{self, Scratch};
use super::report::{self, mib};
use super::round::{Round, Way};
use super::system::{Running, System};
use super::{Options, floor, usage};
use crate::Failure;

const NAME: &str = "payload.bin";

/// A directory of its own with providers that share the same folder, and a home that fetches.
struct Group {
    system: System,
    _directory: Running,
    providers: Vec<Running>,
}

/// What every way copies, and where to.
struct Places {
    share: PathBuf,
    file: PathBuf,
    got: PathBuf,
    torrent: PathBuf,
    hash: String,
}

/// Runs the benchmark and prints its table.
///
/// # Errors
/// If anything on Convite's way fails. Other systems that fail, or are missing, are rows that say so.
pub fn run(options: &Options) -> Result<(), Failure> {
    let scratch = Scratch::new("transfer")?;
    let system = System::new(scratch.path(), options.binary.as_deref())?;
    if options.install {
        others::install();
    }
    let share = scratch.folder("share")?;
    let file = share.join(NAME);
    let size = options.large();
    eprintln!("making {size} bytes");
    let hash = payload::write(&file, size, 1)?;
    let places = Places {
        share,
        file,
        got: scratch.folder("got")?,
        torrent: scratch.path().join("payload.torrent"),
        hash,
    };
    let mut groups = Vec::new();
    for count in &options.providers {
        let homes = scratch.folder(&format!("providers-{count}"))?;
        groups.push(group(&system.with_homes_in(homes), *count, &places)?);
    }
    let nginx = match options.alone {
        true => Err("left out".to_owned()),
        false => Nginx::start(&Host::loopback(), &places.share, &scratch.folder("nginx")?),
    };
    payload::read(&places.file)?;

    let floors = ["plain TCP", "plain TCP + BLAKE3"];
    let mut plain = floors.map(Way::new);
    let mut ours: Vec<Way> = groups.iter().map(Group::way).collect();
    let names = [
        "nc",
        "nginx TLS + curl",
        "nginx TLS + aria2c -x4",
        "libtorrent",
    ];
    let mut theirs: Vec<Way> = names.map(Way::new).into();
    if options.alone {
        theirs.clear();
    }
    for round in 0..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        let counts = round > 0;
        for (way, hashed) in plain.iter_mut().zip([false, true]) {
            payload::touch(&places.got, size)?;
            way.take(Ok(places.plain(hashed)?), counts);
        }
        for (way, group) in ours.iter_mut().zip(&groups) {
            payload::touch(&places.got, size)?;
            way.take(Ok(places.convite(group)?), counts);
        }
        for way in theirs.iter_mut().filter(|way| way.works()) {
            payload::touch(&places.got, size)?;
            way.take(places.other(&way.name, &nginx), counts);
        }
    }
    let tcp = plain[0].seconds();
    let nc = theirs.first().and_then(Way::seconds);
    let ways = plain.iter().chain(&ours).chain(&theirs);
    let figures: Vec<Value> = ways.map(|way| way.summary(size, tcp, nc)).collect();
    print(options, &figures);
    Ok(())
}

fn group(system: &System, count: usize, places: &Places) -> Result<Group, Failure> {
    let (directory, invite) = system.directory()?;
    system.join("getter", &invite)?;
    let mut providers = Vec::new();
    for number in 1..=count {
        let home = format!("provider{number}");
        system.join(&home, &invite)?;
        let provider = system.peer(&home, &places.share)?;
        // What hashing the share took at the start is not the transfer's.
        usage::forget_peak(provider.id())?;
        providers.push(provider);
    }
    Ok(Group {
        system: system.clone(),
        _directory: directory,
        providers,
    })
}

impl Group {
    fn way(&self) -> Way {
        match self.providers.len() {
            1 => Way::new("convite"),
            count => Way::new(format!("convite, {count} providers")),
        }
    }

    /// CPU seconds of all providers.
    fn cpu(&self) -> Result<f64, Failure> {
        self.providers.iter().map(|one| usage::cpu(one.id())).sum()
    }

    /// The sum of the most memory that each provider held, in bytes.
    fn peak(&self) -> u64 {
        let peak = |one: &Running| usage::peak_memory(one.id()).unwrap_or(0);
        self.providers.iter().map(peak).sum()
    }
}

impl Places {
    fn plain(&self, hashed: bool) -> Result<Round, Failure> {
        let to = self.got.join(NAME);
        let copy = floor::copy(&self.file, &to, hashed)?;
        remove(&to)?;
        Ok(Round {
            seconds: copy.seconds,
            sender: (copy.sender.cpu, copy.sender.peak),
            receiver: copy.receiver,
            first: None,
        })
    }

    fn other(&self, name: &str, nginx: &Result<Nginx, Failure>) -> Result<Round, Failure> {
        let to = self.got.join(NAME);
        let nginx = || nginx.as_ref().map_err(Clone::clone);
        let result = match name {
            "nc" => nc::copy(&self.file, &to),
            "nginx TLS + curl" => nginx()?.curl(NAME, &to),
            "nginx TLS + aria2c -x4" => aria2::ranges(nginx()?, NAME, &to),
            _ => libtorrent::copy(&self.file, &self.torrent, &self.got),
        };
        // A failure may have left some of the file, or none.
        let same = result.is_err() || payload::read(&to)? == self.hash;
        let _ = std::fs::remove_file(&to);
        match same {
            true => result,
            false => Err("what arrived is not what was sent".to_owned()),
        }
    }

    fn convite(&self, group: &Group) -> Result<Round, Failure> {
        let before = group.cpu()?;
        let target = format!("{}/", self.got.display());
        let get = ["get", &self.hash, "-o", &target];
        let (events, receiver) = group.system.finish("getter", &get)?;
        let cpu = group.cpu()? - before;
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
            sender: (cpu, group.peak()),
            receiver,
            first: done["first_verified_ms"].as_f64(),
        };
        if payload::read(Path::new(path))? != self.hash {
            return Err("what arrived is not what was sent".to_owned());
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
        "way",
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
