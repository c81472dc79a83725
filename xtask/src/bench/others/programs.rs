//! The programs of the other systems: their paths, and runs that end with their file on the disk.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Failure;
use crate::bench::process::Process;
use crate::bench::usage::Usage;

/// The text in the row of a missing program.
pub const NOT_INSTALLED: &str = "not installed";

/// Folders that are searched for programs besides those in `$PATH`.
const EXTRA_FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// Returns the path of the program `name`.
///
/// # Errors
/// Fails if the program is not installed.
pub fn program(name: &str) -> Result<PathBuf, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(EXTRA_FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| NOT_INSTALLED.to_owned())
}

/// Runs `command` to its end, then `sync` for `file`. Returns the seconds from `start` to the end
/// of both, and their resource usage.
///
/// # Errors
/// Fails if one of them fails.
pub fn run_and_sync(
    name: &str,
    command: &mut Command,
    file: &Path,
    start: Instant,
) -> Result<(f64, Usage), Failure> {
    let process = Process::spawn(name, command)?;
    finish_and_sync(process, file, start)
}

/// Does the same for a process that is running already.
///
/// # Errors
/// Those of [`run_and_sync`].
pub fn finish_and_sync(
    process: Process,
    file: &Path,
    start: Instant,
) -> Result<(f64, Usage), Failure> {
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
    fn a_program_is_found_or_reported_missing() {
        assert!(program("sh").unwrap().ends_with("sh"));
        assert_eq!(program("no-such-program-here").unwrap_err(), NOT_INSTALLED);
    }
}
