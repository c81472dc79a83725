//! Log lines: to stderr, so that results on stdout stay clean.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, Command, LogFormat};

/// Starts logging as the command line and `$RUST_LOG` say.
pub fn start(cli: &Cli) {
    // `up` speaks to a person, who has no use for what goes well.
    let runs_on = matches!(cli.command, Command::Directory(_) | Command::Peer(_));
    let level = match (cli.common.quiet, cli.common.verbose, runs_on) {
        (true, ..) => "error",
        (_, 0, true) => "convite=info,warn",
        (_, 0, false) => "convite=warn,error",
        (_, 1, _) => "convite=debug,info",
        _ => "trace",
    };
    // A filter matches by prefix: `convite` is also `convite_peer` and the rest.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match cli.common.log_format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text => {
            let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            builder.with_ansi(color).with_target(false).init();
        }
    }
}
