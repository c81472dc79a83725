//! aria2: over HTTP by several ranges at once, and as a BitTorrent swarm with opentracker between.

use std::path::Path;
use std::process::{Command, Stdio};

use super::super::netns::Host;
use super::super::process::Process;
use super::super::round::Round;
use super::nginx::Nginx;
use crate::Failure;

/// Where an aria2 listens for others; each has a namespace of its own.
const PORT: u16 = 6881;

/// Fetches the file `name` of `nginx` to `to` by four connections, fsync included.
///
/// # Errors
/// If aria2 is missing or fails.
pub fn ranges(nginx: &Nginx, name: &str, to: &Path) -> Result<Round, Failure> {
    let mut command = quiet(&Host::loopback())?;
    command.args(["-x4", "-s4", "-k1M", "--check-certificate=false"]);
    command.args(["--all-proxy=", "--allow-overwrite=true"]);
    command.arg("-d").arg(to.parent().unwrap_or(to));
    command.arg("-o").arg(to.file_name().unwrap_or_default());
    command.arg(format!("{}{name}", nginx.url));
    nginx.fetch("aria2c", &mut command, to)
}

/// Starts opentracker on `host` and `port`, for the torrent with the info hash `allowed` only; its
/// files are in `folder`.
///
/// # Errors
/// If it is missing or does not start.
pub fn tracker(host: &Host, port: u16, allowed: &str, folder: &Path) -> Result<Process, Failure> {
    let mut command = host.command(super::program("opentracker")?);
    // Debian's build serves nothing that is not on its list, which it reads inside `folder`.
    let list = folder.join("allowed");
    std::fs::write(&list, format!("{allowed}\n"))
        .map_err(|error| format!("{} cannot be written: {error}", list.display()))?;
    let shown = port.to_string();
    command.args(["-i", &host.address, "-p", &shown, "-P", &shown]);
    command.arg("-d").arg(folder).args(["-w", "allowed"]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null());
    let mut process = Process::spawn("opentracker", &mut command)?;
    process.listens(port)?;
    Ok(process)
}

/// Starts an aria2 on `host` that has, or fetches, the file of `torrent` in `folder`, and goes on
/// serving it. It makes the file `done`.
///
/// # Errors
/// If it is missing or cannot be started.
pub fn member(host: &Host, torrent: &Path, folder: &Path, done: &Path) -> Result<Process, Failure> {
    let hook = folder.with_extension("hook");
    // aria2 gives the hook words of its own, so the hook has to be a program.
    let text = format!("#!/bin/sh\nsync \"$3\"\n: > '{}'\n", done.display());
    let written = std::fs::write(&hook, text).and_then(|()| {
        let runs = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&hook, runs)
    });
    written.map_err(|error| format!("{} cannot be written: {error}", hook.display()))?;
    let mut command = quiet(host)?;
    command.args(["--enable-dht=false", "--enable-dht6=false"]);
    command.args(["--bt-enable-lpd=false", "--seed-ratio=0.0"]);
    command.args(["--bt-seed-unverified=true", "--bt-tracker-interval=5"]);
    command.arg(format!("--listen-port={PORT}"));
    command.arg(format!("--on-bt-download-complete={}", hook.display()));
    command.arg("-d").arg(folder).arg("-T").arg(torrent);
    Process::spawn("aria2c", &mut command)
}

/// An aria2 on `host` without the user's own settings.
fn quiet(host: &Host) -> Result<Command, Failure> {
    let mut command = host.command(super::program("aria2c")?);
    command.args(["--no-conf=true", "-q", "--file-allocation=none"]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command)
}
