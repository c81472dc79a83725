//! Checks the dependencies with cargo-deny: licences, sources, bans and known vulnerabilities.
//!
//! The first three need no network and must pass. The advisories need a database from the network:
//! if it cannot be fetched, the step reports that and continues, so that the checks also run
//! offline.

use std::process::Command;

use crate::workspace::{self, cargo};
use crate::{Failure, skipped};

const VERSION: &str = "0.20.2";

/// Runs the check.
pub fn check() -> Result<(), Failure> {
    if !installed() {
        // Built without optimisation: it runs only for seconds, but an optimised build takes
        // minutes.
        let install = format!("install cargo-deny --locked --debug --version {VERSION}");
        skipped::consent().require(&format!(
            "cargo {install} (takes minutes; `--skip deny` skips this check)"
        ))?;
        workspace::run(cargo().args(install.split(' ')))?;
    }
    // The lock file also has dependencies of other systems, which are needed to check their
    // licences.
    if workspace::run(cargo().args(["fetch", "--locked", "--quiet"])).is_err() {
        println!("some packages cannot be fetched; the check uses the available ones");
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
    // git must not ask for a user name, which would block the check.
    command.env("GIT_TERMINAL_PROMPT", "0");
    let output = Command::output(&mut command)
        .map_err(|error| format!("cargo-deny cannot be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(());
    }
    if database_is_missing(&said) {
        skipped::skip(
            "known vulnerabilities",
            "the advisory database cannot be fetched",
        );
        return Ok(());
    }
    Err(format!("cargo-deny found security advisories\n{said}"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platforms;

    /// A dependency of one system is not in the dependency graphs of the others.
    #[test]
    fn every_supported_system_is_checked() {
        let settings = std::fs::read_to_string(workspace::root().join("deny.toml")).unwrap();
        let (_, list) = settings.split_once("\ntargets = [").unwrap();
        let (list, _) = list.split_once(']').unwrap();
        let checked: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
        let systems = ["unknown-linux-gnu", "apple-darwin", "pc-windows-msvc"];
        let machines = ["x86_64", "aarch64"];
        let wanted = machines.map(|machine| systems.map(|system| format!("{machine}-{system}")));
        for target in wanted.iter().flatten().map(String::as_str) {
            assert!(checked.contains(&target), "deny.toml lacks {target}");
        }
        for target in platforms::TARGETS {
            assert!(checked.contains(&target), "deny.toml lacks {target}");
        }
    }

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
