//! Runs schemathesis (a Python program) against a real directory. It sends valid and invalid
//! requests made from the description of the REST API. None may get a 5xx, or an answer that the
//! description does not list.
//!
//! It is installed in a virtual environment under target/.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Failure;
use crate::convite_process::{self, ConviteProcess, PASSWORD};
use crate::workspace::{self, cargo};

const VERSION: &str = "4.32.5";
/// How long it generates new requests, in seconds.
const MAX_TIME: &str = "60";
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs the check.
///
/// # Errors
/// Fails if the directory cannot be built or started, or if schemathesis finds a problem.
pub fn check() -> Result<(), Failure> {
    let wanted = format!("schemathesis=={VERSION}");
    let Some(programs) = convite_process::python("schemathesis", &[&wanted], is_there)? else {
        return Ok(());
    };
    workspace::run(cargo().args(["build", "--quiet", "--workspace", "--bin", "convite"]))?;
    let folder = convite_process::empty_folder("schemathesis-run")?;
    let directory = ConviteProcess::start(
        &folder,
        &["directory", "--listen", "127.0.0.1:0", "--plaintext"],
    )?;
    let address = directory.ready("directory")?;
    // Both sessions start now, because schemathesis sends wrong passwords and so gets throttled.
    let (session, last) = (login(address)?, login(address)?);
    let try_out = |token: &str, options: &[&str]| {
        let inputs = workspace::root().join("xtask/src/schemathesis");
        let mut command = Command::new(programs.join("schemathesis"));
        command
            .arg("--config-file")
            .arg(inputs.join("config.toml"))
            .arg("run")
            .arg(format!("http://{address}/openapi.json"))
            // The same requests in every run.
            .arg("--generation-deterministic")
            .args(options)
            .current_dir(&folder)
            .env("SCHEMATHESIS_HOOKS", inputs.join("hooks.py"))
            .env("CONVITE_TOKEN", token);
        workspace::run(&mut command)
    };
    let all_but_one = [
        "--exclude-operation-id",
        "logout",
        // An endless stream.
        "--exclude-operation-id",
        "events",
        "--max-time",
        MAX_TIME,
    ];
    try_out(&session, &all_but_one)?;
    // It ends its session, so it is tested last, with a separate session.
    let one = ["--include-operation-id", "logout", "--max-examples", "20"];
    try_out(&last, &one)
}

fn is_there(programs: &Path) -> bool {
    let output = Command::new(programs.join("schemathesis"))
        .arg("--version")
        .output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(VERSION))
}

/// Logs in as `admin` and returns the token of the new session.
fn login(address: SocketAddr) -> Result<String, Failure> {
    let failed = |error: std::io::Error| format!("the login failed: {error}");
    let body = format!(r#"{{"user":"admin","password":"{PASSWORD}"}}"#);
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    stream
        .set_read_timeout(Some(ANSWER_TIMEOUT))
        .map_err(failed)?;
    let length = body.len();
    write!(
        stream,
        "POST /login HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let session: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let token = session["token"].as_str();
    token
        .map(str::to_owned)
        .ok_or_else(|| "the login returned no session".to_owned())
}
