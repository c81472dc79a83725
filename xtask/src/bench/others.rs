//! Other systems, measured in the same run. If one is missing, a benchmark continues without it.

pub mod aria2;
pub mod libtorrent;
pub mod nc;
pub mod nginx;
pub mod programs;
pub mod torrent;

use std::process::Command;

use crate::workspace;
use programs::program;

/// Installs missing programs with apt-get. Failures are reported on stderr.
pub fn install() {
    let there = |name: &str| program(name).is_ok();
    let packages = [
        ("nginx-light", there("nginx")),
        ("openssl", there("openssl")),
        ("curl", there("curl")),
        ("aria2", there("aria2c")),
        ("opentracker", there("opentracker")),
        ("wrk", there("wrk")),
        ("netcat-openbsd", there("nc")),
        ("python3-libtorrent", libtorrent::python().is_ok()),
    ];
    // Separately, so that an unknown package does not prevent the others.
    for (package, _) in packages.iter().filter(|(_, there)| !there) {
        let mut command = Command::new("apt-get");
        command.args(["install", "-y", "--no-install-recommends", package]);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        if let Err(failure) = workspace::output(&mut command) {
            eprintln!("{package} cannot be installed: {failure}");
        }
    }
}
