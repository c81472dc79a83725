//! Checks the files in deploy/ with the programs that read them.
//!
//! `docker compose config` gets placeholders for the values that a user sets. The units start a
//! program that is not installed on this machine, so copies with another program are verified.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::install::is_runnable;
use crate::{Failure, convite_process, install, skipped, workspace};

/// From PyPI, for machines without Docker.
const CHECK_JSONSCHEMA: &str = "check-jsonschema==0.39.0";
/// The path of an installed convite in the units.
const INSTALLED: &str = "/usr/local/bin/convite";
/// A program that every machine with systemd has.
const PLACEHOLDER_PROGRAM: &str = "/bin/true";
/// The variables that the compose file requires, with placeholder values.
const REQUIRED_VARIABLES: [(&str, &str); 3] = [
    ("CONVITE_ADDRESS", "files.example:50051"),
    ("CONVITE_DATABASE_PASSWORD", "made-up"),
    ("CONVITE_ADMIN_PASSWORD", "made-up"),
];

/// Runs the check.
pub fn check() -> Result<(), Failure> {
    let folder = workspace::root().join("deploy");
    check_compose(&folder)?;
    check_units(&folder)?;
    check_balancer(&folder)
}

fn check_compose(folder: &Path) -> Result<(), Failure> {
    if !is_runnable("docker", &["compose", "version"]) {
        return check_compose_schema(folder);
    }
    let mut command = Command::new("docker");
    command.args(["compose", "--file"]);
    command.arg(folder.join("compose.yaml"));
    command.args(["config", "--quiet"]);
    // Compose would use the environment of this process; a missing variable must be an error.
    command
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| name == "PATH"));
    command.envs(REQUIRED_VARIABLES);
    workspace::run(&mut command)
}

/// Without Docker, checks the compose file against the schema that check-jsonschema contains.
fn check_compose_schema(folder: &Path) -> Result<(), Failure> {
    let has_it = |programs: &Path| {
        let program = programs.join("check-jsonschema");
        is_runnable(&program.to_string_lossy(), &["--version"])
    };
    let Some(programs) = convite_process::python("check-jsonschema", &[CHECK_JSONSCHEMA], has_it)?
    else {
        return Ok(());
    };
    let mut command = Command::new(programs.join("check-jsonschema"));
    command.args(["--quiet", "--builtin-schema", "vendor.compose-spec"]);
    workspace::run(command.arg(folder.join("compose.yaml")))
}

fn check_units(folder: &Path) -> Result<(), Failure> {
    let systemd = if is_runnable("systemd-analyze", &["--version"]) {
        Ok(())
    } else {
        install::apt(&["systemd"], skipped::consent())
    };
    if skipped::or_skip("the units in deploy/", systemd)?.is_none() {
        return Ok(());
    }
    let copies = workspace::target().join("deploy");
    let failed = |error: std::io::Error| format!("cannot copy the units: {error}");
    fs::create_dir_all(&copies).map_err(failed)?;
    let mut command = Command::new("systemd-analyze");
    command.arg("verify");
    let mut units = 0;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let (Some(name), true) = (
            path.file_name(),
            path.extension() == Some("service".as_ref()),
        ) else {
            continue;
        };
        let text = fs::read_to_string(&path).map_err(failed)?;
        if !text.contains(&format!("ExecStart={INSTALLED} ")) {
            return Err(format!("{} does not start {INSTALLED}", path.display()));
        }
        let copy = copies.join(name);
        fs::write(&copy, text.replace(INSTALLED, PLACEHOLDER_PROGRAM)).map_err(failed)?;
        command.arg(copy);
        units += 1;
    }
    if units == 0 {
        return Err("deploy/ has no systemd unit".to_owned());
    }
    // It reports unknown settings on stderr, but succeeds.
    let output = command
        .output()
        .map_err(|error| format!("systemd-analyze cannot be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = said
        .lines()
        .filter(|line| is_about_units(line, &copies))
        .collect();
    if output.status.success() && complaints.is_empty() {
        return Ok(());
    }
    Err(format!("systemd-analyze verify: {}\n{said}", output.status))
}

/// Returns whether a line is about the units in deploy/; others are about units of the machine.
fn is_about_units(line: &str, copies: &Path) -> bool {
    line.contains(&copies.display().to_string()) || line.starts_with("convite-")
}

fn check_balancer(folder: &Path) -> Result<(), Failure> {
    let haproxy = if is_runnable("haproxy", &["-v"]) {
        Ok(())
    } else {
        install::apt(&["haproxy"], skipped::consent())
    };
    if skipped::or_skip("deploy/haproxy.cfg", haproxy)?.is_none() {
        return Ok(());
    }
    let mut command = Command::new("haproxy");
    command.args(["-c", "-q", "-f"]);
    workspace::run(command.arg(folder.join("haproxy.cfg")))
}
