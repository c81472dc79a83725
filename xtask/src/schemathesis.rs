//! schemathesis (a Python program) against a real directory: requests made from the description
//! of the REST interface, right ones and wrong ones, none of which may find a 5xx, or an answer
//! that the description lacks.
//!
//! It lives in a virtual environment under target/. Where that cannot be made, the step says so
//! and goes on.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Failure;
use crate::served::{self, PASSWORD, Served};
use crate::workspace::{self, cargo};

const VERSION: &str = "4.32.5";
/// How long it goes on finding new requests, in seconds.
const SECONDS: &str = "60";
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// The step of the gate.
///
/// # Errors
/// If the directory cannot be built or started, or schemathesis finds something.
pub fn check() -> Result<(), Failure> {
    let wanted = format!("schemathesis=={VERSION}");
    let Some(programs) = served::python("schemathesis", &[&wanted], is_there) else {
        println!(
            "*** SKIPPED: schemathesis is missing: python3 with venv and pip, and a package index, \
             bring it"
        );
        return Ok(());
    };
    workspace::run(cargo().args(["build", "--quiet", "--package", "convite"]))?;
    let folder = served::empty_folder("schemathesis-run")?;
    let directory = Served::start(
        &folder,
        &["directory", "--listen", "127.0.0.1:0", "--plaintext"],
    )?;
    let address = directory.ready("directory")?;
    // Both sessions now: whoever guesses passwords as schemathesis does is made to wait.
    let (session, last) = (login(address)?, login(address)?);
    let try_out = |token: &str, options: &[&str]| {
        let inputs = workspace::root().join("xtask/src/schemathesis");
        let mut command = Command::new(programs.join("schemathesis"));
        command
            .arg("--config-file")
            .arg(inputs.join("config.toml"))
            .arg("run")
            .arg(format!("http://{address}/openapi.json"))
            // The same requests in every run of the gate.
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
        // Goes on for as long as it is listened to.
        "--exclude-operation-id",
        "events",
        "--max-time",
        SECONDS,
    ];
    try_out(&session, &all_but_one)?;
    // It ends the session that it is tried with, and so comes last, with one of its own.
    let one = ["--include-operation-id", "logout", "--max-examples", "20"];
    try_out(&last, &one)
}

fn is_there(programs: &Path) -> bool {
    let output = Command::new(programs.join("schemathesis"))
        .arg("--version")
        .output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(VERSION))
}

/// The token of a new session of the account `admin`.
fn login(address: SocketAddr) -> Result<String, Failure> {
    let failed = |error: std::io::Error| format!("logging in failed: {error}");
    let body = format!(r#"{{"user":"admin","password":"{PASSWORD}"}}"#);
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    stream
        .set_read_timeout(Some(ANSWERS_WITHIN))
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
        .ok_or_else(|| "logging in gave no session".to_owned())
}
