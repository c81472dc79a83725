//! The directory's benchmark drives the directory as fast as it can, so it is built with
//! optimisation, and with the client that everyday chores do without.

use super::Options;
use crate::Failure;
use crate::workspace::{self, cargo};

/// Builds xtask with the feature `load` and starts the benchmark in that.
pub fn run(_: &Options, words: &[&str]) -> Result<(), Failure> {
    again("directory", words)
}

/// The same for that of the page, which fills a directory in the same way.
pub fn page(_: &Options, words: &[&str]) -> Result<(), Failure> {
    again("page", words)
}

fn again(name: &str, words: &[&str]) -> Result<(), Failure> {
    let build = "run --quiet --release --package xtask --features load -- bench";
    workspace::run(cargo().args(build.split(' ')).arg(name).args(words))
}
