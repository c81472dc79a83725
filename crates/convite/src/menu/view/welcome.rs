//! The form that lets a newcomer in.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::theme::Theme;
use super::{pieces, text};
use crate::menu::model::{Field, Model};

pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let Some(welcome) = &model.welcome else {
        return;
    };
    let width = area.width.min(72);
    let area = Rect {
        x: area.x + (area.width - width) / 2,
        width,
        ..area
    };
    let room = usize::from(width);
    let (title, lead) = if welcome.wants_link {
        (
            "Welcome",
            "Somebody who is in sent you an invite link: paste it here.",
        )
    } else {
        ("Welcome back", "The session has ended: log in again.")
    };
    // A blank line between things, where there is room for it.
    let gap = u16::from(area.height >= 13);
    let mut y = gap;
    frame.render_widget(Line::styled(title, theme.title()), pieces::row(area, y));
    let lead = Line::styled(text::fit(lead, room), theme.dim());
    frame.render_widget(lead, pieces::row(area, y + 1));
    y += 2 + gap;
    for field in welcome.fields() {
        let is_active = *field == welcome.field && !welcome.busy && model.dialog.is_none();
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
        let mut spans = vec![Span::styled(text::left(label, 13), style)];
        let room = room.saturating_sub(13);
        match field {
            Field::Link => spans.extend(pieces::typed(&welcome.link, room, is_active, theme)),
            Field::User => spans.extend(pieces::typed(&welcome.user, room, is_active, theme)),
            Field::Password => {
                let length = welcome.password_length().min(room.saturating_sub(1));
                spans.push(Span::raw("•".repeat(length)));
                if is_active {
                    spans.push(Span::styled(" ", theme.cursor()));
                }
            }
        }
        frame.render_widget(Line::from(spans), pieces::row(area, y));
        y += 1 + gap;
    }
    let area = pieces::below(area, y);
    if welcome.busy {
        let line = Line::styled("Knocking at the directory…", theme.accent());
        frame.render_widget(line, pieces::row(area, 0));
    } else if let Some(problem) = &welcome.problem {
        pieces::problem(frame, area, problem, theme);
    } else {
        let advice = match welcome.field {
            Field::Link => "It begins with convite://",
            Field::User => "A name of your choice, or that of the account you have there.",
            Field::Password => "For a new account a new one; else that of your account.",
        };
        let advice = Line::styled(text::fit(advice, room), theme.dim());
        frame.render_widget(advice, pieces::row(area, 0));
    }
}
