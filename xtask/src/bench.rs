//! Benchmarks against the real binary: real processes, real sockets, a real disk, and next to each
//! figure the floor that the same machine sets in the same minute.
//!
//! Absolute figures move by tens of percent from run to run; only ratios inside one run are worth
//! comparing. Linux only: processor time and memory are read from /proc.

#[cfg(feature = "load")]
mod directory;
#[cfg(not(feature = "load"))]
#[path = "bench/relaunch.rs"]
mod directory;
mod faults;
mod floor;
mod hash;
mod netns;
mod options;
mod others;
mod payload;
mod process;
mod report;
mod round;
mod swarm;
mod system;
mod transfer;
mod upload;
mod usage;
mod watch;

pub use options::Options;

use crate::Failure;

/// Runs the benchmark that `words` name.
///
/// # Errors
/// If the words are unknown, or something fails on the way.
pub fn run(words: &[&str]) -> Result<(), Failure> {
    match words {
        ["transfer", options @ ..] => transfer::run(&options::parse(options)?),
        ["upload", options @ ..] => upload::run(&options::parse(options)?),
        ["faults", options @ ..] => faults::run(&options::parse(options)?),
        ["hash", options @ ..] => hash::run(&options::parse(options)?),
        ["swarm", options @ ..] => swarm::run(&options::parse(options)?),
        ["watch", options @ ..] => watch::run(&options::parse(options)?),
        ["directory", options @ ..] => directory::run(&options::parse(options)?, options),
        ["page", options @ ..] => directory::page(&options::parse(options)?, options),
        // The two ends of the floor are processes of their own, so that each has its own account.
        ["floor-send", address, path] => floor::send(address, path),
        ["floor-receive", path, hashed] => floor::receive(path, *hashed == "hashed"),
        _ => Err(
            "the benchmarks are transfer, upload, swarm, faults, hash, watch, directory and page"
                .to_owned(),
        ),
    }
}
