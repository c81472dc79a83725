//! A client that knows nothing of Convite but its `.proto` files: Python's grpcio.
//!
//! Makes itself a virtual environment below the target folder, once; without Python or a network
//! it says that it is skipped.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Peer, contents};

const VERSION: &str = "1.76.0";

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| e.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The Python that has grpcio.
fn python() -> Result<PathBuf, String> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("grpcio-{VERSION}"));
    let python = place.join("bin/python");
    let has_it = || {
        let mut check = Command::new(&python);
        run(check.args(["-c", "import grpc, grpc_tools.protoc"]))
    };
    if has_it().is_ok() {
        return Ok(python);
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&place))?;
    let packages = ["grpcio", "grpcio-tools"].map(|name| format!("{name}=={VERSION}"));
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:"]);
    run(install
        .args(["--retries", "1", "--timeout", "15"])
        .args(packages))?;
    has_it()?;
    Ok(python)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_client_downloads_bit_for_bit_knowing_only_the_protos() {
    let python = match tokio::task::spawn_blocking(python).await.unwrap() {
        Ok(python) => python,
        Err(why) => {
            eprintln!("SKIPPED: no Python with grpcio {VERSION} can be had here: {why}");
            return;
        }
    };
    let peer = Peer::start(8).await;
    let bytes = contents(5_000_001);
    let hash = peer.write("f", &bytes);
    peer.scan().await;
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("got");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut client = Command::new(python);
    client
        .arg(here.join("tests/serving/download.py"))
        .arg(here.join("../wire/proto"))
        .arg(place.path())
        .arg(peer.address.to_string())
        .arg(hash.to_string())
        .arg(peer.ticket(hash))
        .arg(&output);
    tokio::task::spawn_blocking(move || run(&mut client))
        .await
        .unwrap()
        .unwrap();
    assert!(std::fs::read(output).unwrap() == bytes);
}
