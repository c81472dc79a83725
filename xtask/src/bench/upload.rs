//! One file put into a peer's inbox, next to the same file fetched from a peer, and to the plain TCP
//! copy of it: interleaved, as in `transfer`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::payload::{self, Scratch};
use super::report::{self, mib};
use super::round::{Round, Way};
use super::system::{Running, System};
use super::{Options, floor, usage};
use crate::Failure;

const NAME: &str = "payload.bin";

struct Scene {
    system: System,
    _directory: Running,
    provider: Running,
    taker: Running,
    /// The taker's inbox.
    inbox: PathBuf,
    file: PathBuf,
    got: PathBuf,
    hash: String,
}

/// Runs the benchmark and prints its table.
///
/// # Errors
/// If anything fails.
pub fn run(options: &Options) -> Result<(), Failure> {
    let scratch = Scratch::new("upload")?;
    let system = System::new(scratch.path(), options.binary.as_deref())?;
    let share = scratch.folder("share")?;
    let file = share.join(NAME);
    let size = options.large();
    eprintln!("making {size} bytes");
    let hash = payload::write(&file, size, 1)?;
    let (directory, invite) = system.directory()?;
    for home in ["person", "provider", "taker"] {
        system.join(home, &invite)?;
    }
    let provider = system.peer("provider", &share)?;
    let inbox = scratch.folder("inbox")?;
    let shown = inbox.to_string_lossy();
    let flags = [
        "--allow-uploads",
        "--upload-quota",
        "1TiB",
        "--inbox",
        &shown,
    ];
    let taker = system.peer_with("taker", &scratch.folder("empty")?, &flags)?;
    usage::forget_peak(provider.id())?;
    usage::forget_peak(taker.id())?;
    let scene = Scene {
        system,
        _directory: directory,
        provider,
        taker,
        inbox,
        file,
        got: scratch.folder("got")?,
        hash,
    };
    payload::read(&scene.file)?;
    let mut plain = Way::new("plain TCP + BLAKE3");
    let (mut get, mut put) = (Way::new("convite get"), Way::new("convite put"));
    for round in 0..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        let counts = round > 0;
        payload::touch(&scene.got, size)?;
        plain.take(Ok(scene.plain()?), counts);
        payload::touch(&scene.got, size)?;
        get.take(Ok(scene.get()?), counts);
        payload::touch(&scene.got, size)?;
        put.take(Ok(scene.put()?), counts);
    }
    let (tcp, fetched) = (plain.seconds(), get.seconds());
    let figures: Vec<Value> = [&plain, &get, &put]
        .map(|way| way.summary(size, tcp, fetched))
        .into();
    print(options, &figures);
    Ok(())
}

impl Scene {
    fn plain(&self) -> Result<Round, Failure> {
        let to = self.got.join(NAME);
        let copy = floor::copy(&self.file, &to, true)?;
        remove(&to)?;
        Ok(Round {
            seconds: copy.seconds,
            sender: (copy.sender.cpu, copy.sender.peak),
            receiver: copy.receiver,
            first: None,
        })
    }

    fn get(&self) -> Result<Round, Failure> {
        let target = format!("{}/", self.got.display());
        let get = ["get", &self.hash, "-o", &target];
        let (round, _) = self.run(&get, &self.provider)?;
        self.check(&self.got.join(NAME))?;
        Ok(round)
    }

    fn put(&self) -> Result<Round, Failure> {
        let file = self.file.to_string_lossy();
        let (round, done) = self.run(&["put", &file, "--to", "taker-peer"], &self.taker)?;
        let name = done["path"]
            .as_str()
            .and_then(|path| path.rsplit('/').next());
        let name = name.ok_or("the `done` event has no path")?;
        self.check(&self.inbox.join("person").join(name))?;
        // The person's own process sent, and the taker received.
        Ok(Round {
            sender: (round.receiver.cpu, round.receiver.peak),
            receiver: usage::Usage {
                cpu: round.sender.0,
                peak: round.sender.1,
                ..round.receiver
            },
            ..round
        })
    }

    /// A command of the person's, with what the peer at the other end used.
    fn run(&self, args: &[&str], other: &Running) -> Result<(Round, Value), Failure> {
        let before = usage::cpu(other.id())?;
        let (events, receiver) = self.system.finish("person", args)?;
        let cpu = usage::cpu(other.id())? - before;
        let done = events
            .into_iter()
            .find(|event| event["event"] == "done")
            .ok_or("no `done` event was told")?;
        let seconds = done["seconds"].as_f64();
        let round = Round {
            seconds: seconds.ok_or("the `done` event has no seconds")?,
            sender: (cpu, usage::peak_memory(other.id()).unwrap_or(0)),
            receiver,
            first: None,
        };
        Ok((round, done))
    }

    fn check(&self, path: &Path) -> Result<(), Failure> {
        match payload::read(path)? == self.hash {
            true => remove(path),
            false => Err("what arrived is not what was sent".to_owned()),
        }
    }
}

fn remove(path: &Path) -> Result<(), Failure> {
    std::fs::remove_file(path)
        .map_err(|error| format!("{} cannot be removed: {error}", path.display()))
}

fn print(options: &Options, figures: &[Value]) {
    let (size, rounds, machine) = (options.large(), options.rounds, report::machine());
    if options.json {
        let all = json!({"bench": "upload", "machine": machine, "bytes": size, "rounds": rounds, "ways": figures});
        println!("{all}");
        return;
    }
    println!("{machine}; {} MiB, medians of {rounds}", mib(size));
    let head = [
        "way",
        "s",
        "MiB/s",
        "of TCP",
        "of get",
        "CPU s out",
        "CPU s in",
        "MiB out",
        "MiB in",
    ];
    let rows = figures.iter().map(|figure| {
        let number = |name: &str, digits: usize| match figure[name].as_f64() {
            Some(number) => format!("{number:.digits$}"),
            None => "–".to_owned(),
        };
        vec![
            figure["way"].as_str().unwrap_or_default().to_owned(),
            number("seconds", 2),
            number("mib_per_second", 0),
            number("ratio", 2),
            number("ratio_to_nc", 2),
            number("sender_cpu", 2),
            number("receiver_cpu", 2),
            number("sender_peak_mib", 0),
            number("receiver_peak_mib", 0),
        ]
    });
    report::print_table(&head, &rows.collect::<Vec<_>>());
}
