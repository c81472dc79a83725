//! Checks that the code compiles without warnings for systems on which no tests run. Types are
//! checked and nothing is linked, so the C compilers and libraries of these systems are not needed.

use std::path::Path;
use std::process::Command;

use crate::workspace::{self, cargo};
use crate::{Failure, skipped};

pub(crate) const TARGETS: [&str; 2] = ["x86_64-pc-windows-gnu", "aarch64-apple-darwin"];

/// Runs the check.
///
/// # Errors
/// Fails if the code does not compile for one of the systems.
pub fn check() -> Result<(), Failure> {
    for target in TARGETS {
        let library = standard_library(target);
        if skipped::or_skip(target, library)?.is_none() {
            continue;
        }
        let compiler = workspace::root().join("xtask/src/platforms/cc");
        let of_target = |variable: &str| format!("{variable}_{}", target.replace('-', "_"));
        let args = "clippy --quiet --workspace --bin convite --target";
        let mut command = cargo();
        command
            .args(args.split(' '))
            .args([target, "--", "-D", "warnings"])
            .env(of_target("CC"), &compiler)
            .env(of_target("CXX"), &compiler)
            .env(of_target("AR"), "ar")
            // Build scripts need it if there is no Xcode.
            .env("SDKROOT", "/");
        workspace::run(&mut command)?;
    }
    Ok(())
}

/// Installs the standard library of a target if it is missing.
fn standard_library(target: &str) -> Result<(), Failure> {
    let mut ask = Command::new("rustc");
    ask.args(["--print", "target-libdir", "--target", target])
        .current_dir(workspace::root());
    let folder = workspace::output(&mut ask)?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    skipped::consent().require(&format!("rustup target add {target}"))?;
    let mut add = Command::new("rustup");
    add.args(["target", "add", target]);
    workspace::output(add.current_dir(workspace::root())).map(drop)
}
