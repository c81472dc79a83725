//! The files in deploy/, checked by the programs that will read them, as far as they are here.
//!
//! `docker compose config` wants the values that a user gives: it gets made-up ones. The units name
//! a program that is not installed where this runs: copies that name another are verified.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Failure;
use crate::workspace;

/// Where an installed convite lies, as the units have it.
const INSTALLED: &str = "/usr/local/bin/convite";
/// A program that is everywhere where systemd is.
const STAND_IN: &str = "/bin/true";
/// What the compose file asks its user for.
const ASKED: [(&str, &str); 3] = [
    ("CONVITE_ADDRESS", "files.example:50051"),
    ("CONVITE_DATABASE_PASSWORD", "made-up"),
    ("CONVITE_ADMIN_PASSWORD", "made-up"),
];

/// The step of the gate.
pub fn check() -> Result<(), Failure> {
    let folder = workspace::root().join("deploy");
    check_compose(&folder)?;
    check_units(&folder)?;
    check_balancer(&folder)
}

fn check_compose(folder: &Path) -> Result<(), Failure> {
    if !answers("docker", &["compose", "version"]) {
        skipped("compose.yaml", "`docker compose` is missing");
        return Ok(());
    }
    let mut command = Command::new("docker");
    command.args(["compose", "--file"]);
    command.arg(folder.join("compose.yaml"));
    command.args(["config", "--quiet"]);
    // A name that is not asked for would be taken as empty.
    command
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| name == "PATH"));
    command.envs(ASKED);
    workspace::run(&mut command)
}

fn check_units(folder: &Path) -> Result<(), Failure> {
    if !answers("systemd-analyze", &["--version"]) {
        skipped("the units", "`systemd-analyze` is missing");
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
        fs::write(&copy, text.replace(INSTALLED, STAND_IN)).map_err(failed)?;
        command.arg(copy);
        units += 1;
    }
    if units == 0 {
        return Err("deploy/ has no unit".to_owned());
    }
    // It tells of unknown settings on stderr, and succeeds all the same.
    let output = command
        .output()
        .map_err(|error| format!("systemd-analyze cannot be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = said
        .lines()
        .filter(|line| units_named(line, &copies))
        .collect();
    if output.status.success() && complaints.is_empty() {
        return Ok(());
    }
    Err(format!("systemd-analyze verify: {}\n{said}", output.status))
}

/// Whether a line is about the units: it also speaks of those that the machine has.
fn units_named(line: &str, copies: &Path) -> bool {
    line.contains(&copies.display().to_string()) || line.starts_with("convite-")
}

fn check_balancer(folder: &Path) -> Result<(), Failure> {
    if !answers("haproxy", &["-v"]) {
        skipped("haproxy.cfg", "`haproxy` is missing");
        return Ok(());
    }
    let mut command = Command::new("haproxy");
    command.args(["-c", "-q", "-f"]);
    workspace::run(command.arg(folder.join("haproxy.cfg")))
}

fn answers(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn skipped(what: &str, why: &str) {
    println!("*** SKIPPED: {what} in deploy/: {why}");
}
