//! Processes of the binary. A process is killed when its guard is dropped, also if the test fails.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The timeout of all waits. It is long because two slow cores run all tests in parallel.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// The polling interval for a process.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Polls a condition until it returns a value.
pub fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "timeout waiting until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that has ended.
pub struct Finished {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// Fails the test unless it ended with that code.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "\n--- stdout\n{}\n--- stderr\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Fails the test unless it succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.ends(0)
    }

    /// Returns the JSON objects on stdout; fails the test if there is anything else.
    #[track_caller]
    pub fn objects(&self) -> Vec<Value> {
        let parse = |line: &str| match serde_json::from_str::<Value>(line) {
            Ok(object) if object.is_object() => object,
            _ => panic!("not a JSON object: {line}"),
        };
        self.stdout.lines().map(parse).collect()
    }

    /// Returns the only object with that `event`.
    #[track_caller]
    pub fn event(&self, name: &str) -> Value {
        let found: Vec<_> = self.objects();
        let mut found = found.into_iter().filter(|o| o["event"] == name);
        match (found.next(), found.next()) {
            (Some(object), None) => object,
            _ => panic!(
                "not exactly one '{name}' in {}\n{}",
                self.stdout, self.stderr
            ),
        }
    }
}

/// Runs a command and waits for its end.
pub fn finish(command: Command) -> Finished {
    Process::start(command).ended()
}

#[derive(Default)]
struct OutputLines {
    text: Mutex<String>,
    more: Condvar,
}

impl OutputLines {
    fn follow(source: impl Read + Send + 'static) -> (Arc<Self>, std::thread::JoinHandle<()>) {
        let lines = Arc::new(Self::default());
        let shared = lines.clone();
        let reading = std::thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                shared.text.lock().unwrap().push_str(&text);
                shared.more.notify_all();
                line.clear();
            }
        });
        (lines, reading)
    }

    fn wait<T>(&self, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
        let start = Instant::now();
        let mut text = self.text.lock().unwrap();
        loop {
            if let Some(found) = look(&text) {
                return found;
            }
            let left = DEADLINE.saturating_sub(start.elapsed());
            assert!(
                !left.is_zero(),
                "timeout waiting for output: {what}\n{text}"
            );
            text = self
                .more
                .wait_timeout(text, left.min(POLL_INTERVAL))
                .unwrap()
                .0;
        }
    }
}

/// A running process; killed on drop.
pub struct Process {
    child: Child,
    stdout: Arc<OutputLines>,
    stderr: Arc<OutputLines>,
    reading: Vec<std::thread::JoinHandle<()>>,
}

impl Process {
    /// Starts a process.
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, out) = OutputLines::follow(child.stdout.take().unwrap());
        let (stderr, err) = OutputLines::follow(child.stderr.take().unwrap());
        Self {
            child,
            stdout,
            stderr,
            reading: vec![out, err],
        }
    }

    /// Waits for an object on stdout.
    pub fn object(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        self.stdout.wait(what, |text| {
            let whole = text.lines().take(text.matches('\n').count());
            let found = whole
                .filter_map(|line| serde_json::from_str(line).ok())
                .find(&is);
            if found.is_none() && !self.is_running() {
                let stderr = self.stderr.text.lock().unwrap();
                panic!("ended before '{what}'\n{text}\n{stderr}");
            }
            found
        })
    }

    /// Waits until the text on stdout satisfies a condition.
    pub fn says<T>(&self, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
        self.stdout.wait(what, look)
    }

    /// Waits for the ready event.
    pub fn ready(&self) -> Value {
        self.object("ready", |object| object["event"] == "ready")
    }

    /// Returns the output on stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text.lock().unwrap().clone()
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn is_running(&self) -> bool {
        // Not reaped here, so that the process id is not reused.
        let state = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        state.is_ok_and(|state| !state.rsplit(')').next().unwrap_or("").starts_with(" Z"))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(self) -> Finished {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits for the end.
    pub fn ended(mut self) -> Finished {
        let what = format!("the end of process {}", self.child.id());
        let status = wait_until(&what, || self.child.try_wait().unwrap());
        for reading in self.reading.drain(..) {
            reading.join().unwrap();
        }
        let said = |lines: &OutputLines| lines.text.lock().unwrap().clone();
        Finished {
            code: status.code().unwrap_or(-1),
            stdout: said(&self.stdout),
            stderr: said(&self.stderr),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let args = format!("process {}", self.child.id());
            let stdout = self
                .stdout
                .text
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let stderr = self
                .stderr
                .text
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            println!("--- {args}, stdout\n{stdout}--- stderr\n{stderr}");
        }
    }
}
