//! Log lines on stderr, or in the menu while the menu uses the terminal; spans for a collector are set
//! up here too ([`crate::traces`]).

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use convite_net::trace;
use parking_lot::Mutex;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::cli::{Cli, Command, LogFormat};
use crate::output::{self, colour};
use crate::traces::{self, ENDPOINT_VARIABLE, Traces};

/// The maximum number of lines held for the menu; older ones are dropped.
const HELD_LINES_MAX: usize = 1_000;

static HOLDING: AtomicBool = AtomicBool::new(false);
static HELD: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// The writer of log lines.
struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if !HOLDING.load(Ordering::Acquire) {
            // A line that cannot be written is lost; logging must not stop the program.
            output::write_stderr_bytes(text);
            return Ok(text.len());
        }
        let mut held = HELD.lock();
        let lines = String::from_utf8_lossy(text);
        held.extend(lines.lines().map(str::to_owned));
        while held.len() > HELD_LINES_MAX {
            held.pop_front();
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Holds log lines until it is dropped; the remaining lines are then written to stderr.
pub struct LogHold;

/// Starts holding log lines for the menu.
pub fn hold() -> LogHold {
    HOLDING.store(true, Ordering::Release);
    LogHold
}

/// Takes the held lines.
pub fn take_held() -> Vec<String> {
    let mut held = HELD.lock();
    held.drain(..).collect()
}

impl Drop for LogHold {
    fn drop(&mut self) {
        HOLDING.store(false, Ordering::Release);
        for line in take_held() {
            output::write_stderr(&format!("{line}\n"));
        }
    }
}

/// Where log lines are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    Stderr,
    /// The activity screen of the menu, which shows no colours.
    Menu,
}

/// Starts logging with the level of the command line or `$RUST_LOG`. Returns the exporter of traces, if
/// there is one; the caller ends it. Must be called within a Tokio runtime.
pub fn start(cli: &Cli, destination: Destination) -> Option<Traces> {
    // `up` prints for a person, who does not need info lines.
    let runs_on = matches!(cli.command, Command::Directory(_) | Command::Peer(_));
    let level = match (cli.common.quiet, cli.common.verbose, runs_on) {
        (true, ..) => "error",
        (_, 0, true) => "convite=info,warn",
        (_, 0, false) => "convite=warn,error",
        (_, 1, _) => "convite=debug,info",
        _ => "trace",
    };
    // A filter matches by prefix: `convite` includes `convite_peer` and the other crates.
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    if let Ok(no_spans) = format!("{}=off", trace::TARGET).parse::<Directive>() {
        filter = filter.add_directive(no_spans);
    }
    let lines: traces::BoxedLayer = match cli.common.log_format {
        LogFormat::Json => Box::new(
            fmt::layer()
                .json()
                .with_writer(|| LogWriter)
                .with_filter(filter),
        ),
        LogFormat::Text => {
            let coloured = destination == Destination::Stderr
                && colour::is_enabled(output::is_stderr_terminal());
            let lines = fmt::layer().with_ansi(coloured).with_target(false);
            Box::new(lines.with_writer(|| LogWriter).with_filter(filter))
        }
    };
    let traced = traces::start(&cli.command);
    let is_refused = traced.is_err();
    let (sending, spans) = traced.ok().flatten().unzip();
    let layers: Vec<traces::BoxedLayer> = std::iter::once(lines).chain(spans).collect();
    tracing_subscriber::registry().with(layers).init();
    if is_refused {
        // Without the cause, which repeats the address: the address may contain a password.
        tracing::warn!(
            "traces are not sent: ${ENDPOINT_VARIABLE} is not an address of the form http://HOST:PORT"
        );
    }
    sending
}
