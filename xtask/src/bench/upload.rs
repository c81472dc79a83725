//! `bench upload`: one file uploaded to a peer's inbox, compared with its download from a peer, and
//! with its plain TCP copy. The rounds alternate, as in `transfer`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::method::{Method, Transfer};
use super::options::Options;
use super::payload::{self, Scratch};
use super::report::{self, mib};
use super::system::{Running, System};
use super::{baseline, usage};
use crate::Failure;

const NAME: &str = "payload.bin";

struct UploadSetup {
    system: System,
    _directory: Running,
    provider: Running,
    receiver: Running,
    /// The inbox of the peer that receives the uploads.
    inbox: PathBuf,
    file: PathBuf,
    got: PathBuf,
    hash: String,
}

/// Runs the benchmark and prints its table.
///
/// # Errors
/// Fails if a process or a measurement fails.
pub fn run(options: &Options) -> Result<(), Failure> {
    let scratch = Scratch::new("upload")?;
    let system = System::new(scratch.path(), options.binary.as_deref())?;
    let share = scratch.folder("share")?;
    let file = share.join(NAME);
    let size = options.large();
    eprintln!("writing a file of {size} bytes");
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
    let receiver = system.peer_with("taker", &scratch.folder("empty")?, &flags)?;
    usage::reset_peak(provider.id())?;
    usage::reset_peak(receiver.id())?;
    let setup = UploadSetup {
        system,
        _directory: directory,
        provider,
        receiver,
        inbox,
        file,
        got: scratch.folder("got")?,
        hash,
    };
    payload::read(&setup.file)?;
    let mut plain = Method::new("plain TCP + BLAKE3");
    let (mut get, mut put) = (Method::new("convite get"), Method::new("convite put"));
    for round in 0..=options.rounds {
        eprintln!("round {round} of {}", options.rounds);
        let counts = round > 0;
        payload::warm_memory(&setup.got, size)?;
        plain.add(Ok(setup.plain()?), counts);
        payload::warm_memory(&setup.got, size)?;
        get.add(Ok(setup.get()?), counts);
        payload::warm_memory(&setup.got, size)?;
        put.add(Ok(setup.put()?), counts);
    }
    let (tcp, fetched) = (plain.seconds(), get.seconds());
    let figures: Vec<Value> = [&plain, &get, &put]
        .map(|method| method.summary(size, tcp, fetched))
        .into();
    print(options, &figures);
    Ok(())
}

impl UploadSetup {
    fn plain(&self) -> Result<Transfer, Failure> {
        let to = self.got.join(NAME);
        let copy = baseline::copy(&self.file, &to, true)?;
        remove(&to)?;
        Ok(Transfer {
            seconds: copy.seconds,
            sender: (copy.sender.cpu, copy.sender.peak),
            receiver: copy.receiver,
            first: None,
        })
    }

    fn get(&self) -> Result<Transfer, Failure> {
        let target = format!("{}/", self.got.display());
        let get = ["get", &self.hash, "-o", &target];
        let (round, _) = self.run(&get, &self.provider)?;
        self.check(&self.got.join(NAME))?;
        Ok(round)
    }

    fn put(&self) -> Result<Transfer, Failure> {
        let file = self.file.to_string_lossy();
        let (round, done) = self.run(&["put", &file, "--to", "taker-peer"], &self.receiver)?;
        let name = done["path"]
            .as_str()
            .and_then(|path| path.rsplit('/').next());
        let name = name.ok_or("the `done` event has no path")?;
        self.check(&self.inbox.join("person").join(name))?;
        // The process of the command sent, and the peer received.
        Ok(Transfer {
            sender: (round.receiver.cpu, round.receiver.peak),
            receiver: usage::Usage {
                cpu: round.sender.0,
                peak: round.sender.1,
                ..round.receiver
            },
            ..round
        })
    }

    /// Runs a command of the home, and measures the peer at the other end.
    fn run(&self, args: &[&str], other: &Running) -> Result<(Transfer, Value), Failure> {
        let before = usage::cpu(other.id())?;
        let (events, receiver) = self.system.run("person", args)?;
        let cpu = usage::cpu(other.id())? - before;
        let done = events
            .into_iter()
            .find(|event| event["event"] == "done")
            .ok_or("the command printed no `done` event")?;
        let seconds = done["seconds"].as_f64();
        let round = Transfer {
            seconds: seconds.ok_or("the `done` event has no seconds")?,
            sender: (cpu, usage::peak_memory(other.id()).unwrap_or(0)),
            receiver,
            first: None,
        };
        Ok((round, done))
    }

    fn check(&self, path: &Path) -> Result<(), Failure> {
        if payload::read(path)? == self.hash {
            remove(path)
        } else {
            Err("the copy differs from the sent file".to_owned())
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
        "method",
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
