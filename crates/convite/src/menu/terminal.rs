//! The terminal of the menu.
//!
//! The terminal is restored when [`Terminal`] is dropped, on a panic, before the process suspends
//! itself (Ctrl-Z), and before a second signal ends the process.

#![allow(clippy::disallowed_methods, reason = "the menu draws on it")]

use std::io::{self, Stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use convite_core::{ErrorCode, Problem};
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{
    self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyEvent,
};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use tokio::sync::mpsc;

use super::model::Model;
use super::view::{self, Theme};
use crate::signals;

/// The interval at which the input thread checks whether it must end.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Whether the menu is using the terminal.
static IN_USE: AtomicBool = AtomicBool::new(false);
/// Whether a thread has panicked since the menu started.
static PANICKED: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal in use by the menu.
pub struct Terminal {
    drawn: ratatui::Terminal<CrosstermBackend<Stdout>>,
    theme: Theme,
}

impl Terminal {
    /// Starts using the terminal: raw mode, alternate screen, bracketed paste.
    ///
    /// # Errors
    /// Returns `internal` if the terminal cannot be used.
    pub fn acquire() -> Result<Self, Problem> {
        HOOK.call_once(|| {
            signals::before_exit(restore_terminal);
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                PANICKED.store(true, Ordering::SeqCst);
                restore_terminal();
                before(panic);
            }));
        });
        enter().map_err(|error| terminal_error(&error))?;
        let drawn = ratatui::Terminal::new(CrosstermBackend::new(io::stdout()));
        let color = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Ok(Self {
            drawn: drawn.map_err(|error| terminal_error(&error))?,
            theme: Theme::new(color),
        })
    }

    /// Draws the model.
    ///
    /// # Errors
    /// Returns `internal` if the terminal is gone, or was restored after a panic.
    pub fn draw(&mut self, model: &Model) -> Result<(), Problem> {
        if PANICKED.load(Ordering::SeqCst) {
            return Err(Problem::new(ErrorCode::Internal, "the menu failed"));
        }
        let drawn = self
            .drawn
            .draw(|frame| view::draw(frame, model, self.theme));
        drawn.map(drop).map_err(|error| terminal_error(&error))
    }

    /// Makes the next drawing redraw the whole screen, because another program may have written to it.
    ///
    /// # Errors
    /// Returns `internal` if the terminal is gone.
    pub fn invalidate(&mut self) -> Result<(), Problem> {
        self.drawn.clear().map_err(|error| terminal_error(&error))
    }

    /// Restores the terminal, suspends the process until SIGCONT, and starts using the terminal again.
    ///
    /// # Errors
    /// Returns `internal` if the terminal cannot be used again.
    #[cfg(unix)]
    pub fn suspend(&mut self) -> Result<(), Problem> {
        use rustix::process::{Signal, getpid, kill_process};
        restore_terminal();
        // Not SIGTSTP, which a handler could catch.
        let stopped = kill_process(getpid(), Signal::STOP);
        enter().map_err(|error| terminal_error(&error))?;
        stopped.map_err(|error| terminal_error(&error.into()))?;
        self.invalidate()
    }

    /// Does nothing: there is no job control on this system.
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub fn suspend(&mut self) -> Result<(), Problem> {
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore_terminal();
    }
}

fn terminal_error(error: &io::Error) -> Problem {
    Problem::new(
        ErrorCode::Internal,
        format!("cannot use the terminal: {error}"),
    )
    .hint("use --no-menu")
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    IN_USE.store(true, Ordering::SeqCst);
    execute!(
        io::stdout(),
        EnterAlternateScreen,
        EnableBracketedPaste,
        Hide
    )
}

/// Restores the terminal if the menu is using it. Can be called from any thread, more than once.
pub fn restore_terminal() {
    if IN_USE.swap(false, Ordering::SeqCst) {
        // A failure cannot be reported.
        let _ = execute!(
            io::stdout(),
            DisableBracketedPaste,
            LeaveAlternateScreen,
            Show
        );
        let _ = disable_raw_mode();
    }
}

/// An input event of the terminal.
pub enum TerminalEvent {
    Key(KeyEvent),
    Pasted(String),
    Resized,
}

/// Reads the terminal in a thread, until the receiver is dropped or the terminal is closed.
pub fn read() -> mpsc::Receiver<TerminalEvent> {
    let (sender, receiver) = mpsc::channel(64);
    std::thread::spawn(move || {
        while !sender.is_closed() {
            let input = match event::poll(POLL_INTERVAL) {
                Ok(false) => continue,
                Ok(true) => event::read(),
                Err(error) => Err(error),
            };
            let input = match input {
                Ok(Event::Key(key)) => TerminalEvent::Key(key),
                Ok(Event::Paste(text)) => TerminalEvent::Pasted(text),
                Ok(Event::Resize(..)) => TerminalEvent::Resized,
                Ok(_) => continue,
                Err(_) => return,
            };
            if sender.blocking_send(input).is_err() {
                return;
            }
        }
    });
    receiver
}
