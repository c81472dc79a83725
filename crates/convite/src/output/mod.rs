//! What is shown: results on stdout, everything else on stderr; or, with `--json`, one object a
//! line on stdout and nothing else there.
//!
//! Text that came from another peer is escaped before it gets to a terminal; JSON carries it as it
//! is. The one place where anything is printed.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the output"
)]

pub mod colour;
pub mod loads;
pub mod place;
pub mod progress;
mod table;

use std::borrow::Cow;
use std::io::{IsTerminal, Write};

use convite_core::{Problem, display};
use serde_json::{Value, json};

pub use colour::Tone;
pub use table::Table;

/// How to show things.
pub struct Output {
    json: bool,
    quiet: bool,
    can_draw: bool,
    stdout_is_terminal: bool,
    coloured_stdout: bool,
    coloured_stderr: bool,
}

impl Output {
    /// As the command line and the terminal have it.
    pub fn new(json: bool, quiet: bool) -> Self {
        Self {
            json,
            quiet,
            can_draw: colour::can_move(std::io::stderr().is_terminal()),
            stdout_is_terminal: std::io::stdout().is_terminal(),
            coloured_stdout: !json && colour::allowed(std::io::stdout().is_terminal()),
            coloured_stderr: colour::allowed(std::io::stderr().is_terminal()),
        }
    }

    /// Whether results are JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person sees the results as they come.
    pub fn is_for_a_person(&self) -> bool {
        self.stdout_is_terminal && !self.json
    }

    /// Whether moving progress can be drawn.
    pub fn can_draw(&self) -> bool {
        self.can_draw && !self.json && !self.quiet
    }

    /// Text for stdout, coloured where that is wanted.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        match self.coloured_stdout {
            true => tone.paint(text),
            false => text.to_owned(),
        }
    }

    /// Whether results may have control sequences in them.
    pub fn is_coloured(&self) -> bool {
        self.coloured_stdout
    }

    /// A result: the object with `--json`, else the line, at once.
    pub fn result(&self, line: &str, object: impl FnOnce() -> Value) {
        if self.json {
            self.event(&object());
        } else {
            self.line(line);
        }
    }

    /// An object of the JSON output; nothing without `--json`.
    pub fn event(&self, object: &Value) {
        if self.json {
            self.line(&object.to_string());
        }
    }

    /// A line on stdout, flushed. A reader that went away is no reason to fail.
    pub fn line(&self, line: &str) {
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    }

    /// A remark for people, on stderr.
    pub fn note(&self, line: &str) {
        if !self.quiet && !self.json {
            eprintln!("{line}");
        }
    }

    /// What went wrong and what to do about it.
    pub fn error(&self, problem: &Problem) {
        if self.json {
            self.line(
                &json!({
                    "event": "error",
                    "code": problem.code.name(),
                    "message": problem.message,
                    "hint": problem.hint,
                })
                .to_string(),
            );
        }
        let label = |tone: Tone, text: &str| match self.coloured_stderr {
            true => tone.paint(text),
            false => text.to_owned(),
        };
        let error = label(Tone::Bad, "error:");
        eprintln!("{error} {}", one_line(&problem.message));
        if let Some(hint) = &problem.hint {
            let advice = label(Tone::Advice, "hint:");
            eprintln!("{advice} {}", one_line(hint));
        }
    }
}

/// Text that may be a stranger's, on one line and harmless.
fn one_line(text: &str) -> Cow<'_, str> {
    display::escape(text)
}
