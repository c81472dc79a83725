//! The files in deploy/ use valid commands and flags.

use std::fs;
use std::path::Path;

use crate::harness::Home;

fn deploy(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// Fails unless the command line is valid. With `--help` at the end it is parsed, but not run.
fn is_understood(args: &str) {
    Home::new().run(&format!("{args} --help")).ok();
}

#[test]
fn the_units_and_the_compose_file_use_flags_that_exist() {
    Home::new().run("directory --no-such-flag --help").ends(2);
    for unit in ["convite-directory.service", "convite-peer.service"] {
        let unit = deploy(unit);
        let start = unit
            .lines()
            .find_map(|l| l.strip_prefix("ExecStart=/usr/local/bin/convite "));
        is_understood(start.unwrap());
    }
    let compose = deploy("compose.yaml");
    let words = compose
        .lines()
        .skip_while(|line| line.trim() != "command:")
        .skip(1)
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .map_while(|line| line.strip_prefix("- "))
        .map(|word| word.split('=').next().unwrap())
        .map(|word| match word {
            "--public-address" => "--public-address=files.example:50051",
            "--listen" => "--listen=0.0.0.0:50051",
            "--trusted-proxy" => "--trusted-proxy=172.31.53.2",
            word => word,
        });
    let words: Vec<&str> = words.collect();
    assert!(words.len() > 1, "{words:?}");
    is_understood(&words.join(" "));
}

#[test]
fn the_repository_contains_no_secret() {
    let compose = deploy("compose.yaml");
    let secrets = compose.lines().filter(|line| line.contains("PASSWORD:"));
    let secrets: Vec<&str> = secrets.collect();
    assert!(secrets.len() >= 3, "{secrets:?}");
    for line in secrets {
        // The password is required and has no default, which users would not change.
        assert!(line.contains("PASSWORD:?set it in .env}"), "{line}");
    }
    let database = compose.lines().find(|l| l.contains("CONVITE_DATABASE:"));
    assert!(database.unwrap().contains("//convite@"), "{database:?}");
}
