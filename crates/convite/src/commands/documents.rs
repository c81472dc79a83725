//! `convite completions` and `convite man`, generated from the definition of the command line.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command as Process, Stdio};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use convite_core::{ErrorCode, Problem};

use crate::cli::Cli;
use crate::exit::{self, CommandError};
use crate::output::Output;

/// The name of the program.
const PROGRAM: &str = "convite";

/// Prints the completion script for a shell.
pub fn completions(shell: Shell, output: &Output) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), PROGRAM, &mut script);
    output.line(String::from_utf8_lossy(&script).trim_end());
}

/// Shows the manual page of the program, or writes the pages of all commands to `folder`, which is
/// created if it does not exist.
///
/// # Errors
/// Returns `internal` if a file cannot be written.
pub fn man(folder: Option<&Path>, output: &Output) -> Result<(), CommandError> {
    let Some(folder) = folder else {
        let page =
            render_page(command()).map_err(|error| write_error("the manual page", &error))?;
        if output.is_interactive() && show_page(&page) {
            return Ok(());
        }
        output.line(String::from_utf8_lossy(&page).trim_end());
        if output.is_interactive() {
            output.note(
                "`convite man DIR` writes the pages of all commands; read them with `man -M`",
            );
        }
        return Ok(());
    };
    let mut all = command();
    all.build();
    let written = std::fs::create_dir_all(folder).and_then(|()| write_pages(all, folder));
    written.map_err(|error| write_error(&folder.display().to_string(), &error))?;
    output.line(&format!("manual pages written to {}", folder.display()));
    Ok(())
}

/// Shows a page with `man`. Returns whether that succeeded.
fn show_page(page: &[u8]) -> bool {
    let man = Process::new("man")
        .args(["-l", "-"])
        .stdin(Stdio::piped())
        .spawn();
    let Ok(mut man) = man else {
        return false;
    };
    // Fails if the reader quits before the end of the page.
    let _ = man.stdin.take().map(|mut input| input.write_all(page));
    man.wait().is_ok_and(|ended| ended.success())
}

/// Writes the pages of a command and its subcommands.
fn write_pages(command: Command, folder: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        write_pages(below.clone(), folder)?;
    }
    let name = Man::new(command.clone()).get_filename();
    std::fs::write(folder.join(name), render_page(command)?)
}

/// Returns the page of a command, with the exit codes at the end.
fn render_page(command: Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    page.extend_from_slice(b".SH \"EXIT STATUS\"\n");
    for (code, meaning) in exit::ALL {
        page.extend_from_slice(format!(".TP\n\\fB{code}\\fR\n{meaning}\n").as_bytes());
    }
    Ok(page)
}

fn command() -> Command {
    Cli::command().disable_help_subcommand(true)
}

fn write_error(what: &str, error: &std::io::Error) -> Problem {
    Problem::new(ErrorCode::Internal, format!("cannot write {what}: {error}"))
}
