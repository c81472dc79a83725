//! Runs a command of `convite` to its end, and records its output, its result and its times.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::machine::Machine;
use super::model::Moment;
use super::service::signal;
use crate::Failure;

const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// The maximum time from an interrupt to the end.
const INTERRUPT_TIMEOUT: Duration = Duration::from_secs(20);

/// The time limits of a command.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimits {
    /// The time after which it is killed on purpose.
    pub kill: Option<Duration>,
    /// The time after which it is interrupted, because it takes too long.
    pub interrupt: Duration,
}

/// A command that has ended.
#[derive(Debug)]
pub struct CommandResult {
    /// The arguments of `convite`.
    pub arguments: String,
    /// The exit code; none if it was killed.
    pub code: Option<i32>,
    /// Whether it was killed on purpose.
    pub killed: bool,
    /// Whether it took too long and was interrupted.
    pub late: bool,
    /// The events on stdout.
    pub events: Vec<Value>,
    /// The text on stderr.
    pub stderr: String,
    pub from: Moment,
    pub until: Moment,
}

impl CommandResult {
    /// Returns whether the command succeeded.
    pub fn is_ok(&self) -> bool {
        self.code == Some(0)
    }

    /// Returns the last event with this name.
    pub fn event(&self, name: &str) -> Option<&Value> {
        self.events.iter().rev().find(|one| one["event"] == name)
    }

    /// Returns the code of the `error` event; empty if there is none.
    pub fn error(&self) -> &str {
        let error = self.event("error");
        error.and_then(|error| error["code"].as_str()).unwrap_or("")
    }

    /// Returns the reason if the command did not end correctly: with an unknown exit code, with a
    /// panic, or not after an interrupt.
    pub fn misbehaviour(&self) -> Option<String> {
        if self.stderr.contains("panicked at") {
            return Some(format!("it panicked: {}", self.stderr));
        }
        match self.code {
            None if self.killed => None,
            None if self.late => Some("it did not end after an interrupt".to_owned()),
            None => Some("a signal ended it".to_owned()),
            Some(0 | 1 | 3..=6) => None,
            Some(130) if self.late => None,
            Some(code) => Some(format!("exit code {code}: {}", self.stderr)),
        }
    }

    /// Describes the command and its result, for the log.
    pub fn shown(&self) -> String {
        let code = match self.code {
            Some(code) => code.to_string(),
            None => "killed".to_owned(),
        };
        let late = if self.late { " (late)" } else { "" };
        let mut text = format!(
            "{:.3} to {:.3}: {} -> {code}{late}",
            self.from.as_secs_f64(),
            self.until.as_secs_f64(),
            self.arguments,
        );
        if self.code != Some(0) {
            for line in self.stderr.lines() {
                text.push_str("\n    ");
                text.push_str(line);
            }
            if let Some(error) = self.event("error") {
                text.push_str(&format!("\n    {error}"));
            }
        }
        text
    }
}

/// Runs `convite` on `machine` with the home `home`.
///
/// # Errors
/// Fails if the command cannot be started.
pub fn run(
    (machine, binary, home): (&Machine, &Path, &Path),
    arguments: &[&str],
    limits: TimeLimits,
    begin: Instant,
) -> Result<CommandResult, Failure> {
    let started = Instant::now();
    let mut child = machine
        .command(binary)
        .args(arguments)
        .arg("--home")
        .arg(home)
        .arg("--json")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("convite cannot be started: {error}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let out = std::thread::spawn(move || text(out));
    let err = std::thread::spawn(move || text(err));
    let (code, killed, late) = wait(&mut child, started, limits);
    let out = out.join().unwrap_or_default();
    let events = out
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    Ok(CommandResult {
        arguments: format!("{}: convite {}", machine.name, arguments.join(" ")),
        code,
        killed,
        late,
        events: events.collect(),
        stderr: err.join().unwrap_or_default(),
        from: started - begin,
        until: begin.elapsed(),
    })
}

/// Waits for the end. Returns the exit code, whether it was killed on purpose, and whether it was
/// late.
fn wait(child: &mut Child, started: Instant, limits: TimeLimits) -> (Option<i32>, bool, bool) {
    let (mut killed, mut late) = (false, false);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return (status.code(), killed && status.code().is_none(), late),
            Ok(None) => {}
            Err(_) => return (None, killed, late),
        }
        let age = started.elapsed();
        if limits.kill.is_some_and(|kill| age >= kill) {
            killed = true;
            let _ = child.kill();
        }
        if age >= limits.interrupt && !late {
            late = true;
            signal(child.id(), "INT");
        }
        if age >= limits.interrupt + INTERRUPT_TIMEOUT {
            let _ = child.kill();
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

fn text(from: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        let _ = from.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
