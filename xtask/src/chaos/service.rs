//! A long-running process: a directory or a peer. It is restarted after it was killed, and
//! unexpected ends are reported.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;

use super::machine::Machine;
use super::plan::Target;
use crate::Failure;
use crate::cleanup::{Cleanup, Resource};

const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The pause between the end of a process that was not ready and its next start.
const PAUSE: Duration = Duration::from_secs(1);

/// A long-running process with all of its restarts.
pub struct Service {
    /// The kind and number of the process.
    pub target: Target,
    /// The machine on which it runs.
    pub machine: Arc<Machine>,
    binary: PathBuf,
    args: Vec<String>,
    log: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: Option<Running>,
    /// Whether it should run.
    enabled: bool,
    /// The earliest time of the next start.
    pause: Option<Instant>,
}

struct Running {
    child: Child,
    started: Instant,
    ready: Arc<OnceLock<Value>>,
}

/// An unexpected end of a process.
pub struct UnexpectedExit {
    pub status: ExitStatus,
    /// The start of the process.
    pub started: Instant,
    /// Whether it had been ready.
    pub was_ready: bool,
}

impl Service {
    /// Creates a service that runs `binary` with `args`, but does not start it.
    pub fn new(
        target: Target,
        machine: Arc<Machine>,
        binary: &Path,
        args: Vec<String>,
        log: PathBuf,
    ) -> Self {
        Self {
            target,
            machine,
            binary: binary.to_path_buf(),
            args,
            log,
            state: Mutex::default(),
        }
    }

    /// Returns the path of its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Makes it run from now on.
    pub fn enable(&self) {
        let mut state = self.state.lock();
        state.enabled = true;
        state.pause = None;
    }

    /// Returns its ready line; none if it is not running or not ready.
    pub fn ready(&self) -> Option<Value> {
        let state = self.state.lock();
        state.running.as_ref()?.ready.get().cloned()
    }

    /// Kills it, like `kill -9`. It does not run again until [`Self::enable`].
    pub fn kill(&self) {
        let mut state = self.state.lock();
        state.enabled = false;
        if let Some(mut running) = state.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }

    /// Stops it with SIGTERM, and waits for its end. It does not run again until [`Self::enable`].
    ///
    /// # Errors
    /// Fails if it does not end in time; then it is killed.
    pub fn stop(&self) -> Result<(), Failure> {
        let mut state = self.state.lock();
        state.enabled = false;
        let Some(mut running) = state.running.take() else {
            return Ok(());
        };
        signal(running.child.id(), "TERM");
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = running.child.try_wait() {
                return match status.code() {
                    Some(0 | 130 | 143) => Ok(()),
                    _ => Err(format!("after SIGTERM, it ended with {status}")),
                };
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        let _ = running.child.kill();
        let _ = running.child.wait();
        Err(format!(
            "after SIGTERM, it did not end within {STOP_TIMEOUT:?}"
        ))
    }

    /// Suspends or continues it; `name` is `STOP` or `CONT`.
    pub fn signal(&self, name: &str) {
        if let Some(running) = &self.state.lock().running {
            signal(running.child.id(), name);
        }
    }

    /// Starts it if it should run but does not. Returns an unexpected end.
    ///
    /// # Errors
    /// Fails if it cannot be started.
    pub fn supervise(&self, cleanup: &Cleanup) -> Result<Option<UnexpectedExit>, Failure> {
        let mut state = self.state.lock();
        let mut exit = None;
        if let Some(running) = &mut state.running {
            let Ok(Some(status)) = running.child.try_wait() else {
                return Ok(None);
            };
            exit = Some(UnexpectedExit {
                status,
                started: running.started,
                was_ready: running.ready.get().is_some(),
            });
            state.running = None;
            state.pause = Some(Instant::now() + PAUSE);
        }
        let is_due = state.pause.is_none_or(|pause| pause <= Instant::now());
        if state.enabled && is_due {
            state.running = Some(self.start(cleanup)?);
        }
        Ok(exit)
    }

    fn start(&self, cleanup: &Cleanup) -> Result<Running, Failure> {
        let open = |path: &Path| {
            let file = File::options().create(true).append(true).open(path);
            file.map_err(|error| format!("{}: {error}", path.display()))
        };
        let mut child = self
            .machine
            .command(&self.binary)
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(open(&self.log)?)
            .spawn()
            .map_err(|error| format!("convite cannot be started: {error}"))?;
        cleanup.add(&Resource::Process(child.id()));
        let ready = Arc::new(OnceLock::new());
        let (tell, stdout) = (ready.clone(), child.stdout.take());
        // Continues to read after the ready line, so that the process never blocks on a full pipe.
        std::thread::spawn(move || {
            let lines = stdout
                .into_iter()
                .flat_map(|out| BufReader::new(out).lines());
            for line in lines.map_while(Result::ok) {
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                if event["event"] == "ready" {
                    let _ = tell.set(event);
                }
            }
        });
        Ok(Running {
            child,
            started: Instant::now(),
            ready,
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends the signal `name` to the process `id`.
pub fn signal(id: u32, name: &str) {
    let mut kill = Command::new("kill");
    let _ = kill.arg(format!("-{name}")).arg(id.to_string()).output();
}
