//! The record of the running peer in its home, by which other commands of the home find it.

use convite_client::home::write_private;
use convite_core::{ErrorCode, PeerId, Problem};
use serde::Serialize;

use crate::home::{self, PeerHome};
use crate::node::control::ControlToken;

const RUNNING_FILE: &str = "running.json";
const TOKEN_FILE: &str = "control.token";

/// The contents of `HOME/peer/running.json`, by which other commands of this home find the peer.
#[derive(Serialize)]
struct RunningRecord<'a> {
    pid: u32,
    url: &'a str,
    port: u16,
    id: &'a PeerId,
}

/// Writes the record.
///
/// # Errors
/// Returns `internal` if the disk fails.
pub(super) fn write(
    home: &PeerHome,
    token: &ControlToken,
    url: &str,
    port: u16,
    id: &PeerId,
) -> Result<(), Problem> {
    let running = RunningRecord {
        pid: std::process::id(),
        url,
        port,
        id,
    };
    let text = serde_json::to_vec(&running)
        .map_err(|e| Problem::new(ErrorCode::Internal, format!("{RUNNING_FILE}: {e}")))?;
    // The token first: a program that finds `running.json` also finds the token.
    for (name, contents) in [(TOKEN_FILE, token.text().as_bytes()), (RUNNING_FILE, &text)] {
        let path = home.path(name);
        write_private(&path, contents).map_err(|e| home::disk(&path, &e))?;
    }
    Ok(())
}

/// Removes the record.
pub(super) fn remove(home: &PeerHome) {
    for name in [RUNNING_FILE, TOKEN_FILE] {
        // The file may already be gone.
        let _ = std::fs::remove_file(home.path(name));
    }
}
