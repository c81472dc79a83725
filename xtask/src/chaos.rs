//! `cargo xtask chaos`: random operations of several accounts under random faults, with real
//! processes, checked against a model of the required state.
//!
//! A run is a sequence of rounds. In each round, accounts work while faults happen (`plan`,
//! `operations`, `faults`). Then all faults end, and within a minute the system must match the
//! model (`calm`, `checks`). The plan follows from the seed alone. All files of a run are in
//! target/chaos. A separate process (`cleanup`) removes everything else, however the run ends.

mod administration;
mod calm;
mod checks;
mod command;
mod contents;
mod database;
mod disk;
mod downloading;
mod faults;
mod http;
mod machine;
mod model;
mod operations;
mod options;
mod plan;
mod planner;
mod publish;
mod publisher;
mod random;
mod report;
mod service;
mod setup;
mod world;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use self::options::Options;
use self::plan::Round;
use self::planner::Planner;
use self::world::World;
use crate::Failure;
use crate::workspace::{self, cargo};

/// The duration of the faults of one round.
const ROUND: Duration = Duration::from_secs(45);
/// The time reserved for the calm after a round.
const CALM: Duration = Duration::from_secs(35);
/// The maximum duration of one world. A longer run has several worlds, each with the next seed.
const WORLD: Duration = Duration::from_secs(600);
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The number of folders of earlier runs that are kept.
const KEPT: usize = 5;

/// Runs `cargo xtask chaos`.
///
/// # Errors
/// Fails if an option is invalid, if the world cannot be set up, or if a check fails.
pub fn run(words: &[&str]) -> Result<(), Failure> {
    let options = options::parse(words)?;
    if options.is_default_binary() {
        workspace::run(cargo().args(["build", "--quiet", "--workspace", "--bin", "convite"]))?;
    }
    let end = Instant::now() + options.length;
    let mut seed = options.seed;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        run_world(&options, seed, left.min(WORLD))?;
        if end.saturating_duration_since(Instant::now()) < ROUND + CALM {
            return Ok(());
        }
        seed += 1;
    }
}

/// Runs the check of `cargo xtask ci`: two minutes, always with the same seed, so that it is
/// repeatable. New seeds are tried by hand and by `ci --full`.
///
/// # Errors
/// Those of [`run`].
pub fn check() -> Result<(), Failure> {
    run(&["--minutes", "2", "--seed", "2"])
}

/// Runs one world with the plan of `seed`.
fn run_world(options: &Options, seed: u64, length: Duration) -> Result<(), Failure> {
    let folder = fresh_folder(seed)?;
    println!(
        "chaos seed={seed}; logs in {}",
        folder.join("logs").display()
    );
    let begin = Instant::now();
    let (world, mut planner) = setup::world(options, &folder, seed)?;
    world.report.print(&format!(
        "{} peers and {} directories on {} are ready",
        world.setting.peers,
        world.setting.directories,
        if world.database.is_some() {
            "PostgreSQL"
        } else {
            "SQLite"
        }
    ));
    rounds(&world, &mut planner, options, begin + length);
    let summary = format!("{}{}\n", world.report.summary(), world.report.line(seed));
    print!("\n{summary}");
    let failed = world.report.has_failed();
    let logs = world.report.logs.clone();
    drop(world);
    let _ = std::fs::write(logs.join("summary.txt"), &summary);
    if failed {
        let minutes = options.length.as_secs_f64() / 60.0;
        return Err(format!(
            "chaos found errors; logs and homes are in {}\nrepeat the plan: \
             cargo xtask chaos --seed {seed} --minutes {minutes} --peers {}",
            folder.display(),
            options.peers
        ));
    }
    keep_logs(&folder);
    Ok(())
}

/// Runs rounds until `end`, at least one; stops after one in which a check failed.
fn rounds(world: &World, planner: &mut Planner, options: &Options, end: Instant) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| supervise(world, &over));
        let mut number = 0;
        // The initial state must match the model before any fault.
        let mut goes_on = calm::wait_until_equal(world, Instant::now());
        while goes_on {
            number += 1;
            let mut plan = planner.round(ROUND);
            plan.exclude(&options.without);
            goes_on = round(world, &plan, number)
                && !world.report.has_failed()
                && end.saturating_duration_since(Instant::now()) > ROUND + CALM;
        }
        over.store(true, Ordering::Relaxed);
    });
}

/// Runs one round and its calm. Returns whether the state matched the model afterwards.
fn round(world: &World, plan: &Round, number: u64) -> bool {
    let faults = plan.faults.len();
    world
        .report
        .print(&format!("round {number}: {faults} faults"));
    *world.faults_ended.lock() = None;
    let begin = Instant::now();
    let healed = std::thread::scope(|scope| {
        for (queue, due) in plan.operations.iter().enumerate() {
            scope.spawn(move || {
                for one in due {
                    faults::sleep_until(begin + one.at);
                    // Operations that are late are skipped after the end of the round.
                    if begin.elapsed() < ROUND && !world.report.is_hopeless() {
                        operations::run(world, queue, &one.operation);
                    }
                }
            });
        }
        let faults: Vec<_> = plan
            .faults
            .iter()
            .map(|planned| scope.spawn(move || faults::run(world, planned, begin)))
            .collect();
        for planned in faults {
            let _ = planned.join();
        }
        let healed = Instant::now();
        *world.faults_ended.lock() = Some(healed);
        world.report.note("all faults are over");
        healed
    });
    if !calm::wait_until_equal(world, healed) {
        return false;
    }
    world.model.lock().calm();
    checks::run(world, number);
    true
}

/// Restarts processes that should run, and reports unexpected ends.
fn supervise(world: &World, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        for service in &world.services {
            let Some(Some(exit)) = world.check(service.supervise(&world.cleanup)) else {
                continue;
            };
            let target = service.target;
            let text = format!("{target:?} ended by itself: {}", exit.status);
            // A process that cannot start, because its disk is full or its database is away, may
            // end.
            let in_calm = world
                .faults_ended()
                .is_some_and(|ended| exit.started > ended);
            if exit.was_ready || in_calm {
                world
                    .report
                    .failure(&format!("{text}; see {}", service.log().display()))
            } else {
                world.report.note(&text)
            }
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Creates the folder of a run, and removes all but the last few folders of earlier runs.
fn fresh_folder(seed: u64) -> Result<PathBuf, Failure> {
    let root = workspace::target().join("chaos");
    let entries = std::fs::read_dir(&root).into_iter().flatten().flatten();
    let mut earlier: Vec<_> = entries
        .map(|entry| {
            (
                entry.metadata().and_then(|about| about.modified()).ok(),
                entry.path(),
            )
        })
        .collect();
    earlier.sort();
    for (_, path) in earlier.iter().rev().skip(KEPT) {
        let process = path.to_string_lossy().rsplit('-').next().map(str::to_owned);
        let runs = process.is_some_and(|id| Path::new("/proc").join(id).exists());
        if !runs {
            let _ = std::fs::remove_dir_all(path);
        }
    }
    let folder = root.join(format!("{seed}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// Removes everything but the logs, after a run that passed.
fn keep_logs(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name() != "logs" {
            let _ = std::fs::remove_dir_all(entry.path());
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
