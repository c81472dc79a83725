//! `bench faults`: the cost of failures. A provider is killed during a transfer, a downloader is
//! killed and started again; and the memory of a peer that serves a hundred downloads.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::options::Options;
use super::payload::{self, Scratch};
use super::process::Process;
use super::report::{self, mib};
use super::system::{Running, System};
use super::usage;
use crate::Failure;
use crate::workspace;

const NAME: &str = "payload.bin";
/// The rate of each provider in bytes per second, from which the ideal time follows.
const RATE: u64 = 50_000_000;
/// The number of concurrent downloads from one peer.
const DOWNLOADS: usize = 100;
/// The rate of each of these downloads in bytes per second, in curl's notation.
const CLIENT_RATE: &str = "200k";
const TIMEOUT: Duration = Duration::from_secs(300);

/// Runs the benchmark and prints its table.
///
/// # Errors
/// Fails if a process or a measurement fails.
pub fn run(options: &Options) -> Result<(), Failure> {
    let scratch = Scratch::new("faults")?;
    let system = System::new(scratch.path(), options.binary.as_deref())?;
    let size = options.size.unwrap_or(512 << 20);
    let share = scratch.folder("share")?;
    let hash = payload::write(&share.join(NAME), size, 1)?;
    let setup = FaultsSetup {
        system,
        share: &share,
        scratch: &scratch,
        hash: &hash,
        size,
    };
    let mut lost = Vec::new();
    let mut again = Vec::new();
    for round in 0..options.rounds {
        eprintln!("round {} of {}", round + 1, options.rounds);
        lost.push(setup.provider_killed(round)?);
        again.push(setup.downloader_killed(round)?);
    }
    let memory = setup.hundred_downloads();
    let figures = json!({
        "bytes": size,
        "rounds": options.rounds,
        "provider_killed_seconds": report::median(lost.iter().copied()),
        "provider_killed_worst": lost.iter().copied().fold(f64::NAN, f64::max),
        "downloader_killed_share": report::median(again.iter().copied()),
        "downloader_killed_worst": again.iter().copied().fold(f64::NAN, f64::max),
        "downloads": DOWNLOADS,
        "memory_mib": memory.as_ref().ok().map(|peak| mib(*peak)),
        "memory_missing": memory.err(),
    });
    print(options, &figures);
    Ok(())
}

struct FaultsSetup<'a> {
    system: System,
    share: &'a Path,
    scratch: &'a Scratch,
    hash: &'a str,
    size: u64,
}

impl FaultsSetup<'_> {
    /// Returns the seconds above the ideal. Two providers send at [`RATE`] each, and one is killed
    /// when a third of the file is there. The ideal is the time that the other needs for the rest.
    fn provider_killed(&self, round: usize) -> Result<f64, Failure> {
        let group = self.group(&format!("lost-{round}"), 2, RATE)?;
        let [first, second] = <[Running; 2]>::try_from(group.providers)
            .map_err(|_| "two providers are required".to_owned())?;
        let target = format!("{}/", group.homes.display());
        let getter = group
            .system
            .spawn("getter", &["get", self.hash, "-o", &target])?;
        let (killed, there) = self.wait_for_share(&getter, self.size / 3)?;
        drop(second);
        let (done, _) = getter.wait_for_line(Instant::now() + TIMEOUT, |line| is(line, "done"))?;
        let left = self.size.saturating_sub(there) as f64;
        getter.finish()?;
        first.stop()?;
        Ok((done - killed).as_secs_f64() - left / RATE as f64)
    }

    /// Returns the bytes that the provider sent beyond the file's size, divided by this size. The
    /// downloader is killed when two thirds are there, and started again.
    fn downloader_killed(&self, round: usize) -> Result<f64, Failure> {
        let group = self.group(&format!("again-{round}"), 1, RATE)?;
        let target = format!("{}/", group.homes.display());
        let get = ["get", self.hash, "-o", &target];
        let getter = group.system.spawn("getter", &get)?;
        self.wait_for_share(&getter, self.size / 3 * 2)?;
        // The drop kills it like `kill -9`.
        drop(getter);
        group.system.run("getter", &get)?;
        let (events, _) = group.system.run("provider1", &["status"])?;
        let served = events
            .iter()
            .find_map(|event| event["peer"]["bytes_served"].as_u64())
            .ok_or("`convite status` does not report the served bytes")?;
        Ok(served as f64 / self.size as f64 - 1.0)
    }

    /// Returns the peak memory of a peer that sends to [`DOWNLOADS`] slow HTTP clients at once.
    fn hundred_downloads(&self) -> Result<u64, Failure> {
        eprintln!("{DOWNLOADS} downloads at once");
        let homes = self.scratch.folder("hundred")?;
        let system = self.system.with_homes_in(homes.clone());
        let (directory, invite) = system.directory()?;
        system.join("provider", &invite)?;
        system.join("getter", &invite)?;
        let slots = (DOWNLOADS + 1).to_string();
        let provider = system.peer_with("provider", self.share, &["--upload-slots", &slots])?;
        usage::reset_peak(provider.id())?;
        let credentials = std::fs::read_to_string(homes.join("getter/credentials.json"))
            .map_err(|error| format!("no credentials: {error}"))?;
        let credentials: Value =
            serde_json::from_str(&credentials).map_err(|error| format!("credentials: {error}"))?;
        let token = credentials["token"].as_str().unwrap_or_default();
        let url = directory.ready["url"].as_str().unwrap_or_default();
        let header = bearer(&homes.join("session"), token)?;
        let file = workspace::output(
            Command::new("curl")
                .args(["-sSk", "-H", &header])
                .arg(format!("{url}/files/{}", self.hash)),
        )?;
        let file: Value =
            serde_json::from_str(&file).map_err(|error| format!("locate: {error}"))?;
        let ticket = file["providers"][0]["ticket"].as_str().unwrap_or_default();
        let header = bearer(&homes.join("ticket"), ticket)?;
        let url = provider.ready["url"].as_str().unwrap_or_default();
        let mut clients = Vec::new();
        for _ in 0..DOWNLOADS {
            let mut curl = Command::new("curl");
            curl.args([
                "-sSk",
                "--fail",
                "--limit-rate",
                CLIENT_RATE,
                "-o",
                "/dev/null",
            ])
            .args(["-H", &header, "--max-time", "10"])
            .arg(format!("{url}/files/{}", self.hash))
            .stderr(Stdio::null());
            clients.push(Process::spawn("curl", &mut curl)?);
        }
        let deadline = Instant::now() + Duration::from_secs(8);
        let mut most = 0;
        while Instant::now() < deadline {
            let (events, _) = system.run("provider", &["status"])?;
            let now = events
                .iter()
                .find_map(|event| event["peer"]["uploads"].as_array().map(Vec::len));
            most = most.max(now.unwrap_or(0));
            std::thread::sleep(Duration::from_millis(500));
        }
        let peak = usage::peak_memory(provider.id());
        drop(clients);
        if most < DOWNLOADS {
            return Err(format!("only {most} downloads were served at once"));
        }
        peak.ok_or_else(|| "the peer's memory cannot be read".to_owned())
    }

    fn group(&self, name: &str, providers: usize, rate: u64) -> Result<RunningSystem, Failure> {
        let homes = self.scratch.folder(name)?;
        let system = self.system.with_homes_in(homes.clone());
        let (directory, invite) = system.directory()?;
        system.join("getter", &invite)?;
        let rate = rate.to_string();
        let mut running = Vec::new();
        for number in 1..=providers {
            let home = format!("provider{number}");
            system.join(&home, &invite)?;
            running.push(system.peer_with(&home, self.share, &["--upload-limit", &rate])?);
        }
        Ok(RunningSystem {
            system,
            homes,
            _directory: directory,
            providers: running,
        })
    }

    /// Waits until at least `share` bytes are there. Returns the time of the report, and the bytes.
    fn wait_for_share(&self, getter: &Process, share: u64) -> Result<(Instant, u64), Failure> {
        getter.wait_for_line(Instant::now() + TIMEOUT, |line| {
            let event: Value = serde_json::from_str(line).ok()?;
            let bytes = event["bytes"].as_u64()?;
            (event["event"] == "progress" && bytes >= share).then_some(bytes)
        })
    }
}

struct RunningSystem {
    system: System,
    homes: std::path::PathBuf,
    _directory: Running,
    providers: Vec<Running>,
}

/// Returns an argument that makes curl send `token` without showing it.
fn bearer(path: &Path, token: &str) -> Result<String, Failure> {
    std::fs::write(path, format!("Authorization: Bearer {token}"))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    Ok(format!("@{}", path.display()))
}

fn is(line: &str, name: &str) -> Option<()> {
    let event: Value = serde_json::from_str(line).ok()?;
    (event["event"] == name).then_some(())
}

fn print(options: &Options, figures: &Value) {
    let machine = report::machine();
    if options.json {
        let all = json!({"bench": "faults", "machine": machine, "figures": figures});
        println!("{all}");
        return;
    }
    let number = |name: &str| figures[name].as_f64().unwrap_or(f64::NAN);
    println!(
        "{machine}; {} MiB",
        mib(figures["bytes"].as_u64().unwrap_or(0))
    );
    let row = |what: &str, median: String, worst: String, aim: &str| {
        vec![what.to_owned(), median, worst, aim.to_owned()]
    };
    let percent = |name: &str| format!("{:.2} %", number(name) * 100.0);
    let memory = match figures["memory_missing"].as_str() {
        Some(why) => why.to_owned(),
        None => format!("{:.0} MiB", number("memory_mib")),
    };
    report::print_table(
        &["failure", "median", "worst", "goal"],
        &[
            row(
                "one of two providers killed: time over the ideal",
                format!("{:.2} s", number("provider_killed_seconds")),
                format!("{:.2} s", number("provider_killed_worst")),
                "below 1 s",
            ),
            row(
                "downloader killed with -9 and started again: sent twice",
                percent("downloader_killed_share"),
                percent("downloader_killed_worst"),
                "at most 2 %",
            ),
            row(
                "memory of a peer that serves 100 downloads",
                memory,
                String::new(),
                "below 256 MiB",
            ),
        ],
    );
}
