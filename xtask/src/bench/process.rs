//! A process that a benchmark starts: Convite or another program. Gives its output lines with the
//! time of each, waits for its listening port and its end, and kills it at the end of the
//! benchmark.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::usage::{self, Usage};
use crate::Failure;

const POLL_INTERVAL: Duration = Duration::from_millis(2);
const LISTEN_TIMEOUT: Duration = Duration::from_secs(20);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// The state LISTEN in /proc/net/tcp.
const STATE_LISTEN: &str = "0A";

/// A started program. It is killed when dropped.
pub struct Process {
    child: Child,
    name: String,
    lines: Receiver<(Instant, String)>,
    /// The time of its start.
    pub start: Instant,
}

impl Process {
    /// Starts `command`, named `name` in error messages. Reads its stdout if it is piped.
    ///
    /// # Errors
    /// Fails if the command cannot be started.
    pub fn spawn(name: &str, command: &mut Command) -> Result<Self, Failure> {
        let start = Instant::now();
        let mut child = command
            .spawn()
            .map_err(|error| format!("{name} cannot be started: {error}"))?;
        let (send, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            // Reads to the end, so that the process never blocks on a full pipe.
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

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to the process's stdin, which must be piped.
    ///
    /// # Errors
    /// Fails if the process no longer reads its stdin.
    pub fn write_line(&mut self, line: &str) -> Result<(), Failure> {
        let name = &self.name;
        let stdin = self.child.stdin.as_mut();
        writeln!(
            stdin.ok_or_else(|| format!("{name} has no input"))?,
            "{line}"
        )
        .map_err(|error| format!("cannot write to the stdin of {name}: {error}"))
    }

    /// Waits for the first line for which `wanted` returns a value. Returns the time of the line
    /// and the value.
    ///
    /// # Errors
    /// Fails if the output ends before, or if `deadline` passes.
    pub fn wait_for_line<T>(
        &self,
        deadline: Instant,
        wanted: impl Fn(&str) -> Option<T>,
    ) -> Result<(Instant, T), Failure> {
        let mut last = String::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (when, line) = self
                .lines
                .recv_timeout(left)
                .map_err(|error| format!("no expected line from {}: {error}\n{last}", self.name))?;
            if let Some(found) = wanted(&line) {
                return Ok((when, found));
            }
            last = line;
        }
    }

    /// Waits until the TCP port `port` is open in the process's network namespace.
    ///
    /// # Errors
    /// Fails if the process ends, or after 20 seconds.
    pub fn wait_for_port(&mut self, port: u16) -> Result<(), Failure> {
        let deadline = Instant::now() + LISTEN_TIMEOUT;
        while Instant::now() < deadline {
            // /proc/PID/net shows the process's network namespace.
            let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", self.id()));
            if listening(&table.unwrap_or_default(), port) {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{} ended: {status}", self.name));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Err(format!("{} does not listen on port {port}", self.name))
    }

    /// Returns the bytes sent by the network interface `interface` in the process's network
    /// namespace.
    pub fn sent(&self, interface: &str) -> Option<u64> {
        sent_by(self.id(), interface)
    }

    /// Waits for the end of the process, and returns its resource usage. No other child may be
    /// waited for in the meantime.
    ///
    /// # Errors
    /// Fails if the process fails.
    pub fn finish(mut self) -> Result<Usage, Failure> {
        let (status, usage) = usage::wait(&mut self.child, self.start)?;
        if status.success() {
            Ok(usage)
        } else {
            Err(format!("{} failed: {status}", self.name))
        }
    }

    /// Interrupts the process, like Ctrl-C, and waits for its end.
    ///
    /// # Errors
    /// Fails if the process does not end within 10 seconds.
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

/// Interrupts `child`, like Ctrl-C, and waits for its end.
///
/// # Errors
/// Fails if the process does not end within 10 seconds.
pub fn interrupt(child: &mut Child) -> Result<(), Failure> {
    let gone = |child: &mut Child| matches!(child.try_wait(), Ok(Some(_)));
    if gone(child) {
        return Ok(());
    }
    let id = child.id().to_string();
    crate::workspace::run(Command::new("kill").args(["-INT", &id]))?;
    let deadline = Instant::now() + STOP_TIMEOUT;
    while Instant::now() < deadline {
        if gone(child) {
            return Ok(());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Err("a process did not end after it was interrupted".to_owned())
}

/// Returns the bytes sent by the network interface `interface` in the network namespace of the
/// process `id`.
pub fn sent_by(id: u32, interface: &str) -> Option<u64> {
    let table = std::fs::read_to_string(format!("/proc/{id}/net/dev")).ok()?;
    sent(&table, interface)
}

/// Returns a TCP port of 127.0.0.1 that was free a moment ago.
///
/// # Errors
/// Fails if no port is free.
pub fn free_port() -> Result<u16, Failure> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port: {error}"))
}

/// Creates a log file for a program.
///
/// # Errors
/// Fails if the file cannot be created.
pub fn log(path: &Path) -> Result<File, Failure> {
    File::create(path).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

/// Returns whether `table`, the contents of /proc/net/tcp, has a listener on `port`.
fn listening(table: &str, port: u16) -> bool {
    let port = format!("{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().and_then(|local| local.rsplit(':').next());
        local == Some(port.as_str()) && fields.nth(1) == Some(STATE_LISTEN)
    })
}

/// Returns the bytes sent by `interface` from `table`, the contents of /proc/net/dev.
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
    fn lines_arrive_in_order_and_an_early_end_is_a_failure() {
        let mut command = Command::new("sh");
        command.args(["-c", "read word; echo other; echo got $word"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::spawn("sh", &mut command).unwrap();
        process.write_line("it").unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        let got = |line: &str| line.strip_prefix("got ").map(str::to_owned);
        let (when, said) = process.wait_for_line(deadline, got).unwrap();
        assert!(when >= process.start);
        assert_eq!(said, "it");
        assert!(process.wait_for_line(deadline, got).is_err());
        process.finish().unwrap();
    }
}
