//! aria2: HTTP downloads with several ranges at once, and a BitTorrent swarm with opentracker.

use std::path::Path;
use std::process::{Command, Stdio};

use super::super::method::Transfer;
use super::super::netns::Host;
use super::super::process::Process;
use super::nginx::Nginx;
use super::programs;
use crate::Failure;

/// The port of each aria2, in its own namespace.
const PORT: u16 = 6881;

/// Downloads the file `name` of `nginx` to `to` over four connections, fsync included.
///
/// # Errors
/// Fails if aria2 is missing or fails.
pub fn ranges(nginx: &Nginx, name: &str, to: &Path) -> Result<Transfer, Failure> {
    let mut command = command(&Host::loopback())?;
    command.args(["-x4", "-s4", "-k1M", "--check-certificate=false"]);
    command.args(["--all-proxy=", "--allow-overwrite=true"]);
    command.arg("-d").arg(to.parent().unwrap_or(to));
    command.arg("-o").arg(to.file_name().unwrap_or_default());
    command.arg(format!("{}{name}", nginx.url));
    nginx.fetch("aria2c", &mut command, to)
}

/// Starts opentracker on `host` and `port`, only for the torrent with the info hash `allowed`. Its
/// files are in `folder`.
///
/// # Errors
/// Fails if opentracker is missing or does not start.
pub fn tracker(host: &Host, port: u16, allowed: &str, folder: &Path) -> Result<Process, Failure> {
    let mut command = host.command(programs::program("opentracker")?);
    // Debian's build serves only the torrents on its list, which it reads from `folder`.
    let list = folder.join("allowed");
    std::fs::write(&list, format!("{allowed}\n"))
        .map_err(|error| format!("{} cannot be written: {error}", list.display()))?;
    let shown = port.to_string();
    command.args(["-i", &host.address, "-p", &shown, "-P", &shown]);
    command.arg("-d").arg(folder).args(["-w", "allowed"]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null());
    let mut process = Process::spawn("opentracker", &mut command)?;
    process.wait_for_port(port)?;
    Ok(process)
}

/// Starts an aria2 on `host` that has or downloads the file of `torrent` in `folder`, and continues
/// to serve it. It creates the file `done` when it has the whole file.
///
/// # Errors
/// Fails if aria2 is missing or cannot be started.
pub fn member(host: &Host, torrent: &Path, folder: &Path, done: &Path) -> Result<Process, Failure> {
    let hook = folder.with_extension("hook");
    // aria2 passes its own arguments to the hook, so the hook must be a program.
    let text = format!("#!/bin/sh\nsync \"$3\"\n: > '{}'\n", done.display());
    let written = std::fs::write(&hook, text).and_then(|()| {
        let runs = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&hook, runs)
    });
    written.map_err(|error| format!("{} cannot be written: {error}", hook.display()))?;
    let mut command = command(host)?;
    command.args(["--enable-dht=false", "--enable-dht6=false"]);
    command.args(["--bt-enable-lpd=false", "--seed-ratio=0.0"]);
    command.args(["--bt-seed-unverified=true", "--bt-tracker-interval=5"]);
    command.arg(format!("--listen-port={PORT}"));
    command.arg(format!("--on-bt-download-complete={}", hook.display()));
    command.arg("-d").arg(folder).arg("-T").arg(torrent);
    Process::spawn("aria2c", &mut command)
}

/// Returns a command for aria2 on `host`, without the user's settings.
fn command(host: &Host) -> Result<Command, Failure> {
    let mut command = host.command(programs::program("aria2c")?);
    command.args(["--no-conf=true", "-q", "--file-allocation=none"]);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command)
}
