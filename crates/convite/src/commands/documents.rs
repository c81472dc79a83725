//! `convite completions` and `convite man`: what shells and `man` want to know, from the same
//! description of the commands that parses them.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command as Process, Stdio};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use convite_core::{ErrorCode, Problem};

use crate::cli::Cli;
use crate::exit::{self, Failed};
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
        let page = page(command()).map_err(|error| refused("the manual page", &error))?;
        if output.is_for_a_person() && read(&page) {
            return Ok(());
        }
        output.line(String::from_utf8_lossy(&page).trim_end());
        if output.is_for_a_person() {
            output.note("`convite man DIR` writes the pages of all commands, for `man -M`");
        }
        return Ok(());
    };
    let mut all = command();
    all.build();
    let written = std::fs::create_dir_all(folder).and_then(|()| write(all, folder));
    written.map_err(|error| refused(&folder.display().to_string(), &error))?;
    output.line(&format!("manual pages are in {}", folder.display()));
    Ok(())
}

/// Shows a page as `man` does; whether that could be.
fn read(page: &[u8]) -> bool {
    let man = Process::new("man")
        .args(["-l", "-"])
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut man) = man else {
        return false;
    };
    // Whoever leaves before the end has read enough.
    let _ = man.stdin.take().map(|mut input| input.write_all(page));
    man.wait().is_ok_and(|ended| ended.success())
}

/// The pages of a command and of all below it.
fn write(command: Command, folder: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        write(below.clone(), folder)?;
    }
    let name = Man::new(command.clone()).get_filename();
    std::fs::write(folder.join(name), page(command)?)
}

/// A page, with the exit codes at its end.
fn page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    page.extend_from_slice(b".SH \"EXIT STATUS\"\n");
    for (code, meaning) in exit::MEANINGS {
        page.extend_from_slice(format!(".TP\n\\fB{code}\\fR\n{meaning}\n").as_bytes());
    }
    Ok(page)
}

fn command() -> Command {
    Cli::command().disable_help_subcommand(true)
}

fn refused(what: &str, error: &std::io::Error) -> Problem {
    Problem::new(ErrorCode::Internal, format!("cannot write {what}: {error}"))
}
