//! End-to-end tests with real processes of the real binary.
//!
//! Every test has its own directory and homes, on free ports of 127.0.0.0/8. Tests do not sleep:
//! processes print that they are ready, and conditions are polled until they hold or a deadline fails
//! the test. To interrupt a transfer in mid-file, a TCP relay in front of the provider passes a given
//! number of bytes and then holds.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking and show what was said"
)]

mod access;
mod activity;
mod administering;
mod backup;
mod broken_output;
mod browser;
mod cli;
mod clocks;
#[path = "../../../store/tests/cluster/mod.rs"]
mod cluster;
mod contents;
mod deploy;
mod directory;
mod documents;
mod failure_reasons;
mod folder_downloads;
mod folders;
mod harness;
mod hashing;
mod json;
mod kept_parts;
mod local_files;
mod membership;
mod menu;
mod naming;
mod peer_http;
mod presence;
mod process;
mod providers;
mod proxied;
mod relay;
mod remote_fetch;
mod replicas;
mod resuming;
mod search_filters;
mod sharing;
mod signals;
mod spaces;
mod swarm;
mod traces;
mod up;
mod uploading;
mod web;
