//! A directory and peers as real processes of the release binary, on this machine.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::netns::Host;
use super::process::{self, Process};
use super::usage::{self, Usage};
use crate::Failure;
use crate::workspace::{self, cargo};

const READY_TIMEOUT: Duration = Duration::from_secs(300);
/// The password of the accounts, which exist only during the benchmark.
pub const PASSWORD: &str = "correct horse battery staple";

/// The program, the folder with the home and the log of each process, and the host on which it
/// runs.
#[derive(Clone)]
pub struct System {
    binary: PathBuf,
    folder: PathBuf,
    host: Host,
}

/// A process that is ready. It is killed when dropped.
pub struct Running {
    child: Child,
    /// The ready line.
    pub ready: Value,
    /// The time from the start to the ready line in seconds.
    pub start_seconds: f64,
}

impl System {
    /// Creates a system that runs `binary`. If it is none, builds and uses the release binary.
    ///
    /// # Errors
    /// Fails if the build fails.
    pub fn new(folder: &Path, binary: Option<&Path>) -> Result<Self, Failure> {
        let binary = match binary {
            Some(binary) => binary.to_path_buf(),
            None => {
                eprintln!("building the release binary");
                let build = "build --quiet --release --workspace --bin convite";
                workspace::run(cargo().args(build.split(' ')))?;
                workspace::target().join("release/convite")
            }
        };
        Ok(Self {
            binary,
            folder: folder.to_path_buf(),
            host: Host::loopback(),
        })
    }

    /// Returns the same program with the same homes on `host`.
    pub fn on_host(&self, host: &Host) -> Self {
        let host = host.clone();
        Self {
            host,
            ..self.clone()
        }
    }

    /// Returns the same program with its homes in `folder`.
    pub fn with_homes_in(&self, folder: PathBuf) -> Self {
        Self {
            folder,
            ..self.clone()
        }
    }

    /// Returns whether `command` of the program has the flag `flag`; another build may be older.
    pub fn has_flag(&self, command: &str, flag: &str) -> bool {
        let help = workspace::output(Command::new(&self.binary).args([command, "--help"]));
        help.is_ok_and(|help| help.split_whitespace().any(|word| word == flag))
    }

    /// Returns a command for the home `home`, without the `CONVITE_` variables of this process.
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

    /// Returns the last lines of the log of `home`, for error messages.
    pub fn log_tail(&self, home: &str) -> String {
        let log = std::fs::read_to_string(self.log(home)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// Starts a long-running process, and waits for its ready line.
    ///
    /// # Errors
    /// Fails if the process ends, or is not ready within five minutes.
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
            start_seconds: 0.0,
        };
        let (send, receive) = mpsc::channel();
        // Continues to read after the ready line, so that the process never blocks on a full pipe.
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
        running.ready = receive.recv_timeout(READY_TIMEOUT).map_err(|_| {
            format!(
                "`convite {}` did not become ready\n{}",
                args.join(" "),
                self.log_tail(home)
            )
        })?;
        running.start_seconds = start.elapsed().as_secs_f64();
        Ok(running)
    }

    /// Starts a command. The lines of the [`Process`] are JSON.
    ///
    /// # Errors
    /// Fails if the command cannot be started.
    pub fn spawn(&self, home: &str, args: &[&str]) -> Result<Process, Failure> {
        Process::spawn("convite", &mut self.command(home, args)?)
    }

    /// Runs a command to its end. Returns its JSON lines and its resource usage.
    ///
    /// # Errors
    /// Fails if the command fails.
    pub fn run(&self, home: &str, args: &[&str]) -> Result<(Vec<Value>, Usage), Failure> {
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
            self.log_tail(home)
        ))
    }

    /// Starts a directory. Returns it with an invite link.
    ///
    /// # Errors
    /// Fails if the directory does not start.
    pub fn directory(&self) -> Result<(Running, String), Failure> {
        self.directory_on(None)
    }

    /// Starts a directory on the database with the URL `database`; none for its default. Returns it
    /// with an invite link.
    ///
    /// # Errors
    /// Fails if the directory does not start.
    pub fn directory_on(&self, database: Option<&str>) -> Result<(Running, String), Failure> {
        let listen = format!("{}:0", self.host.address);
        let mut args = vec!["directory", "--listen", &listen];
        args.extend(database.into_iter().flat_map(|url| ["--database", url]));
        let running = self.start("directory", &args)?;
        let invite = running.ready["invite"].as_str().map(str::to_owned);
        let invite = invite.ok_or("the directory's ready line has no invite")?;
        Ok((running, invite))
    }

    /// Creates an account for `home`.
    ///
    /// # Errors
    /// Fails if the directory refuses.
    pub fn join(&self, home: &str, invite: &str) -> Result<(), Failure> {
        self.run(home, &["join", invite, "--user", home])?;
        Ok(())
    }

    /// Starts a peer of `home` that shares `folder`.
    ///
    /// # Errors
    /// Fails if the peer does not start.
    pub fn peer(&self, home: &str, folder: &Path) -> Result<Running, Failure> {
        self.peer_with(home, folder, &[])
    }

    /// Starts a peer of `home` that shares `folder`, with additional `flags`.
    ///
    /// # Errors
    /// Fails if the peer does not start.
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
    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the bytes sent by the network interface `interface` in the process's network
    /// namespace.
    pub fn sent(&self, interface: &str) -> Option<u64> {
        process::sent_by(self.id(), interface)
    }

    /// Returns the exit status of the process if it has ended.
    ///
    /// # Errors
    /// Fails if the system does not tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        let status = self.child.try_wait();
        status.map_err(|error| format!("the state of a process is unknown: {error}"))
    }

    /// Interrupts the process, and waits for its end.
    ///
    /// # Errors
    /// Fails if the process does not end within 10 seconds.
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
