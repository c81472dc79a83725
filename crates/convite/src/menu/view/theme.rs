//! Colours, where there may be any; else bold, dim and reversed say the same.

use ratatui::style::{Color, Modifier, Style};

/// How things look. No meaning is in colour alone.
#[derive(Debug, Clone, Copy)]
pub struct Theme {
    color: bool,
}

impl Theme {
    pub fn new(color: bool) -> Self {
        Self { color }
    }

    fn colored(self, color: Color) -> Style {
        if self.color {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }

    pub fn plain(self) -> Style {
        Style::new()
    }

    /// What is less important.
    pub fn dim(self) -> Style {
        if self.color {
            Style::new().fg(Color::Indexed(245))
        } else {
            Style::new().add_modifier(Modifier::DIM)
        }
    }

    /// Lines that part things.
    pub fn rule(self) -> Style {
        if self.color {
            Style::new().fg(Color::Indexed(240))
        } else {
            Style::new().add_modifier(Modifier::DIM)
        }
    }

    pub fn accent(self) -> Style {
        self.colored(Color::Cyan)
    }

    pub fn title(self) -> Style {
        self.accent().add_modifier(Modifier::BOLD)
    }

    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub fn good(self) -> Style {
        self.colored(Color::Green)
    }

    pub fn warning(self) -> Style {
        self.colored(Color::Yellow)
    }

    pub fn bad(self) -> Style {
        self.colored(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// A matching part of a name.
    pub fn matching(self) -> Style {
        self.colored(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// The chosen row: both colours are set, so that it is legible on any background.
    pub fn chosen(self) -> Style {
        if self.color {
            Style::new()
                .fg(Color::Indexed(255))
                .bg(Color::Indexed(24))
                .add_modifier(Modifier::BOLD)
        } else {
            Style::new().add_modifier(Modifier::REVERSED)
        }
    }

    /// A key at the bottom.
    pub fn key(self) -> Style {
        self.title()
    }

    /// Where the next character comes.
    pub fn cursor(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}
