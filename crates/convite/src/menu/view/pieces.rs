//! What several screens are made of: rules, rows, bars, lines that are typed.

use std::ops::Range;

use convite_core::{Problem, display};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::text;
use super::theme::Theme;
use crate::menu::model::{Input, Selection};

/// A thin line across.
pub fn rule(frame: &mut Frame, area: Rect, theme: Theme) {
    let line = "─".repeat(area.width.into());
    frame.render_widget(Line::styled(line, theme.rule()), area);
}

/// Without the first and the last column.
pub fn inside(area: Rect) -> Rect {
    Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(2),
        ..area
    }
}

/// One row of an area; nothing below its end.
pub fn row(area: Rect, at: u16) -> Rect {
    Rect {
        y: area.y + at.min(area.height),
        height: u16::from(at < area.height),
        ..area
    }
}

/// What is left of an area below its first rows.
pub fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect {
        y: area.y + rows,
        height: area.height - rows,
        ..area
    }
}

/// A list of rows of one or more lines.
pub struct List<'a> {
    pub len: usize,
    /// Lines a row takes.
    pub tall: u16,
    pub chosen: &'a Selection,
    /// Whether keys go to it.
    pub is_active: bool,
}

impl List<'_> {
    /// Draws the rows that are in sight.
    pub fn draw<'l>(
        &self,
        frame: &mut Frame,
        area: Rect,
        theme: Theme,
        mut lines: impl FnMut(usize) -> Vec<Line<'l>>,
    ) {
        let fit = usize::from(area.height / self.tall.max(1));
        let window = self.chosen.window(self.len, fit);
        for (place, at) in window.clone().zip(0u16..) {
            let here = below(area, at * self.tall);
            for (line, at) in lines(place).into_iter().zip(0..self.tall) {
                frame.render_widget(line, row(here, at));
            }
            if place == self.chosen.at() && self.is_active {
                frame.buffer_mut().set_style(row(here, 0), theme.chosen());
            }
        }
        if window.len() < self.len && area.height > 1 {
            scrollbar(frame, area, self.len, &window, theme);
        }
    }
}

/// Where in a long list one is.
fn scrollbar(frame: &mut Frame, area: Rect, len: usize, window: &Range<usize>, theme: Theme) {
    let height = usize::from(area.height);
    let size = (window.len() * height / len).clamp(1, height);
    let steps = (len - window.len()).max(1);
    let from = window.start * (height - size) / steps;
    for y in from..(from + size).min(height) {
        let place = Rect {
            x: area.right().saturating_sub(1),
            width: 1,
            ..row(area, y as u16)
        };
        frame.render_widget(Span::styled("▐", theme.rule()), place);
    }
}

/// A bar of `room` columns.
pub fn bar(done: u64, size: u64, room: usize, theme: Theme) -> Vec<Span<'static>> {
    let size = size.max(1);
    let halves = (u128::from(done.min(size)) * (room as u128 * 2) / u128::from(size)) as usize;
    let (full, half) = (halves / 2, halves % 2);
    let style = if done >= size {
        theme.good()
    } else {
        theme.accent()
    };
    vec![
        Span::styled("━".repeat(full), style),
        Span::styled("╸".repeat(half), style),
        Span::styled("─".repeat(room.saturating_sub(full + half)), theme.rule()),
    ]
}

/// A line that is typed, in `room` columns: the place of typing stays in sight.
pub fn typed(input: &Input, room: usize, is_active: bool, theme: Theme) -> Line<'static> {
    let (before, after) = input.parts();
    let mut after = after.chars();
    let under = match after.next() {
        Some(c) => display::escape(c.encode_utf8(&mut [0; 4])).into_owned(),
        None => " ".to_owned(),
    };
    let room = room.saturating_sub(text::width(&under));
    // A quarter for what comes after, if it needs that much.
    let after = display::escape(after.as_str()).into_owned();
    let room_before = room - text::width(&after).min(room / 4);
    let mut before = display::escape(before).into_owned();
    if text::width(&before) > room_before {
        let end = text::begin(before.chars().rev(), room_before.saturating_sub(1));
        before = std::iter::once('…').chain(end.chars().rev()).collect();
    }
    let left = room.saturating_sub(text::width(&before));
    let cursor = if is_active {
        theme.cursor()
    } else {
        theme.plain()
    };
    Line::from(vec![
        Span::raw(before),
        Span::styled(under, cursor),
        Span::raw(text::fit(&after, left)),
    ])
}

/// A few lines in the middle of an empty screen.
pub fn advice(frame: &mut Frame, area: Rect, lines: &[&str], theme: Theme) {
    let top = area.height.saturating_sub(lines.len() as u16) / 3;
    for (line, at) in lines.iter().zip(0u16..) {
        let style = if at == 0 { theme.strong() } else { theme.dim() };
        let line = text::fit(line, area.width.into());
        frame.render_widget(Line::styled(line, style).centered(), row(area, top + at));
    }
}

/// What went wrong, and what to do about it, in lines of `room` columns.
pub fn told(problem: &Problem, room: usize, theme: Theme) -> Vec<Line<'static>> {
    let room = room.saturating_sub(2);
    let mut lines: Vec<Line> = Vec::new();
    for (text, mark) in text::wrapped(&problem.message, room, 3)
        .iter()
        .zip(std::iter::once("✗ ").chain(std::iter::repeat("  ")))
    {
        lines.push(Line::styled(format!("{mark}{text}"), theme.bad()));
    }
    for text in text::wrapped(problem.hint.as_deref().unwrap_or_default(), room, 3) {
        lines.push(Line::styled(format!("  {text}"), theme.dim()));
    }
    lines
}

/// [`told`], from the top of an area on.
pub fn problem(frame: &mut Frame, area: Rect, problem: &Problem, theme: Theme) {
    let lines = told(problem, area.width.into(), theme);
    for (line, at) in lines.into_iter().zip(0u16..) {
        frame.render_widget(line, row(area, at));
    }
}
