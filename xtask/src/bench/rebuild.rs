//! Rebuilds xtask for `bench directory` and `bench page`: with optimisation, because the benchmark
//! calls the directory as fast as possible, and with the client, which other commands do not need.

use super::options::Options;
use crate::Failure;
use crate::workspace::{self, cargo};

/// Builds xtask with the feature `load` and runs `bench directory` in that build.
pub fn run(_: &Options, words: &[&str]) -> Result<(), Failure> {
    run_with_load("directory", words)
}

/// Does the same for `bench page`, which fills a directory in the same way.
pub fn page(_: &Options, words: &[&str]) -> Result<(), Failure> {
    run_with_load("page", words)
}

fn run_with_load(name: &str, words: &[&str]) -> Result<(), Failure> {
    let build = "run --quiet --release --package xtask --features load -- bench";
    workspace::run(cargo().args(build.split(' ')).arg(name).args(words))
}
