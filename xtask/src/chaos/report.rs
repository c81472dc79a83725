//! The report of a run: operations, faults, checks and failures, logged as they happen and
//! summarized at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use parking_lot::Mutex;

use crate::Failure;

/// The number of failures after which a run stops.
const FAILURES_MAX: usize = 40;

/// The result of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded.
    Done,
    /// It failed, which is allowed under faults.
    Failed,
    /// It was killed on purpose.
    Killed,
    /// It could not be run.
    Skipped,
}

#[derive(Debug, Default, Clone, Copy)]
struct OutcomeCounts {
    done: u64,
    failed: u64,
    killed: u64,
    skipped: u64,
}

#[derive(Default)]
struct Totals {
    operations: BTreeMap<&'static str, OutcomeCounts>,
    faults: BTreeMap<&'static str, u64>,
    checks: BTreeMap<&'static str, u64>,
    calms: Vec<f64>,
    failures: Vec<String>,
    not_tested: Vec<String>,
}

/// The report of a run.
pub struct Report {
    begin: Instant,
    /// The folder with all logs.
    pub logs: PathBuf,
    log: Mutex<File>,
    sums: Mutex<Totals>,
}

impl Report {
    /// Starts a report with its logs in the folder `logs`.
    ///
    /// # Errors
    /// Fails if the folder cannot be written.
    pub fn new(logs: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| format!("{}: {error}", logs.display());
        std::fs::create_dir_all(logs).map_err(failed)?;
        let log = File::create(logs.join("run.log")).map_err(failed)?;
        Ok(Self {
            begin: Instant::now(),
            logs: logs.to_path_buf(),
            log: Mutex::new(log),
            sums: Mutex::default(),
        })
    }

    /// Returns the start of the run.
    pub fn begin(&self) -> Instant {
        self.begin
    }

    /// Writes a line to the log.
    pub fn note(&self, line: &str) {
        let at = self.begin.elapsed().as_secs_f64();
        let mut log = self.log.lock();
        let _ = writeln!(log, "{at:9.3} {line}");
    }

    /// Writes a line to the log and to the terminal.
    pub fn print(&self, line: &str) {
        self.note(line);
        println!("{:7.1} s  {line}", self.begin.elapsed().as_secs_f64());
    }

    /// Records the end of an operation.
    pub fn operation(&self, kind: &'static str, outcome: Outcome) {
        let mut sums = self.sums.lock();
        let outcomes = sums.operations.entry(kind).or_default();
        match outcome {
            Outcome::Done => outcomes.done += 1,
            Outcome::Failed => outcomes.failed += 1,
            Outcome::Killed => outcomes.killed += 1,
            Outcome::Skipped => outcomes.skipped += 1,
        }
    }

    /// Records the start of a fault.
    pub fn fault(&self, kind: &'static str) {
        *self.sums.lock().faults.entry(kind).or_default() += 1;
    }

    /// Records `count` checks. Failed ones are also recorded as failures.
    pub fn checked(&self, kind: &'static str, count: usize) {
        *self.sums.lock().checks.entry(kind).or_default() += count as u64;
    }

    /// Records that the state matched the model `seconds` after the last fault.
    pub fn calm(&self, seconds: f64) {
        self.sums.lock().calms.push(seconds);
    }

    /// Records something that cannot be tested on this machine.
    pub fn not_tested(&self, what: &str, why: &str) {
        self.print(&format!("not tested: {what}: {why}"));
        self.sums.lock().not_tested.push(what.to_owned());
    }

    /// Records a failure.
    pub fn failure(&self, what: &str) {
        self.print(&format!("FAILED: {what}"));
        self.sums.lock().failures.push(what.to_owned());
    }

    /// Returns whether there are failures.
    pub fn has_failed(&self) -> bool {
        !self.sums.lock().failures.is_empty()
    }

    /// Returns whether there are so many failures that the run should stop.
    pub fn is_hopeless(&self) -> bool {
        self.sums.lock().failures.len() >= FAILURES_MAX
    }

    /// Returns the summary as text.
    pub fn summary(&self) -> String {
        let sums = self.sums.lock();
        let mut text = String::new();
        let total = |outcomes: &OutcomeCounts| {
            outcomes.done + outcomes.failed + outcomes.killed + outcomes.skipped
        };
        let operations: u64 = sums.operations.values().map(total).sum();
        let _ = writeln!(
            text,
            "operations: {operations} (done, failed under faults, killed, skipped)"
        );
        for (kind, outcomes) in &sums.operations {
            let OutcomeCounts {
                done,
                failed,
                killed,
                skipped,
            } = outcomes;
            let _ = writeln!(
                text,
                "  {kind:10} {done:5} {failed:5} {killed:5} {skipped:5}"
            );
        }
        let list = |counts: &BTreeMap<&'static str, u64>| {
            let all = counts.iter().map(|(kind, count)| format!("{kind} {count}"));
            all.collect::<Vec<_>>().join(", ")
        };
        let faults: u64 = sums.faults.values().sum();
        let _ = writeln!(text, "faults: {faults}: {}", list(&sums.faults));
        let checks: u64 = sums.checks.values().sum();
        let _ = writeln!(text, "checks: {checks}: {}", list(&sums.checks));
        let calms = sums.calms.iter().map(|seconds| format!("{seconds:.1}"));
        let calms = calms.collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            text,
            "seconds from the last fault until the state matched: {calms}"
        );
        if !sums.not_tested.is_empty() {
            let _ = writeln!(
                text,
                "not tested on this machine: {}",
                sums.not_tested.join(", ")
            );
        }
        for failure in &sums.failures {
            let _ = writeln!(text, "FAILED: {failure}");
        }
        text
    }

    /// Returns the summary in one line.
    pub fn line(&self, seed: u64) -> String {
        let sums = self.sums.lock();
        let total = |outcomes: &OutcomeCounts| outcomes.done + outcomes.failed + outcomes.killed;
        let operations: u64 = sums.operations.values().map(total).sum();
        let faults: u64 = sums.faults.values().sum();
        let checks: u64 = sums.checks.values().sum();
        let (word, failures) = match sums.failures.len() {
            0 => ("passed", String::new()),
            count => ("FAILED", format!(" failures={count}")),
        };
        format!(
            "chaos {word} seed={seed} operations={operations} faults={faults} checks={checks}{failures}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_in_the_summary_and_in_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let report = Report::new(folder.path()).unwrap();
        report.operation("get", Outcome::Done);
        report.operation("get", Outcome::Skipped);
        report.fault("kill peer");
        report.checked("contents", 3);
        assert_eq!(
            report.line(7),
            "chaos passed seed=7 operations=1 faults=1 checks=3"
        );
        report.failure("a file is lost");
        assert!(report.has_failed() && report.line(7).starts_with("chaos FAILED seed=7"));
        let summary = report.summary();
        assert!(summary.contains("FAILED: a file is lost"), "{summary}");
        assert!(summary.contains("kill peer 1"), "{summary}");
        let log = std::fs::read_to_string(folder.path().join("run.log")).unwrap();
        assert!(log.contains("a file is lost"), "{log}");
    }
}
