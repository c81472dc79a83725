//! Other systems, measured in the same run: each is there or it is not, and a benchmark goes on
//! without it.

pub mod aria2;
pub mod libtorrent;
pub mod nc;
pub mod nginx;
pub mod torrent;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::process::Process;
use super::usage::Usage;
use crate::Failure;
use crate::workspace;

/// What the row of a missing program says.
const NOT_INSTALLED: &str = "not installed";

/// Where to find programs when the search path of the user leaves them out.
const MORE_FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// The program `name`.
///
/// # Errors
/// If it is not installed.
pub fn program(name: &str) -> Result<PathBuf, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(MORE_FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| NOT_INSTALLED.to_owned())
}

/// Installs what is missing by apt-get, and says on stderr what did not work.
pub fn install() {
    let there = |name: &str| program(name).is_ok();
    let packages = [
        ("nginx-light", there("nginx")),
        ("openssl", there("openssl")),
        ("curl", there("curl")),
        ("aria2", there("aria2c")),
        ("opentracker", there("opentracker")),
        ("wrk", there("wrk")),
        ("netcat-openbsd", there("nc")),
        ("python3-libtorrent", libtorrent::python().is_ok()),
    ];
    // One by one: a package that this system does not have keeps none of the others away.
    for (package, _) in packages.iter().filter(|(_, there)| !there) {
        let mut command = Command::new("apt-get");
        command.args(["install", "-y", "--no-install-recommends", package]);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        if let Err(failure) = workspace::output(&mut command) {
            eprintln!("{package} cannot be installed: {failure}");
        }
    }
}

/// Runs `command` to its end, then lets `sync` bring `file` to the disk; returns the seconds of both
/// from `start`, and what both used.
///
/// # Errors
/// If one of them fails.
fn fetched(
    name: &str,
    command: &mut Command,
    file: &Path,
    start: Instant,
) -> Result<(f64, Usage), Failure> {
    let process = Process::spawn(name, command)?;
    synced(process, file, start)
}

/// The same of a process that runs already.
fn synced(process: Process, file: &Path, start: Instant) -> Result<(f64, Usage), Failure> {
    let got = process.finish()?;
    let mut command = Command::new("sync");
    let sync = Process::spawn("sync", command.arg(file).stdout(Stdio::null()))?.finish()?;
    let seconds = start.elapsed().as_secs_f64();
    let usage = Usage {
        wall: seconds,
        cpu: got.cpu + sync.cpu,
        peak: got.peak.max(sync.peak),
    };
    Ok((seconds, usage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_or_said_to_be_missing() {
        assert!(program("sh").unwrap().ends_with("sh"));
        assert_eq!(program("no-such-program-here").unwrap_err(), NOT_INSTALLED);
    }
}
