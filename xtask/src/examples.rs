//! Runs the examples of docs/api.md unchanged, against a directory and a peer that shares one file.

use std::path::Path;
use std::process::Command;

use crate::convite_process::{self, ConviteProcess, PASSWORD};
use crate::workspace::{self, cargo};
use crate::{Failure, install, skipped};

const PAGE: &str = "docs/api.md";
/// The file that the examples search for.
const FILE: &str = "night concert.flac";

/// Runs the check.
///
/// # Errors
/// Fails if convite cannot be built or started, or if an example fails or downloads wrong bytes.
pub fn check() -> Result<(), Failure> {
    let page = std::fs::read_to_string(workspace::root().join(PAGE))
        .map_err(|error| format!("{PAGE} cannot be read: {error}"))?;
    workspace::run(cargo().args(["build", "--quiet", "--workspace", "--bin", "convite"]))?;
    let folder = convite_process::empty_folder("examples-run")?;
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let share = folder.join("music");
    let contents: Vec<u8> = (0..300_001_u32).map(|at| (at % 253) as u8).collect();
    std::fs::create_dir(&share).map_err(failed)?;
    std::fs::write(share.join(FILE), &contents).map_err(failed)?;
    let up = [
        "up",
        "music",
        "--user",
        "ana",
        "--port",
        "0",
        "--listen",
        "127.0.0.1:0",
        "--allow-uploads",
    ];
    let served = ConviteProcess::start(&folder, &up)?;
    let directory = served.ready("directory")?.to_string();
    served.ready("peer")?;
    let environment = |command: &mut Command| {
        command
            .current_dir(&folder)
            .env("DIRECTORY", &directory)
            .env("CA", served.home.join("directory").join("ca.pem"))
            .env("NAME", "ana")
            .env("PASSWORD", PASSWORD)
            .env("PROTO", workspace::root().join("crates/wire/proto"));
    };
    let shell = |language: &str, heading: &str| {
        let mut command = Command::new(language);
        command.args(match language {
            "bash" => ["-euo", "pipefail", "-c"].as_slice(),
            _ => ["-c"].as_slice(),
        });
        let tag = if language == "bash" { "sh" } else { "python" };
        command.arg(blocks(&page, heading, tag).join("\n"));
        environment(&mut command);
        command
    };
    let fetched = |name: &str| match std::fs::read(folder.join(name)) {
        Ok(got) if got == contents => Ok(()),
        Ok(_) => Err(format!("{PAGE}: '{name}' differs from the shared file")),
        Err(error) => Err(format!("{PAGE}: '{name}': {error}")),
    };

    let curl = install::programs(&["bash", "curl", "jq"], skipped::consent());
    if skipped::or_skip("the examples for curl", curl)?.is_some() {
        run_example("curl", &mut shell("bash", "curl"))?;
        fetched("got")?;
    }
    let python = convite_process::python("examples-python", &xtest::GRPCIO, has_grpcio)?;
    if let Some(programs) = python {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", programs.display());
        run_example("Python", shell("bash", "Python").env("PATH", &path))?;
        let mut client = shell("python3", "Python");
        run_example(
            "Python",
            client.env("PATH", &path).env("PYTHONPATH", &folder),
        )?;
        fetched("got-by-python")?;
    }
    // No package registry that CI can reach has grpcurl.
    if install::is_runnable("grpcurl", &["--version"]) {
        run_example("grpcurl", &mut shell("bash", "grpcurl"))?
    } else {
        skipped::skip("the examples for grpcurl", "grpcurl is not installed")
    }
    Ok(())
}

fn has_grpcio(programs: &Path) -> bool {
    let import = Command::new(programs.join("python3"))
        .args(["-c", "import grpc, grpc_tools.protoc"])
        .output();
    import.is_ok_and(|output| output.status.success())
}

/// Runs an example, and shows its output only if it fails.
fn run_example(which: &str, command: &mut Command) -> Result<(), Failure> {
    let output = command
        .output()
        .map_err(|error| format!("the examples for {which} cannot be started: {error}"))?;
    if output.status.success() {
        println!("   {which}: ok");
        return Ok(());
    }
    Err(format!(
        "{PAGE}: the examples for {which} failed: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}

/// Returns the code blocks with the tag `tag` in the section with a heading that starts with
/// `heading`.
fn blocks<'a>(page: &'a str, heading: &str, tag: &str) -> Vec<&'a str> {
    let section = page
        .split("\n## ")
        .find(|section| section.starts_with(heading))
        .unwrap_or_default();
    let fence = format!("\n```{tag}\n");
    section
        .split(&fence)
        .skip(1)
        .filter_map(|rest| rest.split_once("\n```").map(|(code, _)| code))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_examples_for_each_tool() {
        let page = std::fs::read_to_string(workspace::root().join(PAGE)).unwrap();
        assert!(blocks(&page, "curl", "sh").len() >= 5);
        assert_eq!(blocks(&page, "Python", "sh").len(), 1);
        assert!(blocks(&page, "Python", "python")[0].contains("import grpc"));
        assert!(blocks(&page, "grpcurl", "sh")[0].contains("list"));
    }
}
