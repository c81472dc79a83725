//! The activity: log lines.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::pieces::{self, List};
use super::text;
use super::theme::Theme;
use crate::menu::model::Model;

/// The most lines of one that is shown whole.
const WHOLE: usize = 6;

pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    if model.lines.is_empty() {
        return pieces::advice(frame, area, &["Nothing has happened yet"], theme);
    }
    let room = usize::from(area.width).saturating_sub(1);
    // What is cut is shown whole below, when it is chosen.
    let chosen = model.lines.get(model.activity.at());
    let whole = match chosen {
        Some(line) if text::width(line) > room => text::wrapped(line, room, WHOLE),
        _ => Vec::new(),
    };
    let rows = (whole.len() as u16).min(area.height / 2);
    let (area, below) = (
        Rect {
            height: area.height - rows,
            ..area
        },
        pieces::below(area, area.height - rows),
    );
    for (line, at) in whole.into_iter().zip(0..rows) {
        frame.render_widget(Line::styled(line, theme.strong()), pieces::row(below, at));
    }
    let list = List {
        len: model.lines.len(),
        tall: 1,
        chosen: &model.activity,
        is_active: true,
    };
    list.draw(frame, area, theme, |place| {
        let line = &model.lines[place];
        let style = if line.contains("ERROR") {
            theme.bad()
        } else if line.contains("WARN") {
            theme.warning()
        } else {
            theme.plain()
        };
        vec![Line::styled(text::left(line, room), style)]
    });
}
