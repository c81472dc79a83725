//! The activity: log lines.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::pieces::{self, List};
use super::text;
use super::theme::Theme;
use crate::menu::model::Model;

pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    if model.lines.is_empty() {
        return pieces::advice(frame, area, &["Nothing has happened yet"], theme);
    }
    let room = usize::from(area.width).saturating_sub(1);
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
