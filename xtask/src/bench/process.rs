//! A program that a benchmark starts, whoever wrote it: its lines with the moment each came, its
//! listening port, and its end, which it meets at the latest when the benchmark does.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::usage::{self, Usage};
use crate::Failure;

const LOOK_EVERY: Duration = Duration::from_millis(2);
const LISTENS_WITHIN: Duration = Duration::from_secs(20);
const STOPPED_WITHIN: Duration = Duration::from_secs(10);
/// The state LISTEN in /proc/net/tcp.
const LISTEN: &str = "0A";

/// A started program. It is killed when dropped.
pub struct Process {
    child: Child,
    name: String,
    lines: Receiver<(Instant, String)>,
    /// When it was started.
    pub start: Instant,
}

impl Process {
    /// Starts `command`, called `name` in failures. Its output is read, if it is piped.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(name: &str, command: &mut Command) -> Result<Self, Failure> {
        let start = Instant::now();
        let mut child = command
            .spawn()
            .map_err(|error| format!("{name} cannot be started: {error}"))?;
        let (send, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            // Reads on to the end, so that the process never waits for a full pipe.
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let _ = send.send((Instant::now(), line));
                }
            });
        }
        let name = name.to_owned();
        Ok(Self {
            child,
            name,
            lines,
            start,
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its input, which must be piped.
    ///
    /// # Errors
    /// If it does not listen to its input any more.
    pub fn tell(&mut self, line: &str) -> Result<(), Failure> {
        let name = &self.name;
        let stdin = self.child.stdin.as_mut();
        writeln!(
            stdin.ok_or_else(|| format!("{name} has no input"))?,
            "{line}"
        )
        .map_err(|error| format!("{name} cannot be told anything: {error}"))
    }

    /// Waits for the first line that `wanted` takes, and returns what it makes of it with the
    /// moment at which the line came.
    ///
    /// # Errors
    /// If its output ends before, or `deadline` passes.
    pub fn line<T>(
        &self,
        deadline: Instant,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> Result<(Instant, T), Failure> {
        let mut last = String::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (when, line) = self.lines.recv_timeout(left).map_err(|error| {
                format!("{} did not say what it should: {error}\n{last}", self.name)
            })?;
            if let Some(found) = wanted(&line) {
                return Ok((when, found));
            }
            last = line;
        }
    }

    /// Waits until something listens on the TCP port `port` where the process runs.
    ///
    /// # Errors
    /// If the process ends, or takes too long.
    pub fn listens(&mut self, port: u16) -> Result<(), Failure> {
        let deadline = Instant::now() + LISTENS_WITHIN;
        while Instant::now() < deadline {
            // /proc/PID/net is that of the process's own network namespace.
            let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", self.id()));
            if listening(&table.unwrap_or_default(), port) {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{} ended: {status}", self.name));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Err(format!("{} does not listen on port {port}", self.name))
    }

    /// Bytes that the network interface `interface`, where the process runs, has sent.
    pub fn sent(&self, interface: &str) -> Option<u64> {
        sent_by(self.id(), interface)
    }

    /// Waits for its end, and returns what it used. No other child may be waited for meanwhile.
    ///
    /// # Errors
    /// If it fails.
    pub fn finish(mut self) -> Result<Usage, Failure> {
        let (status, usage) = usage::wait(&mut self.child, self.start)?;
        if status.success() {
            Ok(usage)
        } else {
            Err(format!("{} failed: {status}", self.name))
        }
    }

    /// Interrupts it, as Ctrl-C does, and waits for its end.
    ///
    /// # Errors
    /// If it does not end in time.
    pub fn stop(mut self) -> Result<(), Failure> {
        interrupt(&mut self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Interrupts `child`, as Ctrl-C does, and waits for its end.
///
/// # Errors
/// If it does not end in time.
pub fn interrupt(child: &mut Child) -> Result<(), Failure> {
    let gone = |child: &mut Child| matches!(child.try_wait(), Ok(Some(_)));
    if gone(child) {
        return Ok(());
    }
    let id = child.id().to_string();
    crate::workspace::run(Command::new("kill").args(["-INT", &id]))?;
    let deadline = Instant::now() + STOPPED_WITHIN;
    while Instant::now() < deadline {
        if gone(child) {
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Err("a process did not end when it was interrupted".to_owned())
}

/// Bytes that the network interface `interface` has sent, where the process `id` runs.
pub fn sent_by(id: u32, interface: &str) -> Option<u64> {
    let table = std::fs::read_to_string(format!("/proc/{id}/net/dev")).ok()?;
    sent(&table, interface)
}

/// A TCP port of 127.0.0.1 that was free a moment ago.
///
/// # Errors
/// If there is none.
pub fn free_port() -> Result<u16, Failure> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}"))
}

/// A file for what a program says.
///
/// # Errors
/// If it cannot be made.
pub fn log(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

/// Whether /proc/net/tcp's `table` has a listener on `port`.
fn listening(table: &str, port: u16) -> bool {
    let port = format!("{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().and_then(|local| local.rsplit(':').next());
        local == Some(port.as_str()) && fields.nth(1) == Some(LISTEN)
    })
}

/// The bytes sent by `interface`, from /proc/net/dev's `table`.
fn sent(table: &str, interface: &str) -> Option<u64> {
    let mut rows = table.lines().filter_map(|line| line.split_once(':'));
    let (_, fields) = rows.find(|(name, _)| name.trim() == interface)?;
    fields.split_whitespace().nth(8)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;

    #[test]
    fn a_listener_is_seen_and_a_connection_is_none() {
        let table = "  sl  local_address rem_address   st tx_queue\n   \
             0: 0100007F:1F90 00000000:0000 0A 00000000\n   \
             1: 0100007F:1F91 0100007F:1F90 01 00000000\n";
        assert!(listening(table, 8080));
        assert!(!listening(table, 8081));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        assert!(listening(&table, listener.local_addr().unwrap().port()));
    }

    #[test]
    fn sent_bytes_are_those_of_the_interface() {
        let table = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n    \
             lo: 1 2 3 4 5 6 7 8 9 10\n  eth0: 11 0 0 0 0 0 0 0 4096 3\n";
        assert_eq!(sent(table, "eth0"), Some(4096));
        assert_eq!(sent(table, "lo"), Some(9));
        assert_eq!(sent(table, "eth1"), None);
    }

    #[test]
    fn lines_come_as_they_are_said_and_a_silent_end_is_a_failure() {
        let mut command = Command::new("sh");
        command.args(["-c", "read word; echo other; echo got $word"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::spawn("sh", &mut command).unwrap();
        process.tell("it").unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let got = |line: &str| line.strip_prefix("got ").map(str::to_owned);
        let (when, said) = process.line(deadline, got).unwrap();
        assert!(when >= process.start);
        assert_eq!(said, "it");
        assert!(process.line(deadline, got).is_err());
        process.finish().unwrap();
    }
}
