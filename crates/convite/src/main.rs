//! `convite`: private file sharing for a group, in one binary.
//!
//! This crate is the command line; the other crates do the work. Its parts, from the bottom up:
//!
//! - `cli` defines the arguments, and `config` reads their defaults from convite.toml;
//! - `output` and `exit` define what a command prints and its exit code;
//! - `context` opens the home, `session` logs in and starts its peer, `control` talks to a peer that
//!   is already running;
//! - `commands` has one module per command, and `menu` is the terminal menu;
//! - `main` parses the arguments, starts logging and the runtime, and runs the command.
//!
//! Files import only from parts above them in this list.

mod cli;
mod clock_warning;
mod commands;
mod config;
mod context;
mod control;
mod exit;
mod identity;
mod logging;
mod menu;
mod outcomes;
mod output;
mod password;
mod reload;
mod session;
mod signals;
mod traces;
mod units;
mod usage;

use std::process::ExitCode;

use clap::FromArgMatches;

use crate::cli::Cli;
use crate::output::Output;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let matches = match config::parse(std::env::args_os()) {
        Ok(matches) => matches,
        Err(config::ParseError::Usage(error)) => {
            return usage::report(&error);
        }
        Err(config::ParseError::File(problem)) => {
            Output::new(usage::wants_json(), false).error(&problem);
            return exit::to_exit_code(exit::USAGE);
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return usage::report(&error),
    };
    convite_net::install_crypto();
    let output = Output::new(cli.common.json, cli.common.quiet);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failed = convite_core::Problem::new(
                convite_core::ErrorCode::Internal,
                format!("cannot start: {error}"),
            );
            output.error(&failed);
            return exit::to_exit_code(exit::FAILED);
        }
    };
    let has_menu = menu::is_requested(&cli);
    let log_destination = if has_menu {
        logging::Destination::Menu
    } else {
        logging::Destination::Stderr
    };
    let traces = runtime.block_on(async {
        signals::handle_file_size_limit();
        logging::start(&cli, log_destination)
    });
    let ended = runtime.block_on(commands::run(cli, has_menu, &output));
    if let Some(traces) = traces {
        traces.shutdown();
    }
    // A blocked thread (a prompt, a disk) must not keep the process alive.
    runtime.shutdown_background();
    let code = match ended {
        Ok(()) => exit::DONE,
        Err(failed) => {
            if let exit::CommandError::Problem(problem) | exit::CommandError::Usage(problem) =
                &failed
            {
                output.error(problem);
            }
            failed.exit_code()
        }
    };
    exit::to_exit_code(output.final_exit_code(code))
}
