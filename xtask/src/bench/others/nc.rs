//! `nc` to `nc`, to disk: a baseline that is easy to repeat by hand.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::super::method::Transfer;
use super::super::process::{self, Process};
use super::programs;
use crate::Failure;

/// Copies `from` to `to`.
///
/// # Errors
/// Fails if `nc` is missing or fails.
pub fn copy(from: &Path, to: &Path) -> Result<Transfer, Failure> {
    let nc = programs::program("nc")?;
    let port = process::free_port()?;
    let failed = |error| format!("cannot open a file for nc: {error}");
    let mut receive = Command::new(&nc);
    receive.args(["-l", "127.0.0.1", &port.to_string()]);
    receive.stdin(Stdio::null()).stderr(Stdio::null());
    receive.stdout(File::create(to).map_err(failed)?);
    let mut receiver = Process::spawn("nc", &mut receive)?;
    receiver.wait_for_port(port)?;

    let start = Instant::now();
    let mut send = Command::new(&nc);
    // -N closes the connection at the end of the file.
    send.args(["-N", "127.0.0.1", &port.to_string()]);
    send.stdin(File::open(from).map_err(failed)?);
    send.stdout(Stdio::null()).stderr(Stdio::null());
    // The sender ends first, or at about the same time.
    let sender = Process::spawn("nc", &mut send)?.finish()?;
    let (seconds, receiver) = programs::finish_and_sync(receiver, to, start)?;
    let same = |path: &Path| path.metadata().map(|meta| meta.len()).map_err(failed);
    if same(from)? != same(to)? {
        return Err("nc did not transfer the whole file".to_owned());
    }
    Ok(Transfer {
        seconds,
        sender: (sender.cpu, sender.peak),
        receiver,
        first: None,
    })
}
