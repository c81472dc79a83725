//! A `convite` process that a check starts in its own folder and sends requests to.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use crate::{Failure, generated, install, skipped, workspace};

/// The password of the account that a check uses. The process ends with the check, and listens on
/// this machine only.
pub const PASSWORD: &str = "correct horse battery";
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// A running `convite`, killed when dropped.
pub struct ConviteProcess {
    child: Child,
    lines: Receiver<String>,
    /// The home of the process, in a folder that was emptied before.
    pub home: PathBuf,
}

impl ConviteProcess {
    /// Starts `convite` with `args` in a home under `folder`.
    ///
    /// # Errors
    /// Fails if the program cannot be started.
    pub fn start(folder: &Path, args: &[&str]) -> Result<Self, Failure> {
        let home = folder.join("home");
        let mut child = Command::new(generated::binary())
            .args(args)
            .arg("--home")
            .arg(&home)
            .current_dir(folder)
            .env("CONVITE_ADMIN_PASSWORD", PASSWORD)
            .env("CONVITE_PASSWORD", PASSWORD)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("convite cannot be started: {error}"))?;
        let (send, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let _ = send.send(line);
                }
            });
        }
        Ok(Self { child, lines, home })
    }

    /// Waits for the ready line that begins with `role` (`directory`, `peer`), and returns its
    /// address on this machine.
    ///
    /// # Errors
    /// Fails if the process ends before, or is not ready within a minute.
    pub fn ready(&self, role: &str) -> Result<SocketAddr, Failure> {
        loop {
            let line = self
                .lines
                .recv_timeout(READY_TIMEOUT)
                .map_err(|error| format!("the {role} of convite is not ready: {error}"))?;
            if line.starts_with(&format!("{role} ready ")) {
                return address(&line).ok_or_else(|| format!("no address in '{line}'"));
            }
        }
    }
}

impl Drop for ConviteProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Creates an empty folder under target/.
///
/// # Errors
/// Fails if the folder cannot be emptied or created.
pub fn empty_folder(name: &str) -> Result<PathBuf, Failure> {
    let folder = workspace::target().join(name);
    let failed = |error| format!("{} cannot be emptied: {error}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(failed)?;
    }
    std::fs::create_dir_all(&folder).map_err(failed)?;
    Ok(folder)
}

/// Creates a Python virtual environment in target/`name` with these packages. Returns none if it
/// cannot be created and the check is skipped.
///
/// # Errors
/// In CI, fails if the environment cannot be created.
pub fn python(
    name: &str,
    packages: &[&str],
    has_all: impl Fn(&Path) -> bool,
) -> Result<Option<PathBuf>, Failure> {
    let folder = workspace::target().join(name);
    let made = install::python(&folder, packages, &[], skipped::consent(), has_all);
    skipped::or_skip(name, made)
}

fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("://")?;
    let (_, port) = rest.split(' ').next()?.rsplit_once(':')?;
    Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_line_tells_the_port() {
        let line = "directory ready url=http://192.0.2.7:5001 invite=convite://x:7/y";
        let here = SocketAddr::from(([127, 0, 0, 1], 5001));
        assert_eq!(address(line), Some(here));
        assert_eq!(address("peer ready"), None);
    }
}
