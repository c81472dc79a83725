//! What a user would notice, proven with real processes of the real binary.
//!
//! Every test has a directory and homes of its own, on free ports of 127.0.0.0/8. Nothing waits
//! for time to pass: processes say that they are ready, and conditions are looked at until they
//! hold or a deadline fails the test. "In mid-file" is made by a relay between a provider and those
//! who fetch from it, which lets so many bytes through and then holds.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking and show what was said"
)]

mod access;
mod activity;
mod administering;
mod backup;
mod browser;
mod cli;
#[path = "../../../store/tests/cluster/mod.rs"]
mod cluster;
mod contents;
mod deploy;
mod directory;
mod disk;
mod documents;
mod doors;
mod finding;
mod harness;
mod json;
mod loading;
mod menu;
mod process;
mod providers;
mod relay;
mod replicas;
mod resuming;
mod sharing;
mod spaces;
mod swarm;
mod traces;
mod up;
mod uploading;
mod web;
