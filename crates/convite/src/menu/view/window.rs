//! The frame of the dialogs.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, BorderType, Clear};

use super::theme::Theme;
use super::{text, widgets};

/// Returns the width of dialogs, including the frame.
pub fn width(area: Rect) -> u16 {
    area.width.saturating_sub(4).min(76)
}

/// Draws a frame in the middle for `rows` lines and returns the area inside it. The last two lines of
/// the screen, with the keys, stay visible.
pub fn frame_for(frame: &mut Frame, area: Rect, title: &str, rows: u16, theme: Theme) -> Rect {
    let free = area.height.saturating_sub(2);
    let height = (rows + 2).min(free);
    let width = width(area);
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (free - height) / 2,
        width,
        height,
    };
    let title = text::fit(title, usize::from(width).saturating_sub(6));
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.accent())
        .title(Line::styled(format!(" {title} "), theme.title()));
    let inside = widgets::inside(block.inner(place));
    // Also clears one column on both sides, where half of a wide character could remain.
    let around = Rect {
        x: place.x - 1,
        width: place.width + 2,
        ..place
    };
    frame.render_widget(Clear, around);
    frame.render_widget(block, place);
    inside
}
