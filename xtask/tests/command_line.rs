//! Tests of the xtask command line: arguments, output and exit codes.

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
fn an_unknown_command_fails() {
    assert!(!xtask().arg("deploy").status().unwrap().success());
    assert!(xtask().status().unwrap().success());
}

#[test]
fn the_baseline_copies_every_byte() {
    for way in ["plain", "hashed"] {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let bytes: Vec<u8> = (0..1_000_003_u32).map(|at| (at % 251) as u8).collect();
        std::fs::write(&from, &bytes).unwrap();

        let mut receiver = xtask()
            .args(["bench", "baseline-receive"])
            .arg(&to)
            .arg(way)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(receiver.stdout.take().unwrap());
        let mut address = String::new();
        told.read_line(&mut address).unwrap();
        let sender = xtask()
            .args(["bench", "baseline-send", address.trim()])
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

/// Without cargo-deny, no dependency is checked, so the step must fail.
#[test]
fn the_deny_step_fails_without_cargo_deny() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    // A cargo that can do all but run or install cargo-deny.
    let cargo = folder.path().join("cargo");
    let script = "#!/bin/sh\ncase \"$*\" in 'deny --version' | install*) exit 1 ;; esac\n";
    std::fs::write(&cargo, script).unwrap();
    std::fs::set_permissions(&cargo, PermissionsExt::from_mode(0o755)).unwrap();
    for ci in ["", "1"] {
        let output = xtask()
            .args(["ci", "--only", "deny"])
            .env("CARGO", &cargo)
            .env("CI", ci)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "CI={ci}: {output:?}");
        assert!(said.contains("cargo-deny"), "{said}");
    }
}

/// docs/security.md names the test of each guard, so a renamed test must be renamed there too.
#[test]
fn the_tests_that_the_security_model_names_exist() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let model = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let listed = Command::new("git")
        .args(["grep", "-hoE", "fn [a-z0-9_]{20,}", "--", "*.rs"])
        .current_dir(&root)
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let known: std::collections::HashSet<&str> = listed
        .lines()
        .filter_map(|line| line.strip_prefix("fn "))
        .collect();
    let is_test = |word: &&str| {
        word.len() >= 20
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let named: Vec<&str> = model.split('`').filter(is_test).collect();
    assert!(named.len() > 20, "{named:?}");
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !known.contains(**name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
