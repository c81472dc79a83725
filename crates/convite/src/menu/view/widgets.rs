//! Widgets shared by the screens: rules, rows, lists, bars, text fields.

use std::ops::Range;

use convite_core::{Problem, display};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::text;
use super::theme::Theme;
use crate::menu::model::{Selection, TextField};

/// Draws a horizontal rule.
pub fn rule(frame: &mut Frame, area: Rect, theme: Theme) {
    let line = "─".repeat(area.width.into());
    frame.render_widget(Line::styled(line, theme.rule()), area);
}

/// Returns the area without its first and last column.
pub fn inside(area: Rect) -> Rect {
    Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(2),
        ..area
    }
}

/// Returns one row of an area; an empty area below its end.
pub fn row(area: Rect, at: u16) -> Rect {
    Rect {
        y: area.y + at.min(area.height),
        height: u16::from(at < area.height),
        ..area
    }
}

/// Returns the area below its first `rows` rows.
pub fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect {
        y: area.y + rows,
        height: area.height - rows,
        ..area
    }
}

/// A list whose rows have one or more lines.
pub struct List<'a> {
    pub len: usize,
    /// Lines per row.
    pub tall: u16,
    pub chosen: &'a Selection,
    /// Whether the list receives keys.
    pub is_active: bool,
}

impl List<'_> {
    /// Draws the visible rows.
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
                frame.buffer_mut().set_style(row(here, 0), theme.selected());
            }
        }
        if window.len() < self.len && area.height > 1 {
            scrollbar(frame, area, self.len, &window, theme);
        }
    }
}

/// Draws the scroll bar of a long list.
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

/// Returns a progress bar of `room` columns.
pub fn bar(done: u64, size: u64, room: usize, theme: Theme) -> Vec<Span<'static>> {
    let size = size.max(1);
    let halves = (u128::from(done.min(size)) * (room as u128 * 2) / u128::from(size)) as usize;
    let (full, half) = (halves / 2, halves % 2);
    let style = if done >= size {
        theme.success()
    } else {
        theme.accent()
    };
    vec![
        Span::styled("━".repeat(full), style),
        Span::styled("╸".repeat(half), style),
        Span::styled("─".repeat(room.saturating_sub(full + half)), theme.rule()),
    ]
}

/// Returns a text field in `room` columns; the cursor stays visible.
pub fn text_field(input: &TextField, room: usize, is_active: bool, theme: Theme) -> Line<'static> {
    let (before, after) = input.parts();
    let mut after = after.chars();
    let under = match after.next() {
        Some(c) => display::escape(c.encode_utf8(&mut [0; 4])).into_owned(),
        None => " ".to_owned(),
    };
    let room = room.saturating_sub(text::width(&under));
    // Up to a quarter of the room is for the text after the cursor.
    let after = display::escape(after.as_str()).into_owned();
    let room_before = room - text::width(&after).min(room / 4);
    let mut before = display::escape(before).into_owned();
    if text::width(&before) > room_before {
        let end = text::prefix(before.chars().rev(), room_before.saturating_sub(1));
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

/// Draws a few centred lines on an empty screen.
pub fn centered(frame: &mut Frame, area: Rect, lines: &[&str], theme: Theme) {
    let top = area.height.saturating_sub(lines.len() as u16) / 3;
    for (line, at) in lines.iter().zip(0u16..) {
        let style = if at == 0 { theme.strong() } else { theme.dim() };
        let line = text::fit(line, area.width.into());
        frame.render_widget(Line::styled(line, style).centered(), row(area, top + at));
    }
}

/// Returns a problem and its hint in lines of `room` columns.
pub fn problem_lines(problem: &Problem, room: usize, theme: Theme) -> Vec<Line<'static>> {
    let room = room.saturating_sub(2);
    let mut lines: Vec<Line> = Vec::new();
    for (text, mark) in text::wrapped(&problem.message, room, 3)
        .iter()
        .zip(std::iter::once("✗ ").chain(std::iter::repeat("  ")))
    {
        lines.push(Line::styled(format!("{mark}{text}"), theme.error()));
    }
    for text in text::wrapped(problem.hint.as_deref().unwrap_or_default(), room, 3) {
        lines.push(Line::styled(format!("  {text}"), theme.dim()));
    }
    lines
}

/// Draws lines from the top, as many as fit.
pub fn draw_lines(frame: &mut Frame, area: Rect, lines: Vec<Line<'_>>) {
    for (line, at) in lines.into_iter().zip(0u16..) {
        frame.render_widget(line, row(area, at));
    }
}

/// Draws the lines of [`problem_lines`] from the top of an area.
pub fn draw_problem(frame: &mut Frame, area: Rect, problem: &Problem, theme: Theme) {
    let lines = problem_lines(problem, area.width.into(), theme);
    draw_lines(frame, area, lines);
}
