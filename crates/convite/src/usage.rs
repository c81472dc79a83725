//! Reporting of usage errors, as text or as JSON.

use std::process::ExitCode;

use clap::error::ErrorKind;
use convite_core::Problem;

use crate::exit;
use crate::output::{Output, print_usage};

/// Returns whether `--json` is among the arguments of a command line that could not be parsed.
pub fn wants_json() -> bool {
    let typed = std::env::args_os().skip(1);
    typed
        .take_while(|arg| arg != "--")
        .any(|arg| arg == "--json")
}

/// Prints the requested help or the usage error. Returns the exit code.
pub fn report(error: &clap::Error) -> ExitCode {
    let is_help = error.exit_code() != exit::USAGE;
    if is_help || !wants_json() {
        return exit::to_exit_code(print_usage(error));
    }
    let output = Output::new(true, false);
    output.error(&problem(error));
    exit::to_exit_code(output.final_exit_code(error.exit_code()))
}

/// Converts clap's message to one line, with its tip or the usage as the hint.
fn problem(error: &clap::Error) -> Problem {
    let said = error.to_string();
    let mut parts = said.split("\n\n");
    let in_a_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let what = match error.kind() {
        // The message is only the help text.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "a command is missing".to_owned(),
        _ => {
            let what = in_a_line(parts.next().unwrap_or_default());
            what.trim_start_matches("error: ").to_owned()
        }
    };
    let advice = parts.map(in_a_line).find_map(|part| {
        let tip = part.strip_prefix("tip: ").map(str::to_owned);
        tip.or_else(|| part.strip_prefix("Usage: ").map(|u| format!("usage: {u}")))
    });
    let problem = Problem::invalid(what);
    match advice {
        Some(advice) => problem.hint(advice),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_usage_error_is_one_line_and_a_hint() {
        let said = |args: &[&str]| {
            let refused = Cli::command().try_get_matches_from(args).unwrap_err();
            problem(&refused)
        };
        let missing = said(&["convite", "get"]);
        assert_eq!(
            missing.message,
            "the following required arguments were not provided: <NAME|HASH>..."
        );
        assert!(missing.hint.unwrap().starts_with("usage: convite get"));
        let nothing = said(&["convite"]);
        assert_eq!(nothing.message, "a command is missing");
        assert!(nothing.hint.unwrap().starts_with("usage: convite"));
        let unknown = said(&["convite", "peers", "--jsom"]);
        assert_eq!(unknown.message, "unexpected argument '--jsom' found");
        assert!(unknown.hint.unwrap().contains("--json"));
    }
}
