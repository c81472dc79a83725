//! `cargo xtask test`: installs what the tests need, then runs all of them. No test that can run on
//! this machine may be skipped. Prints the slowest tests, and at the end the skipped ones.

mod timed;

use std::path::Path;

use xtest::Need;

use crate::Failure;
use crate::install::{self, Consent};
use crate::workspace::{self, cargo};

pub use timed::run_program;

/// The number of slowest tests that are printed.
const SLOWEST: usize = 10;

/// Runs the tests; `options` are `--yes`, and further arguments for `cargo test`.
///
/// # Errors
/// Fails if something cannot be installed, or if a test fails.
pub fn run(options: &[&str]) -> Result<(), Failure> {
    let consent = Consent::of(options.contains(&"--yes"));
    let further: Vec<&str> = options
        .iter()
        .copied()
        .filter(|word| *word != "--yes")
        .collect();
    install(consent)?;
    let (met, missing): (Vec<Need>, Vec<Need>) =
        Need::ALL.iter().partition(|need| need.missing().is_none());
    if let Some(need) = missing.iter().find(|need| is_installable(**need)) {
        let why = need.missing().unwrap_or_default();
        return Err(format!("still missing after the installation: {why}"));
    }
    let required: Vec<&str> = met.iter().map(|need| need.name()).collect();
    println!("── tests: {}={}", xtest::REQUIRE, required.join(","));
    let folder = workspace::target().join("test-run");
    let failed = |error| format!("{}: {error}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(failed)?;
    }
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let (times, skipped) = (folder.join("times"), folder.join("skipped"));
    let mut command = cargo();
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(["--config", &timed::runner()?])
        .args(further)
        .env(xtest::REQUIRE, required.join(","))
        .env(xtest::RECORD, &skipped)
        .env(timed::TIMES, &times);
    let tested = workspace::run(&mut command);
    print!("{}", timed::slowest(&times, SLOWEST));
    print!("{}", skipped_in(&skipped, &missing));
    tested
}

/// Returns a report of the skipped tests of a run, and of the requirements that this machine cannot
/// meet.
fn skipped_in(record: &Path, missing: &[Need]) -> String {
    let report = xtest::report(&xtest::skipped(record));
    if report.is_empty() && !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|need| need.name()).collect();
        return format!(
            "*** missing, but not needed by any test that ran: {}\n",
            names.join(", ")
        );
    }
    report
}

/// Returns whether packages can meet the requirement. The others are properties of the machine.
fn is_installable(need: Need) -> bool {
    match need {
        Need::Mount
        | Need::Loop
        | Need::SecondDisk
        | Need::UserNamespace
        | Need::NetworkNamespace => false,
        Need::FuseFat => Need::Mount.missing().is_none(),
        Need::Postgres
        | Need::Chromium
        | Need::Tmux
        | Need::Grpcio
        | Need::Axe
        | Need::Faketime
        | Need::Nginx => true,
    }
}

/// Installs missing requirements.
fn install(consent: Consent) -> Result<(), Failure> {
    let mut packages: Vec<&str> = Vec::new();
    for need in Need::ALL.iter().filter(|need| need.missing().is_some()) {
        packages.extend(match need {
            Need::Postgres => ["postgresql"].as_slice(),
            Need::Chromium => &["chromium", "chromium-driver", "fonts-liberation"],
            Need::Tmux => &["tmux"],
            Need::FuseFat => &["fusefat", "dosfstools"],
            Need::Faketime => &["libfaketime"],
            Need::Nginx => &["nginx-light", "libnginx-mod-stream", "curl", "openssl"],
            Need::Grpcio
            | Need::Axe
            | Need::Mount
            | Need::Loop
            | Need::SecondDisk
            | Need::UserNamespace
            | Need::NetworkNamespace => &[],
        });
    }
    install::apt(&packages, consent)?;
    let has_all = |_: &Path| Need::Grpcio.missing().is_none() && Need::Axe.missing().is_none();
    let (packages, alone) = (xtest::GRPCIO, [xtest::AXE_PACKAGE]);
    install::python(&xtest::python(), &packages, &alone, consent, has_all)?;
    Ok(())
}

/// Runs all tests five times in a row, while another build uses the processors.
///
/// # Errors
/// Fails if a test fails in any run.
pub fn repeat_under_load() -> Result<(), Failure> {
    let load = Load::start()?;
    for round in 1..=5 {
        println!("── run {round} of 5, under load");
        run(&[])?;
    }
    drop(load);
    Ok(())
}

/// A build that restarts whenever it is done, until this is dropped.
struct Load {
    stop: std::sync::mpsc::Sender<()>,
    building: Option<std::thread::JoinHandle<()>>,
}

impl Load {
    fn start() -> Result<Self, Failure> {
        let folder = workspace::target().join("load");
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let building = std::thread::spawn(move || {
            use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
            while matches!(stopped.try_recv(), Err(TryRecvError::Empty)) {
                let _ = std::fs::remove_dir_all(&folder);
                let mut build = cargo();
                build.args(["build", "--quiet", "--workspace", "--bin", "convite"]);
                build
                    .arg("--target-dir")
                    .arg(&folder)
                    .stderr(std::process::Stdio::null());
                let Ok(mut child) = build.spawn() else { return };
                let pause = std::time::Duration::from_millis(500);
                while matches!(child.try_wait(), Ok(None)) {
                    if !matches!(stopped.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
                        let _ = child.kill();
                        let _ = child.wait();
                        return;
                    }
                }
            }
        });
        Ok(Self {
            stop,
            building: Some(building),
        })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.stop.send(());
        if let Some(building) = self.building.take() {
            let _ = building.join();
        }
    }
}
