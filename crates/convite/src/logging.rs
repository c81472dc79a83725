//! Log lines: to stderr, so that results on stdout stay clean; to the menu while that has the
//! terminal. And spans for a collector, if there is one: [`crate::traces`].

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use convite_net::trace;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::cli::{Cli, Command, LogFormat};
use crate::output::colour;
use crate::traces::{self, ENDPOINT, Traces};

/// Lines that are held for the menu at once; older ones are dropped.
const HELD_MAX: usize = 1_000;

static HOLDING: AtomicBool = AtomicBool::new(false);
static HELD: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

/// Where a log line goes.
struct Lines;

impl Write for Lines {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if !HOLDING.load(Ordering::Acquire) {
            return io::stderr().write(text);
        }
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = String::from_utf8_lossy(text);
        held.extend(lines.lines().map(str::to_owned));
        while held.len() > HELD_MAX {
            held.pop_front();
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Lines are held back until this goes; what is left then goes to stderr.
pub struct Hold;

/// Holds lines back for the menu.
pub fn hold() -> Hold {
    HOLDING.store(true, Ordering::Release);
    Hold
}

/// Takes the lines that were held back.
pub fn held() -> Vec<String> {
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    held.drain(..).collect()
}

impl Drop for Hold {
    fn drop(&mut self) {
        HOLDING.store(false, Ordering::Release);
        for line in held() {
            let _ = writeln!(io::stderr(), "{line}");
        }
    }
}

/// Starts logging as the command line and `$RUST_LOG` say; what sends traces is to be ended. Wants to
/// be called within a runtime.
pub fn start(cli: &Cli) -> Option<Traces> {
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
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    if let Ok(no_spans) = format!("{}=off", trace::TARGET).parse::<Directive>() {
        filter = filter.add_directive(no_spans);
    }
    let lines: traces::Boxed = match cli.common.log_format {
        LogFormat::Json => Box::new(
            fmt::layer()
                .json()
                .with_writer(|| Lines)
                .with_filter(filter),
        ),
        LogFormat::Text => {
            let coloured =
                colour::allowed(io::stderr().is_terminal()) && !crate::menu::is_wanted(cli);
            let lines = fmt::layer().with_ansi(coloured).with_target(false);
            Box::new(lines.with_writer(|| Lines).with_filter(filter))
        }
    };
    let traced = traces::start(&cli.command);
    let is_refused = traced.is_err();
    let (sending, spans) = traced.ok().flatten().unzip();
    let layers: Vec<traces::Boxed> = std::iter::once(lines).chain(spans).collect();
    tracing_subscriber::registry().with(layers).init();
    if is_refused {
        // Not what is wrong: it repeats the address, and that may have a password in it.
        tracing::warn!(
            "no traces are sent: ${ENDPOINT} is no address of the form http://HOST:PORT"
        );
    }
    sending
}
