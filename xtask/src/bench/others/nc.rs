//! `nc` to `nc`, to disk: the floor that anyone can repeat by hand.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::super::process::{self, Process};
use super::super::round::Round;
use crate::Failure;

/// Copies `from` to `to`.
///
/// # Errors
/// If `nc` is missing or fails.
pub fn copy(from: &Path, to: &Path) -> Result<Round, Failure> {
    let nc = super::program("nc")?;
    let port = process::free_port()?;
    let failed = |error| format!("a file for nc: {error}");
    let mut receive = Command::new(&nc);
    receive.args(["-l", "127.0.0.1", &port.to_string()]);
    receive.stdin(Stdio::null()).stderr(Stdio::null());
    receive.stdout(File::create(to).map_err(failed)?);
    let mut receiver = Process::spawn("nc", &mut receive)?;
    receiver.listens(port)?;

    let start = Instant::now();
    let mut send = Command::new(&nc);
    // -N: to close the connection at the end of the file.
    send.args(["-N", "127.0.0.1", &port.to_string()]);
    send.stdin(File::open(from).map_err(failed)?);
    send.stdout(Stdio::null()).stderr(Stdio::null());
    // The sender ends first, or close to it: it is waited for first.
    let sender = Process::spawn("nc", &mut send)?.finish()?;
    let (seconds, receiver) = super::synced(receiver, to, start)?;
    let same = |path: &Path| path.metadata().map(|meta| meta.len()).map_err(failed);
    if same(from)? != same(to)? {
        return Err("this nc left some of the file out".to_owned());
    }
    Ok(Round {
        seconds,
        sender: (sender.cpu, sender.peak),
        receiver,
        first: None,
    })
}
