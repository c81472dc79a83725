//! A client built only from the `.proto` files: Python's grpcio.
//!
//! `cargo xtask test` installs it.

use std::path::Path;
use std::process::Command;

use xtest::Need;

use super::{Peer, contents};

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| e.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn python_client_downloads_with_the_protos() {
    if !Need::Grpcio.is_met() {
        return;
    }
    let peer = Peer::start(8).await;
    let bytes = contents(5_000_001);
    let hash = peer.write("f", &bytes);
    peer.scan().await;
    let place = tempfile::tempdir().unwrap();
    let output = place.path().join("got");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut client = Command::new(xtest::python().join("bin/python"));
    client
        .arg(here.join("tests/serving/download.py"))
        .arg(here.join("../wire/proto"))
        .arg(place.path())
        .arg(peer.address.to_string())
        .arg(hash.to_string())
        .arg(peer.ticket())
        .arg(&output);
    tokio::task::spawn_blocking(move || run(&mut client))
        .await
        .unwrap()
        .unwrap();
    assert!(std::fs::read(output).unwrap() == bytes);
}
