//! Benchmarks of the real binary: real processes, real sockets, a real disk. Each result is
//! compared with a baseline that is measured on the same machine in the same run.
//!
//! Absolute figures vary by tens of percent from run to run; compare only ratios within one run.
//! Linux only: CPU time and memory are read from /proc.

mod baseline;
#[cfg(feature = "load")]
mod directory;
#[cfg(not(feature = "load"))]
#[path = "bench/rebuild.rs"]
mod directory;
mod faults;
mod hash;
mod method;
pub mod netns;
pub mod options;
mod others;
pub mod payload;
pub mod process;
mod report;
mod swarm;
pub mod system;
mod transfer;
mod upload;
mod usage;
mod watch;

use crate::Failure;

/// Runs the benchmark with the name and options in `words`.
///
/// # Errors
/// Fails if the name or an option is unknown, or if the benchmark fails.
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
        // The two ends of the baseline copy are separate processes, so that each is measured
        // separately.
        ["baseline-send", address, path] => baseline::send(address, path),
        ["baseline-receive", path, hashed] => baseline::receive(path, *hashed == "hashed"),
        _ => Err(
            "the benchmarks are transfer, upload, swarm, faults, hash, watch, directory and page"
                .to_owned(),
        ),
    }
}
