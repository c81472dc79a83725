//! A directory and peers as real processes of the release binary, on this machine.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::netns::Host;
use super::process::{self, Process};
use super::usage::{self, Usage};
use crate::Failure;
use crate::workspace::{self, cargo};

const READY_WITHIN: Duration = Duration::from_secs(300);
/// Of accounts that live as long as the benchmark.
pub const PASSWORD: &str = "correct horse battery staple";

/// The program, the folder in which each process has its home and its log, and where it runs.
#[derive(Clone)]
pub struct System {
    binary: PathBuf,
    folder: PathBuf,
    host: Host,
}

/// A process that has said that it is ready. It ends when dropped.
pub struct Running {
    child: Child,
    /// Its ready line.
    pub ready: Value,
    /// From its start to its ready line, in seconds.
    pub took: f64,
}

impl System {
    /// Of `binary`, or else of the release binary, which is built.
    ///
    /// # Errors
    /// If it does not build.
    pub fn new(folder: &Path, binary: Option<&Path>) -> Result<Self, Failure> {
        let binary = match binary {
            Some(binary) => binary.to_path_buf(),
            None => {
                eprintln!("building the release binary");
                let build = ["build", "--quiet", "--release", "--package", "convite"];
                workspace::run(cargo().args(build))?;
                workspace::target().join("release/convite")
            }
        };
        Ok(Self {
            binary,
            folder: folder.to_path_buf(),
            host: Host::loopback(),
        })
    }

    /// The same program with the same homes, on `host`.
    pub fn on(&self, host: &Host) -> Self {
        let host = host.clone();
        Self {
            host,
            ..self.clone()
        }
    }

    /// The same program with its homes in `folder`.
    pub fn with_homes_in(&self, folder: PathBuf) -> Self {
        Self {
            folder,
            ..self.clone()
        }
    }

    /// Whether the program's `command` has the flag `flag`: another build may be older.
    pub fn knows(&self, command: &str, flag: &str) -> bool {
        let help = workspace::output(Command::new(&self.binary).args([command, "--help"]));
        help.is_ok_and(|help| help.split_whitespace().any(|word| word == flag))
    }

    /// A command of the home `home`, without the caller's own settings.
    fn command(&self, home: &str, args: &[&str]) -> Result<Command, Failure> {
        let log = self.log(home);
        let stderr = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|error| format!("{} cannot be written: {error}", log.display()))?;
        let mut command = self.host.command(&self.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CONVITE_") {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .arg("--home")
            .arg(self.folder.join(home))
            .arg("--json")
            .env("CONVITE_PASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr);
        Ok(command)
    }

    fn log(&self, home: &str) -> PathBuf {
        self.folder.join(format!("{home}.log"))
    }

    /// The end of what the processes of `home` have said, for a failure's text.
    fn said(&self, home: &str) -> String {
        let log = std::fs::read_to_string(self.log(home)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// Starts a process that runs on, and waits for its ready line.
    ///
    /// # Errors
    /// If it ends or is not ready in time.
    pub fn start(&self, home: &str, args: &[&str]) -> Result<Running, Failure> {
        let start = Instant::now();
        let mut child = self
            .command(home, args)?
            .spawn()
            .map_err(|error| format!("convite cannot be started: {error}"))?;
        let stdout = child.stdout.take();
        let mut running = Running {
            child,
            ready: Value::Null,
            took: 0.0,
        };
        let (send, receive) = mpsc::channel();
        // Reads on after the ready line, so that the process never waits for a full pipe.
        std::thread::spawn(move || {
            for line in stdout
                .into_iter()
                .flat_map(|out| BufReader::new(out).lines())
            {
                let Ok(event) = serde_json::from_str::<Value>(&line.unwrap_or_default()) else {
                    continue;
                };
                if event["event"] == "ready" && send.send(event).is_err() {
                    continue;
                }
            }
        });
        running.ready = receive.recv_timeout(READY_WITHIN).map_err(|_| {
            format!(
                "`convite {}` was never ready\n{}",
                args.join(" "),
                self.said(home)
            )
        })?;
        running.took = start.elapsed().as_secs_f64();
        Ok(running)
    }

    /// Starts a command whose JSON lines are its [`Process`]'s lines.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn begin(&self, home: &str, args: &[&str]) -> Result<Process, Failure> {
        Process::spawn("convite", &mut self.command(home, args)?)
    }

    /// Runs a command to its end; returns its JSON lines and what it used.
    ///
    /// # Errors
    /// If it fails.
    pub fn finish(&self, home: &str, args: &[&str]) -> Result<(Vec<Value>, Usage), Failure> {
        let start = Instant::now();
        let mut child = self
            .command(home, args)?
            .spawn()
            .map_err(|error| format!("convite cannot be started: {error}"))?;
        let stdout = child.stdout.take();
        let reader = std::thread::spawn(move || {
            stdout
                .into_iter()
                .flat_map(|out| BufReader::new(out).lines())
                .filter_map(|line| serde_json::from_str(&line.ok()?).ok())
                .collect::<Vec<Value>>()
        });
        let (status, usage) = usage::wait(&mut child, start)?;
        let events = reader.join().unwrap_or_default();
        if status.success() {
            return Ok((events, usage));
        }
        let last = events.last().map(Value::to_string).unwrap_or_default();
        Err(format!(
            "`convite {}` failed: {status}\n{last}\n{}",
            args[0],
            self.said(home)
        ))
    }

    /// Starts a directory and returns it with an invite to it.
    ///
    /// # Errors
    /// If it does not start.
    pub fn directory(&self) -> Result<(Running, String), Failure> {
        self.directory_on(None)
    }

    /// The same on a database of its own or on `database`, a URL.
    ///
    /// # Errors
    /// If it does not start.
    pub fn directory_on(&self, database: Option<&str>) -> Result<(Running, String), Failure> {
        let listen = format!("{}:0", self.host.address);
        let mut args = vec!["directory", "--listen", &listen];
        args.extend(database.into_iter().flat_map(|url| ["--database", url]));
        let running = self.start("directory", &args)?;
        let invite = running.ready["invite"].as_str().map(str::to_owned);
        let invite = invite.ok_or("the directory's ready line has no invite")?;
        Ok((running, invite))
    }

    /// Makes an account for `home`.
    ///
    /// # Errors
    /// If the directory refuses.
    pub fn join(&self, home: &str, invite: &str) -> Result<(), Failure> {
        self.finish(home, &["join", invite, "--user", home])?;
        Ok(())
    }

    /// Starts a peer of `home` that shares `folder`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn peer(&self, home: &str, folder: &Path) -> Result<Running, Failure> {
        self.peer_with(home, folder, &[])
    }

    /// Starts a peer of `home` that shares `folder`, with more `flags`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn peer_with(&self, home: &str, folder: &Path, flags: &[&str]) -> Result<Running, Failure> {
        let folder = folder.to_string_lossy();
        let id = format!("{home}-peer");
        let address = &self.host.address;
        let mut args = vec!["peer", &id, "0", &folder, "--bind", address, "--no-menu"];
        args.extend(flags);
        self.start(home, &args)
    }
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Bytes that the network interface `interface`, where it runs, has sent.
    pub fn sent(&self, interface: &str) -> Option<u64> {
        process::sent_by(self.id(), interface)
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// If it does not end in time.
    pub fn stop(mut self) -> Result<(), Failure> {
        process::interrupt(&mut self.child)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
