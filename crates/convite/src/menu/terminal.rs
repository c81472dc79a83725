//! The terminal: taken over, drawn on, given back whatever happens.
//!
//! It is given back when [`Terminal`] goes, when anything panics, before the process stops itself
//! (Ctrl-Z), and before a second signal ends it at once.

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

/// How often the reading thread looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(100);

/// Whether the terminal is ours just now.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether something panicked since it was taken.
static PANICKED: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// The terminal, while it is ours.
pub struct Terminal {
    drawn: ratatui::Terminal<CrosstermBackend<Stdout>>,
    theme: Theme,
}

impl Terminal {
    /// Takes the terminal.
    ///
    /// # Errors
    /// `internal` if it does not let itself be taken.
    pub fn take() -> Result<Self, Problem> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                PANICKED.store(true, Ordering::SeqCst);
                give_back();
                before(panic);
            }));
        });
        enter().map_err(|error| cannot(&error))?;
        let drawn = ratatui::Terminal::new(CrosstermBackend::new(io::stdout()));
        let color = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Ok(Self {
            drawn: drawn.map_err(|error| cannot(&error))?,
            theme: Theme::new(color),
        })
    }

    /// Shows the model.
    ///
    /// # Errors
    /// `internal` if the terminal is gone, or was given back after a panic.
    pub fn draw(&mut self, model: &Model) -> Result<(), Problem> {
        if PANICKED.load(Ordering::SeqCst) {
            return Err(Problem::new(ErrorCode::Internal, "the menu broke down"));
        }
        let drawn = self
            .drawn
            .draw(|frame| view::draw(frame, model, self.theme));
        drawn.map(drop).map_err(|error| cannot(&error))
    }

    /// Draws everything anew the next time: something else may have written there.
    ///
    /// # Errors
    /// `internal` if the terminal is gone.
    pub fn forget(&mut self) -> Result<(), Problem> {
        self.drawn.clear().map_err(|error| cannot(&error))
    }

    /// Gives the terminal back, stops the process until somebody lets it go on, and takes the
    /// terminal again.
    ///
    /// # Errors
    /// `internal` if it cannot be taken again.
    #[cfg(unix)]
    pub fn suspend(&mut self) -> Result<(), Problem> {
        use rustix::process::{Signal, getpid, kill_process};
        give_back();
        // Not SIGTSTP: whoever catches it would be asked again.
        let stopped = kill_process(getpid(), Signal::STOP);
        enter().map_err(|error| cannot(&error))?;
        stopped.map_err(|error| cannot(&error.into()))?;
        self.forget()
    }

    /// There is no shell to go back to.
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
        give_back();
    }
}

fn cannot(error: &io::Error) -> Problem {
    Problem::new(
        ErrorCode::Internal,
        format!("cannot use the terminal: {error}"),
    )
    .hint("`--no-menu` does without")
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(
        io::stdout(),
        EnterAlternateScreen,
        EnableBracketedPaste,
        Hide
    )
}

/// Gives the terminal back as it was, if it is ours. From anywhere, as often as one likes.
pub fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // What fails here cannot be told anybody.
        let _ = execute!(
            io::stdout(),
            DisableBracketedPaste,
            LeaveAlternateScreen,
            Show
        );
        let _ = disable_raw_mode();
    }
}

/// What comes from the terminal.
pub enum Input {
    Key(KeyEvent),
    Pasted(String),
    Resized,
}

/// Reads the terminal in a thread of its own, until nobody listens; it ends when the terminal does.
pub fn read() -> mpsc::Receiver<Input> {
    let (sender, receiver) = mpsc::channel(64);
    std::thread::spawn(move || {
        while !sender.is_closed() {
            let input = match event::poll(LOOK) {
                Ok(false) => continue,
                Ok(true) => event::read(),
                Err(error) => Err(error),
            };
            let input = match input {
                Ok(Event::Key(key)) => Input::Key(key),
                Ok(Event::Paste(text)) => Input::Pasted(text),
                Ok(Event::Resize(..)) => Input::Resized,
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
