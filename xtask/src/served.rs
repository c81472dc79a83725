//! A `convite` that a step of the gate starts in a folder of its own, and asks.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use crate::{Failure, generated, workspace};

/// The password of the account that a step uses. What it starts lives as long as the step, and
/// listens on this machine only.
pub const PASSWORD: &str = "correct horse battery";
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Killed when dropped.
pub struct Served {
    child: Child,
    lines: Receiver<String>,
    /// Its home, in a folder that was emptied before.
    pub home: PathBuf,
}

impl Served {
    /// Starts `convite` with `args` in a home under `folder`.
    ///
    /// # Errors
    /// If a folder cannot be made, or the program not be started.
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

    /// Waits for the ready line that begins with `whose` (`directory`, `peer`), and returns where
    /// that one listens, on this machine.
    ///
    /// # Errors
    /// If it ends before, or takes longer than a minute.
    pub fn ready(&self, whose: &str) -> Result<SocketAddr, Failure> {
        loop {
            let line = self
                .lines
                .recv_timeout(READY_WITHIN)
                .map_err(|error| format!("convite's {whose} does not get ready: {error}"))?;
            if line.starts_with(&format!("{whose} ready ")) {
                return address(&line).ok_or_else(|| format!("no address in '{line}'"));
            }
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An empty folder under target/.
///
/// # Errors
/// If it cannot be emptied or made.
pub fn empty_folder(name: &str) -> Result<PathBuf, Failure> {
    let folder = workspace::target().join(name);
    let failed = |error| format!("{} cannot be emptied: {error}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(failed)?;
    }
    std::fs::create_dir_all(&folder).map_err(failed)?;
    Ok(folder)
}

/// A Python of its own in target/`name`, with these packages; none if it cannot be had.
pub fn python(name: &str, packages: &[&str], has_all: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let folder = workspace::target().join(name);
    let programs = folder.join("bin");
    if has_all(&programs) {
        return Some(programs);
    }
    let mut make = Command::new("python3");
    let mut install = Command::new(programs.join("pip"));
    let steps = [
        make.args(["-m", "venv", "--clear"]).arg(&folder),
        install
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(packages),
    ];
    let made = steps
        .into_iter()
        .all(|step| step.status().is_ok_and(|status| status.success()));
    (made && has_all(&programs)).then_some(programs)
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
