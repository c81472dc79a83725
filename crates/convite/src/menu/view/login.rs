//! The login form.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::theme::Theme;
use super::{text, widgets};
use crate::menu::model::{Field, Model};

pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let Some(login) = &model.login else {
        return;
    };
    let width = area.width.min(72);
    let area = Rect {
        x: area.x + (area.width - width) / 2,
        width,
        ..area
    };
    let room = usize::from(width);
    let (title, lead) = if login.needs_link {
        ("Welcome", "Paste the invite link that you received.")
    } else {
        ("Welcome back", "The session has ended; log in again.")
    };
    // A blank line between fields, if there is room.
    let gap = u16::from(area.height >= 13);
    let mut y = gap;
    frame.render_widget(Line::styled(title, theme.title()), widgets::row(area, y));
    let lead = Line::styled(text::fit(lead, room), theme.dim());
    frame.render_widget(lead, widgets::row(area, y + 1));
    y += 2 + gap;
    for field in login.fields() {
        let is_active = *field == login.field && !login.busy && model.dialog.is_none();
        let label = match field {
            Field::Link => "Invite link",
            Field::User => "User name",
            Field::Password => "Password",
        };
        let style = if is_active {
            theme.title()
        } else {
            theme.dim()
        };
        let mut spans = vec![Span::styled(text::pad_end(label, 13), style)];
        let room = room.saturating_sub(13);
        match field {
            Field::Link => spans.extend(widgets::text_field(&login.link, room, is_active, theme)),
            Field::User => spans.extend(widgets::text_field(&login.user, room, is_active, theme)),
            Field::Password => {
                let length = login.password_length().min(room.saturating_sub(1));
                spans.push(Span::raw("•".repeat(length)));
                if is_active {
                    spans.push(Span::styled(" ", theme.cursor()));
                }
            }
        }
        frame.render_widget(Line::from(spans), widgets::row(area, y));
        y += 1 + gap;
    }
    let area = widgets::below(area, y);
    if login.busy {
        let line = Line::styled("Connecting to the directory…", theme.accent());
        frame.render_widget(line, widgets::row(area, 0));
    } else if let Some(problem) = &login.problem {
        widgets::draw_problem(frame, area, problem, theme);
    } else {
        let advice = match login.field {
            Field::Link => "It starts with convite://",
            Field::User => "Choose a name, or enter the name of your account.",
            Field::Password => "Choose one, or enter your account's password.",
        };
        let advice = Line::styled(text::fit(advice, room), theme.dim());
        frame.render_widget(advice, widgets::row(area, 0));
    }
}
