//! libtorrent with its Python binding and without trackers: each member gets the others' addresses.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::super::method::Transfer;
use super::super::netns::Host;
use super::super::process::{self, Process};
use super::super::usage::{self, Usage};
use super::{programs, torrent};
use crate::Failure;
use crate::workspace;

const SCRIPT: &str = include_str!("libtorrent.py");
const READY_TIMEOUT: Duration = Duration::from_secs(20);
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(600);

/// Returns a Python interpreter that has the binding.
///
/// # Errors
/// Fails if there is none.
pub fn python() -> Result<PathBuf, Failure> {
    // The distribution's interpreter first, because only it has the distribution's packages.
    [
        Ok(PathBuf::from("/usr/bin/python3")),
        programs::program("python3"),
    ]
    .into_iter()
    .flatten()
    .find(|python| {
        let mut command = Command::new(python);
        workspace::output(command.args(["-c", "import libtorrent"])).is_ok()
    })
    .ok_or_else(|| programs::NOT_INSTALLED.to_owned())
}

/// Starts a member on `host`, and waits until it listens on `port`. It downloads into `folder`;
/// with `seed`, it has the file there already.
///
/// # Errors
/// Fails if the binding is missing, or if the member does not start.
pub fn member(
    host: &Host,
    port: u16,
    seed: bool,
    torrent: &Path,
    folder: &Path,
) -> Result<Process, Failure> {
    let mut command = host.command(python()?);
    command.args(["-c", SCRIPT, if seed { "seed" } else { "leech" }]);
    command.arg(torrent).arg(folder);
    command.arg(format!("{}:{port}", host.address));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let process = Process::spawn("libtorrent", &mut command)?;
    let deadline = Instant::now() + READY_TIMEOUT;
    process.wait_for_line(deadline, |line| (line == "ready").then_some(()))?;
    Ok(process)
}

/// Parses the seconds in a member's `done` line.
pub fn done(line: &str) -> Option<f64> {
    line.strip_prefix("done ")?.parse().ok()
}

/// Copies `from` into `folder`, from one member to another, fsync included.
///
/// # Errors
/// Fails if the binding is missing, or if a member fails.
pub fn copy(from: &Path, torrent: &Path, folder: &Path) -> Result<Transfer, Failure> {
    let here = Host::loopback();
    if !torrent.exists() {
        python()?;
        torrent::write(from, None, torrent)?;
    }
    let (out, into) = (process::free_port()?, process::free_port()?);
    let share = from.parent().unwrap_or(from);
    let mut sender = member(&here, out, true, torrent, share)?;
    let mut receiver = member(&here, into, false, torrent, folder)?;
    let used = |process: &Process| usage::cpu(process.id());
    let before = (used(&sender)?, used(&receiver)?);
    let start = Instant::now();
    sender.write_line("")?;
    receiver.write_line(&format!("127.0.0.1:{out}"))?;
    let (when, seconds) = receiver.wait_for_line(start + DOWNLOAD_TIMEOUT, done)?;
    Ok(Transfer {
        seconds,
        sender: (
            used(&sender)? - before.0,
            usage::peak_memory(sender.id()).unwrap_or(0),
        ),
        receiver: Usage {
            wall: (when - start).as_secs_f64(),
            cpu: used(&receiver)? - before.1,
            peak: usage::peak_memory(receiver.id()).unwrap_or(0),
        },
        first: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_has_seconds() {
        assert_eq!(done("done 1.25"), Some(1.25));
        assert_eq!(done("ready"), None);
        assert_eq!(done("done soon"), None);
    }

    #[test]
    fn the_script_searches_for_no_peers() {
        for off in ["dht", "lsd", "upnp", "natpmp"] {
            assert!(
                SCRIPT.contains(&format!("\"enable_{off}\": False")),
                "{off}"
            );
        }
    }
}
