//! Whether the code compiles, without warnings, for the systems that nobody tests on here: types are
//! checked and nothing is linked, so that neither their C compilers nor their libraries are needed.

use std::path::Path;
use std::process::Command;

use crate::Failure;
use crate::workspace::{self, cargo};

const TARGETS: [&str; 2] = ["x86_64-pc-windows-gnu", "aarch64-apple-darwin"];

/// The step of the gate.
///
/// # Errors
/// If the code does not compile for one of them.
pub fn check() -> Result<(), Failure> {
    for target in TARGETS {
        if !is_there(target)? {
            println!(
                "*** SKIPPED: Rust's standard library for {target} is missing; \
                 `rustup target add {target}` brings it"
            );
            continue;
        }
        let compiler = workspace::root().join("xtask/src/platforms/cc");
        let of_target = |variable: &str| format!("{variable}_{}", target.replace('-', "_"));
        let args = "clippy --quiet --package convite --target";
        let mut command = cargo();
        command
            .args(args.split(' '))
            .args([target, "--", "-D", "warnings"])
            .env(of_target("CC"), &compiler)
            .env(of_target("CXX"), &compiler)
            .env(of_target("AR"), "ar")
            // Asked for where there is no Xcode to ask.
            .env("SDKROOT", "/");
        workspace::run(&mut command)?;
    }
    Ok(())
}

/// Whether the standard library of a target is there, or could be brought.
fn is_there(target: &str) -> Result<bool, Failure> {
    let mut ask = Command::new("rustc");
    ask.args(["--print", "target-libdir", "--target", target])
        .current_dir(workspace::root());
    let folder = workspace::output(&mut ask)?;
    let folder = Path::new(folder.trim());
    if folder.is_dir() {
        return Ok(true);
    }
    let added = Command::new("rustup")
        .args(["target", "add", target])
        .current_dir(workspace::root())
        .output();
    Ok(added.is_ok_and(|added| added.status.success()) && folder.is_dir())
}
