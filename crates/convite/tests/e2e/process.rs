//! Processes of the binary: started, listened to, ended. Whatever a test started is killed when its
//! guard goes, however the test ends.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// By then anything has happened, or never will. Two slow cores run all tests at once.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// How often a process that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Looks at a condition until it gives something.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that has ended.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
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

    /// What stdout says: nothing but JSON objects.
    #[track_caller]
    pub fn objects(&self) -> Vec<Value> {
        let parse = |line: &str| match serde_json::from_str::<Value>(line) {
            Ok(object) if object.is_object() => object,
            _ => panic!("not a JSON object: {line}"),
        };
        self.stdout.lines().map(parse).collect()
    }

    /// The one object with that `event`.
    #[track_caller]
    pub fn event(&self, name: &str) -> Value {
        let found: Vec<_> = self.objects();
        let mut found = found.into_iter().filter(|o| o["event"] == name);
        match (found.next(), found.next()) {
            (Some(object), None) => object,
            _ => panic!("not one '{name}' in {}\n{}", self.stdout, self.stderr),
        }
    }
}

/// Runs a command to its end.
pub fn finish(command: Command) -> Ran {
    Process::start(command).ended()
}

#[derive(Default)]
struct Lines {
    text: Mutex<String>,
    more: Condvar,
}

impl Lines {
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
            assert!(!left.is_zero(), "never said: {what}\n{text}");
            text = self.more.wait_timeout(text, left.min(LOOK)).unwrap().0;
        }
    }
}

/// A process that runs; killed when this goes.
pub struct Process {
    child: Child,
    stdout: Arc<Lines>,
    stderr: Arc<Lines>,
    reading: Vec<std::thread::JoinHandle<()>>,
}

impl Process {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, out) = Lines::follow(child.stdout.take().unwrap());
        let (stderr, err) = Lines::follow(child.stderr.take().unwrap());
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

    /// Waits for something in the text of stdout.
    pub fn says<T>(&self, what: &str, look: impl Fn(&str) -> Option<T>) -> T {
        self.stdout.wait(what, look)
    }

    /// Waits for its ready event.
    pub fn ready(&self) -> Value {
        self.object("ready", |object| object["event"] == "ready")
    }

    /// What stderr has so far.
    pub fn stderr(&self) -> String {
        self.stderr.text.lock().unwrap().clone()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn is_running(&self) -> bool {
        // Not reaped here, so that the id stays this process's.
        let state = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        state.is_ok_and(|state| !state.rsplit(')').next().unwrap_or("").starts_with(" Z"))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(self) -> Ran {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits for the end.
    pub fn ended(mut self) -> Ran {
        let what = format!("the end of process {}", self.child.id());
        let status = until(&what, || self.child.try_wait().unwrap());
        for reading in self.reading.drain(..) {
            reading.join().unwrap();
        }
        let said = |lines: &Lines| lines.text.lock().unwrap().clone();
        Ran {
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
