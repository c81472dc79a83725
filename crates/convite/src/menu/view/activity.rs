//! The activity screen: log lines.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::text;
use super::theme::Theme;
use super::widgets::{self, List};
use crate::menu::model::Model;

/// The maximum number of lines in which the selected log line is shown in full.
const FULL_LINES_MAX: usize = 6;

pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    if model.lines.is_empty() {
        return widgets::centered(frame, area, &["No log lines yet"], theme);
    }
    let room = usize::from(area.width).saturating_sub(1);
    // If the selected line is cut, it is shown in full below the list.
    let chosen = model.lines.get(model.activity.at());
    let whole = match chosen {
        Some(line) if text::width(line) > room => text::wrapped(line, room, FULL_LINES_MAX),
        _ => Vec::new(),
    };
    let rows = (whole.len() as u16).min(area.height / 2);
    let (area, below) = (
        Rect {
            height: area.height - rows,
            ..area
        },
        widgets::below(area, area.height - rows),
    );
    for (line, at) in whole.into_iter().zip(0..rows) {
        frame.render_widget(Line::styled(line, theme.strong()), widgets::row(below, at));
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
            theme.error()
        } else if line.contains("WARN") {
            theme.warning()
        } else {
            theme.plain()
        };
        vec![Line::styled(text::pad_end(line, room), style)]
    });
}
