//! `convite`: private file sharing for a group, all of it in one binary.
//!
//! This crate is the command line: what is typed (`cli`, `config`), what it does (`commands`), and
//! what is shown (`output`). Everything else is in the rooms below it.

mod cli;
mod commands;
mod config;
mod context;
mod control;
mod exit;
mod identity;
mod logging;
mod menu;
mod output;
mod password;
mod stop;
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
        Err(config::Refused::Usage(error)) => {
            return usage::refuse(&error);
        }
        Err(config::Refused::File(problem)) => {
            Output::new(usage::wants_json(), false).error(&problem);
            return exit::code(exit::USAGE);
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return usage::refuse(&error),
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
            return exit::code(exit::FAILED);
        }
    };
    let traces = runtime.block_on(async { logging::start(&cli) });
    let ended = runtime.block_on(commands::run(cli, &output));
    if let Some(traces) = traces {
        traces.end();
    }
    // What still blocks (a prompt, a disk) must not keep the process.
    runtime.shutdown_background();
    match ended {
        Ok(()) => exit::code(exit::DONE),
        Err(failed) => {
            if let exit::Failed::Problem(problem) | exit::Failed::Usage(problem) = &failed {
                output.error(problem);
            }
            exit::code(failed.exit_code())
        }
    }
}
