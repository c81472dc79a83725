//! HTTP requests with curl, from one of the machines. Secrets are passed by stdin.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::machine::Machine;
use crate::Failure;

/// The time limit of a request in seconds.
const SECONDS_MAX: u32 = 30;

/// A request.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: &'static str,
    pub url: &'a str,
    /// A session token or a ticket.
    pub bearer: Option<&'a str>,
    pub body: Option<&'a Value>,
}

/// The answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// The status; 0 if the answer is missing or incomplete.
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns the body as JSON; null if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Returns a `GET` request without a body.
pub fn get<'a>(url: &'a str, bearer: Option<&'a str>) -> Request<'a> {
    Request {
        method: "GET",
        url,
        bearer,
        body: None,
    }
}

/// Sends `request` from `machine`. curl writes the body into the file `scratch`.
///
/// # Errors
/// Fails if curl cannot be started.
pub fn send(machine: &Machine, request: Request<'_>, scratch: &Path) -> Result<Answer, Failure> {
    let _ = std::fs::remove_file(scratch);
    let mut config = format!(
        "url = \"{}\"\nrequest = \"{}\"\n",
        request.url, request.method
    );
    if let Some(bearer) = request.bearer {
        config.push_str(&format!("header = \"Authorization: Bearer {bearer}\"\n"));
    }
    if let Some(body) = request.body {
        let body = body.to_string().replace('\\', "\\\\").replace('"', "\\\"");
        config.push_str("header = \"Content-Type: application/json\"\n");
        config.push_str(&format!("data = \"{body}\"\n"));
    }
    let mut child = machine
        .command("curl")
        .args(["--silent", "--insecure", "--config", "-", "--max-time"])
        .arg(SECONDS_MAX.to_string())
        .args(["--write-out", "%{http_code}", "--output"])
        .arg(scratch)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("curl cannot be started: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(config.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|error| format!("cannot wait for curl: {error}"))?;
    let status = String::from_utf8_lossy(&output.stdout).trim().parse();
    let body = std::fs::read(scratch).unwrap_or_default();
    let _ = std::fs::remove_file(scratch);
    Ok(Answer {
        status: if output.status.success() {
            status.unwrap_or(0)
        } else {
            0
        },
        body,
    })
}
