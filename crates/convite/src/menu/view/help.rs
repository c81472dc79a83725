//! The help: all keys.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::theme::Theme;
use super::{text, widgets, window};
use crate::menu::keys;
use crate::menu::model::Scroll;

pub fn draw(frame: &mut Frame, area: Rect, scroll: &Scroll, theme: Theme) {
    let two = area.width >= 76;
    let mut columns: [Vec<Line<'static>>; 2] = Default::default();
    for (place, (title, group)) in keys::HELP.iter().enumerate() {
        let column = &mut columns[usize::from(two && place > 0)];
        if !column.is_empty() && two {
            column.push(Line::raw(""));
        }
        column.push(Line::styled(*title, theme.title()));
        for (key, what) in *group {
            column.push(Line::from(vec![
                Span::styled(text::pad_end(key, 11), theme.key()),
                Span::raw(*what),
            ]));
        }
    }
    let [first, second] = columns;
    let rows = first.len().max(second.len());
    let inside = window::frame_for(frame, area, "Keys", rows as u16, theme);
    let half = if two { inside.width / 2 } else { inside.width };
    let left = Rect {
        width: half,
        ..inside
    };
    let right = Rect {
        x: inside.x + half,
        width: inside.width - half,
        ..inside
    };
    let from = scroll.first(rows, usize::from(inside.height));
    let below = |lines: Vec<Line<'static>>| lines.into_iter().skip(from).collect();
    widgets::draw_lines(frame, left, below(first));
    widgets::draw_lines(frame, right, below(second));
}
