//! Signals. SIGINT and SIGTERM request a clean shutdown; a second one ends the process at once.
//!
//! SIGHUP means that the terminal is gone, and requests a clean shutdown too. A directory or a peer
//! without a controlling terminal is a service; for a service, SIGHUP requests a reload of
//! certificates and settings. A process started with SIGHUP ignored (`nohup`) ignores it.

use std::sync::{Arc, OnceLock};

use convite_net::task;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Called before a second signal ends the process.
static BEFORE_EXIT: OnceLock<fn()> = OnceLock::new();

/// Registers the function that is called before a second signal ends the process; the first
/// registration counts.
pub fn before_exit(restore: fn()) {
    let _ = BEFORE_EXIT.set(restore);
}

/// Notification of reload requests.
#[derive(Clone, Default)]
pub struct ReloadSignal(Arc<Notify>);

impl ReloadSignal {
    /// Waits for the next request.
    pub async fn requested(&self) {
        self.0.notified().await;
    }
}

/// Returns a token that SIGINT, SIGTERM or SIGHUP cancels.
pub fn cancel_on_signal() -> CancellationToken {
    let token = CancellationToken::new();
    task::spawn("signals", listen(token.clone(), None));
    token
}

/// Like [`cancel_on_signal`], for a command that can run as a service: without a controlling terminal,
/// SIGHUP requests a reload instead.
pub fn cancel_or_reload() -> (CancellationToken, ReloadSignal) {
    let (token, reload) = (CancellationToken::new(), ReloadSignal::default());
    let reloads = (!has_terminal()).then(|| reload.clone());
    task::spawn("signals", listen(token.clone(), reloads));
    (token, reload)
}

async fn listen(stop: CancellationToken, reload: Option<ReloadSignal>) {
    let mut signals = Signals::new();
    let is_ended = loop {
        match signals.next().await {
            Signal::End => break true,
            Signal::HangUp => match &reload {
                Some(reload) => reload.0.notify_one(),
                None => break false,
            },
        }
    };
    stop.cancel();
    // A closing terminal can send SIGHUP more than once.
    while let Signal::HangUp = signals.next().await {}
    let code = if is_ended { 130 } else { 129 };
    if let Some(restore) = BEFORE_EXIT.get() {
        restore();
    }
    std::process::exit(code);
}

enum Signal {
    End,
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix has SIGHUP"))]
    HangUp,
}

#[cfg(unix)]
struct Signals {
    interrupt: Option<tokio::signal::unix::Signal>,
    terminate: Option<tokio::signal::unix::Signal>,
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let receiver = |kind| {
            signal(kind)
                .inspect_err(|error| tracing::warn!("cannot handle a signal: {error}"))
                .ok()
        };
        Self {
            interrupt: receiver(SignalKind::interrupt()),
            terminate: receiver(SignalKind::terminate()),
            hangup: if is_hangup_ignored() {
                None
            } else {
                receiver(SignalKind::hangup())
            },
        }
    }

    async fn next(&mut self) -> Signal {
        async fn one(signal: &mut Option<tokio::signal::unix::Signal>) {
            let received = match signal {
                Some(signal) => signal.recv().await,
                None => None,
            };
            if received.is_none() {
                std::future::pending::<()>().await;
            }
        }
        tokio::select! {
            () = one(&mut self.interrupt) => Signal::End,
            () = one(&mut self.terminate) => Signal::End,
            () = one(&mut self.hangup) => Signal::HangUp,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Self {
        Self
    }

    async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Signal::End
    }
}

/// Returns whether this process has a controlling terminal (tty(4)).
fn has_terminal() -> bool {
    cfg!(unix) && std::fs::File::open("/dev/tty").is_ok()
}

/// Returns whether the process was started with SIGHUP ignored (proc_pid_status(5), "SigIgn").
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_signals(&status) & 1 != 0
}

/// Returns the mask of ignored signals; bit 0 is signal 1, SIGHUP.
#[cfg(unix)]
fn ignored_signals(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

/// Makes a write beyond the file size limit (`ulimit -f`) fail with an error instead of ending the
/// process (SIGXFSZ, setrlimit(2)). Otherwise an upload could end a peer.
pub fn handle_file_size_limit() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let kind = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        // Once installed, the handler stays, even after the listener is dropped.
        if let Err(error) = signal(kind) {
            tracing::warn!(
                "cannot handle SIGXFSZ, so a file size limit can end this process: {error}"
            );
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_process_status() {
        let status = "Name:\tconvite\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000001\n";
        assert_eq!(ignored_signals(status), 0x1001);
        assert_eq!(ignored_signals("Name:\tconvite\n"), 0);
    }
}
