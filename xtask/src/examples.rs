//! The examples of docs/api.md, run as they stand there against a directory and a peer that share
//! one file. Those whose tools are not on this machine are left out, and that is said.

use std::path::Path;
use std::process::Command;

use crate::Failure;
use crate::served::{self, PASSWORD, Served};
use crate::workspace::{self, cargo};

const PAGE: &str = "docs/api.md";
/// The file that the examples look for.
const FILE: &str = "night concert.flac";
const GRPCIO: [&str; 2] = ["grpcio==1.76.0", "grpcio-tools==1.76.0"];

/// The step of the gate.
///
/// # Errors
/// If convite cannot be built or started, or an example fails, or fetches other bytes.
pub fn check() -> Result<(), Failure> {
    let page = std::fs::read_to_string(workspace::root().join(PAGE))
        .map_err(|error| format!("{PAGE} cannot be read: {error}"))?;
    workspace::run(cargo().args(["build", "--quiet", "--package", "convite"]))?;
    let folder = served::empty_folder("examples-run")?;
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
    let served = Served::start(&folder, &up)?;
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
        Ok(_) => Err(format!("{PAGE}: '{name}' is not what was shared")),
        Err(error) => Err(format!("{PAGE}: '{name}': {error}")),
    };

    if have(&["bash", "curl", "jq"]) {
        quietly("curl", &mut shell("bash", "curl"))?;
        fetched("got")?;
    } else {
        skipped("curl", "bash, curl and jq");
    }
    match served::python("examples-python", &GRPCIO, has_grpcio) {
        None => skipped("Python", "python3 with venv and pip, and a package index,"),
        Some(programs) => {
            let path = std::env::var("PATH").unwrap_or_default();
            let path = format!("{}:{path}", programs.display());
            quietly("Python", shell("bash", "Python").env("PATH", &path))?;
            let mut client = shell("python3", "Python");
            quietly(
                "Python",
                client.env("PATH", &path).env("PYTHONPATH", &folder),
            )?;
            fetched("got-by-python")?;
        }
    }
    if have(&["bash", "jq", "grpcurl"]) {
        quietly("grpcurl", &mut shell("bash", "grpcurl"))?;
    } else {
        skipped("grpcurl", "bash, jq and grpcurl");
    }
    Ok(())
}

fn skipped(which: &str, what: &str) {
    println!("*** SKIPPED: the examples for {which}: {what} would run them");
}

fn have(programs: &[&str]) -> bool {
    programs.iter().all(|program| {
        let version = Command::new(program).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    })
}

fn has_grpcio(programs: &Path) -> bool {
    let import = Command::new(programs.join("python3"))
        .args(["-c", "import grpc, grpc_tools.protoc"])
        .output();
    import.is_ok_and(|output| output.status.success())
}

/// Runs an example; what it printed is shown only if it fails.
fn quietly(which: &str, command: &mut Command) -> Result<(), Failure> {
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

/// The blocks of code tagged `tag` in the section whose heading begins with `heading`.
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
