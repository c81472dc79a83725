//! Supply chain: licences, sources, bans and known vulnerabilities, by cargo-deny.
//!
//! The first three need no network and must pass. The advisories need a database from the network:
//! where it cannot be had the step says so and goes on, so that the gate also runs offline.

use std::process::Command;

use crate::Failure;
use crate::workspace::{self, cargo};

const VERSION: &str = "0.20.2";

/// The step of the gate.
pub fn check() -> Result<(), Failure> {
    if !installed() {
        // Building it takes minutes: done without asking only where nobody waits.
        let in_ci = std::env::var_os("CI").is_some();
        let install = ["install", "cargo-deny", "--locked", "--version", VERSION];
        if !in_ci || workspace::run(cargo().args(install)).is_err() {
            skipped(&format!(
                "cargo-deny is missing; `cargo install cargo-deny --locked --version {VERSION}` brings it"
            ));
            return Ok(());
        }
    }
    // What other systems need is in the lock file too and must be there to be judged.
    if workspace::run(cargo().args(["fetch", "--locked", "--quiet"])).is_err() {
        println!("some packages cannot be fetched; going on with those at hand");
    }
    let offline = [
        "deny",
        "--offline",
        "--log-level",
        "error",
        "check",
        "bans",
        "licenses",
        "sources",
    ];
    workspace::run(cargo().args(offline))?;
    advisories()
}

fn installed() -> bool {
    cargo()
        .args(["deny", "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}

fn advisories() -> Result<(), Failure> {
    let mut command = cargo();
    command.args(["deny", "check", "advisories"]);
    // A git that asks for a name or waits for a dead network would hold the gate up.
    command.env("GIT_TERMINAL_PROMPT", "0");
    let output = Command::output(&mut command)
        .map_err(|error| format!("cargo-deny cannot be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(());
    }
    if database_is_missing(&said) {
        skipped(
            "the advisory database cannot be fetched; known vulnerabilities were NOT looked up",
        );
        return Ok(());
    }
    Err(format!("cargo-deny found advisories\n{said}"))
}

fn database_is_missing(said: &str) -> bool {
    [
        "failed to fetch advisory database",
        "failed to load advisory database",
        "failed to acquire advisory database",
    ]
    .iter()
    .any(|reason| said.contains(reason))
}

fn skipped(why: &str) {
    println!("*** SKIPPED: {why}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_database_excuses() {
        assert!(database_is_missing(
            "[ERROR] failed to fetch advisory database https://example.org"
        ));
        assert!(!database_is_missing(
            "error[vulnerability]: something bad\nadvisories FAILED"
        ));
    }
}
