//! The workspace's folders and source files, and functions that run other programs in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;

/// Returns the folder of the workspace's Cargo.toml.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
        .to_path_buf()
}

/// Returns cargo's target folder.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Returns a command for the cargo that started this program, in the workspace's folder.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command to its end, with the output on the terminal.
///
/// # Errors
/// Fails if the command cannot be started, or fails.
pub fn run(command: &mut Command) -> Result<(), Failure> {
    let shown = shown(command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` failed: {status}")),
        Err(error) => Err(format!("`{shown}` cannot be started: {error}")),
    }
}

/// Runs a command to its end and returns its stdout.
///
/// # Errors
/// Fails if the command cannot be started, or fails; the error has its stderr.
pub fn output(command: &mut Command) -> Result<String, Failure> {
    let shown = shown(command);
    let output = command
        .output()
        .map_err(|error| format!("`{shown}` cannot be started: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("`{shown}` failed: {}\n{said}", output.status))
    }
}

fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A Rust source file.
pub struct Source {
    /// The path relative to the workspace's root, separated by `/`, like `crates/core/src/lib.rs`.
    pub path: String,
    /// The contents.
    pub text: String,
}

/// Returns every `.rs` file of the crates, of xtask and of xtest, sorted by path.
///
/// # Errors
/// Fails if a folder or file cannot be read.
pub fn sources() -> Result<Vec<Source>, Failure> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = ["crates", "xtask", "xtest"]
        .map(|name| root.join(name))
        .to_vec();
    while let Some(folder) = folders.pop() {
        let unreadable = |error| format!("{} cannot be read: {error}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
                let inside = path.strip_prefix(&root).unwrap_or(&path);
                found.push(Source {
                    path: inside.to_string_lossy().replace('\\', "/"),
                    text,
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
