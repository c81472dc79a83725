//! `convite completions` and `convite man`: what shells and `man` want to know, from the same
//! description of the commands that parses them.

use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use convite_core::{ErrorCode, Problem};

use crate::cli::Cli;
use crate::exit::Failed;
use crate::output::Output;

/// The program as it is called.
const NAME: &str = "convite";

/// Prints what a shell reads to complete commands and flags.
pub fn completions(shell: Shell, output: &Output) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), NAME, &mut script);
    output.line(String::from_utf8_lossy(&script).trim_end());
}

/// Prints the manual page of the program, or writes those of all commands into a folder, which is
/// made.
///
/// # Errors
/// `internal` if a file cannot be written.
pub fn man(folder: Option<&Path>, output: &Output) -> Result<(), Failed> {
    let Some(folder) = folder else {
        let mut page = Vec::new();
        let made = clap_mangen::Man::new(command()).render(&mut page);
        made.map_err(|error| refused("the manual page", &error))?;
        output.line(String::from_utf8_lossy(&page).trim_end());
        return Ok(());
    };
    let written =
        std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command(), folder));
    written.map_err(|error| refused(&folder.display().to_string(), &error))?;
    output.line(&format!("manual pages are in {}", folder.display()));
    Ok(())
}

fn command() -> Command {
    Cli::command().disable_help_subcommand(true)
}

fn refused(what: &str, error: &std::io::Error) -> Problem {
    Problem::new(ErrorCode::Internal, format!("cannot write {what}: {error}"))
}
