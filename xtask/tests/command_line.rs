//! xtask as it is called: by its words, with its exit code.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

fn xtask() -> Command {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
}

#[test]
fn a_mistyped_step_fails_and_names_the_steps() {
    let output = xtask().args(["ci", "--only", "test"]).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("fmt, sizes, layers"), "{said}");
}

#[test]
fn an_unknown_chore_fails() {
    assert!(!xtask().arg("deploy").status().unwrap().success());
    assert!(xtask().status().unwrap().success());
}

#[test]
fn the_floor_copies_every_byte() {
    for way in ["plain", "hashed"] {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let bytes: Vec<u8> = (0..1_000_003_u32).map(|at| (at % 251) as u8).collect();
        std::fs::write(&from, &bytes).unwrap();

        let mut receiver = xtask()
            .args(["bench", "floor-receive"])
            .arg(&to)
            .arg(way)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(receiver.stdout.take().unwrap());
        let mut address = String::new();
        told.read_line(&mut address).unwrap();
        let sender = xtask()
            .args(["bench", "floor-send", address.trim()])
            .arg(&from)
            .status()
            .unwrap();
        assert!(sender.success());
        assert!(receiver.wait().unwrap().success());
        assert!(std::fs::read(&to).unwrap() == bytes, "{way}");
        let mut seconds = String::new();
        told.read_to_string(&mut seconds).unwrap();
        assert!(seconds.trim().parse::<f64>().unwrap() > 0.0);
    }
}
