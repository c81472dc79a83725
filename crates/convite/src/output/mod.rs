//! Output: results on stdout and everything else on stderr; with `--json`, one object per line on
//! stdout and nothing else there.
//!
//! Text from another peer is escaped before it is printed to a terminal; JSON contains it unchanged.
//! All output of the program goes through this module.
//!
//! If results cannot be written, the command fails ([`Output::final_exit_code`]); notes and errors that cannot
//! be written are ignored. Nothing here panics, unlike `println!` and `eprintln!`.

#![allow(clippy::disallowed_methods, reason = "this is the output")]

pub mod colour;
pub mod location;
pub mod progress;
pub mod remote_fetches;
pub mod table;

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;

use convite_core::{ErrorCode, Problem, display};
use serde_json::{Value, json};

pub use colour::Style;

use crate::exit;

/// The output of a command.
pub struct Output {
    json: bool,
    quiet: bool,
    can_draw: bool,
    stdout_is_terminal: bool,
    coloured_stdout: bool,
    coloured_stderr: bool,
    /// The error of the first result that could not be written; later results are dropped.
    write_error: OnceLock<io::Error>,
}

impl Output {
    /// Creates an output with the flags of the command line and the properties of the terminal.
    pub fn new(json: bool, quiet: bool) -> Self {
        Self {
            json,
            quiet,
            can_draw: colour::can_move_cursor(std::io::stderr().is_terminal()),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            coloured_stdout: !json && colour::is_enabled(std::io::stdout().is_terminal()),
            coloured_stderr: colour::is_enabled(std::io::stderr().is_terminal()),
            write_error: OnceLock::new(),
        }
    }

    /// Returns whether results are JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Returns whether results are text on a terminal.
    pub fn is_interactive(&self) -> bool {
        self.stdout_is_terminal && !self.json
    }

    /// Returns whether progress bars can be drawn.
    pub fn can_draw(&self) -> bool {
        self.can_draw && !self.json && !self.quiet
    }

    /// Returns `text` for stdout, coloured if colours are enabled.
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.coloured_stdout {
            style.paint(text)
        } else {
            text.to_owned()
        }
    }

    /// Returns whether results may contain control sequences.
    pub fn is_coloured(&self) -> bool {
        self.coloured_stdout
    }

    /// Prints a result: the object with `--json`, else the line.
    pub fn result(&self, line: &str, object: impl FnOnce() -> Value) {
        if self.json {
            self.json_event(&object());
        } else {
            self.line(line);
        }
    }

    /// Prints an object with `--json`; prints nothing otherwise.
    pub fn json_event(&self, object: &Value) {
        if self.json {
            self.line(&object.to_string());
        }
    }

    /// Prints a line on stdout and flushes it.
    pub fn line(&self, line: &str) {
        self.write(&[line, "\n"]);
    }

    /// Writes text to stdout and flushes it.
    fn write(&self, parts: &[&str]) {
        if self.has_failed() {
            return;
        }
        let mut stdout = io::stdout().lock();
        let written = parts
            .iter()
            .try_for_each(|part| stdout.write_all(part.as_bytes()))
            .and_then(|()| stdout.flush());
        if let Err(error) = written {
            let _ = self.write_error.set(error);
        }
    }

    /// Returns whether results can no longer be written; a listing can then stop early.
    pub fn has_failed(&self) -> bool {
        self.write_error.get().is_some()
    }

    /// Returns the exit code of a command that would end with `code`: a failure if results could not be
    /// written. If the reader closed the output, no message is printed, as usual for Unix programs.
    pub fn final_exit_code(&self, code: i32) -> i32 {
        match self.write_error.get() {
            None => code,
            Some(error) if error.kind() == ErrorKind::BrokenPipe => match code {
                exit::DONE => exit::OUTPUT_CLOSED,
                code => code,
            },
            Some(error) => {
                self.print_problem(
                    None,
                    &Problem::new(
                        ErrorCode::Internal,
                        format!("cannot write the output: {error}"),
                    ),
                );
                match code {
                    exit::DONE => exit::FAILED,
                    code => code,
                }
            }
        }
    }

    /// Prints a note for people on stderr.
    pub fn note(&self, line: &str) {
        if !self.quiet && !self.json {
            write_stderr(&format!("{line}\n"));
        }
    }

    /// Returns whether a question can be shown: stderr is a terminal.
    pub fn can_ask(&self) -> bool {
        !self.json && !self.quiet && io::stderr().is_terminal()
    }

    /// Asks a yes-or-no question on stderr and reads the answer from stdin; the default is no.
    pub fn confirm(&self, question: &str) -> bool {
        write_stderr(question);
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer);
        let answer = answer.trim().to_lowercase();
        read.is_ok() && matches!(&*answer, "y" | "yes")
    }

    /// Prints a prompt on stderr.
    pub fn prompt(&self, prompt: &str) {
        write_stderr(prompt);
    }

    /// Prints a problem with its hint.
    pub fn error(&self, problem: &Problem) {
        self.error_of(None, problem);
    }

    /// Prints a problem with one of several arguments, `subject`.
    pub fn error_of(&self, subject: Option<&str>, problem: &Problem) {
        if self.json {
            let mut object = json!({
                "event": "error",
                "code": problem.code.name(),
                "message": problem.message,
                "hint": problem.hint,
            });
            if let Some(subject) = subject {
                object["name"] = Value::from(subject);
            }
            self.line(&object.to_string());
        }
        self.print_problem(subject, problem);
    }

    fn print_problem(&self, subject: Option<&str>, problem: &Problem) {
        let label = |style: Style, text: &str| {
            if self.coloured_stderr {
                style.paint(text)
            } else {
                text.to_owned()
            }
        };
        let error = label(Style::Error, "error:");
        let message = &problem.message;
        let subject = subject.filter(|subject| !message.contains(subject));
        let said = match subject {
            Some(subject) => format!("{}: {}", display::escape(subject), display::escape(message)),
            None => display::escape(message).into_owned(),
        };
        let mut text = format!("{error} {said}\n");
        if let Some(hint) = &problem.hint {
            let advice = label(Style::Hint, "hint:");
            text.push_str(&format!("{advice} {}\n", display::escape(hint)));
        }
        write_stderr(&text);
    }
}

/// Writes to stderr; failures are ignored.
pub fn write_stderr(text: &str) {
    write_stderr_bytes(text.as_bytes());
}

/// Writes bytes to stderr; failures are ignored.
pub fn write_stderr_bytes(text: &[u8]) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text).and_then(|()| stderr.flush());
}

/// Returns whether stdout is a terminal.
pub fn is_stdout_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Returns whether stderr is a terminal.
pub fn is_stderr_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Prints clap's message: help on stdout, a usage error on stderr. Returns the exit code.
pub fn print_usage(error: &clap::Error) -> i32 {
    let printed = error.print().and_then(|()| io::stdout().flush());
    match printed {
        Err(_) if error.use_stderr() => error.exit_code(),
        Err(failed) if failed.kind() == ErrorKind::BrokenPipe => exit::OUTPUT_CLOSED,
        Err(failed) => {
            write_stderr(&format!("error: cannot write the output: {failed}\n"));
            exit::FAILED
        }
        Ok(()) => error.exit_code(),
    }
}
