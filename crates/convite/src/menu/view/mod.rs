//! Drawing of the model, one module per screen. Drawing does not change the model, except that scroll
//! positions are limited to the visible area.

mod activity;
mod dialog;
mod help;
mod login;
mod network;
mod search;
mod shares;
#[cfg(test)]
mod tests;
mod text;
mod theme;
mod transfers;
mod widgets;
mod window;

use convite_core::display;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::keys;
use super::model::{Model, Screen};

pub use theme::Theme;

/// The minimum columns and rows; a smaller window shows only a message.
const WINDOW_MIN: (u16, u16) = (40, 10);

/// Draws the menu.
pub fn draw(frame: &mut Frame, model: &Model, theme: Theme) {
    let area = frame.area();
    if area.width < WINDOW_MIN.0 || area.height < WINDOW_MIN.1 {
        return too_small(frame, area);
    }
    let notice_text = notice_lines(model, area);
    let [top, rule, body, notice, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(notice_text.len().max(1) as u16),
        Constraint::Length(1),
    ])
    .areas(area);
    header(frame, top, model, theme);
    widgets::rule(frame, rule, theme);
    let body = widgets::inside(body);
    if model.login.is_some() {
        login::draw(frame, body, model, theme);
    } else {
        match model.screen {
            Screen::Search => search::draw(frame, body, model, theme),
            Screen::Network => network::draw(frame, body, model, theme),
            Screen::Transfers => transfers::draw(frame, body, model, theme),
            Screen::Shares => shares::draw(frame, body, model, theme),
            Screen::Activity => activity::draw(frame, body, model, theme),
        }
    }
    draw_notice(frame, notice, model, notice_text, theme);
    footer(frame, bottom, model, theme);
    if let Some(dialog) = &model.dialog {
        dialog::draw(frame, area, model, dialog, theme);
    }
}

fn too_small(frame: &mut Frame, area: Rect) {
    let (width, height) = WINDOW_MIN;
    let lines = [
        "window too small:".to_owned(),
        format!("needs {width}×{height},"),
        format!("has {}×{}", area.width, area.height),
    ];
    widgets::draw_lines(frame, area, lines.map(Line::raw).into());
}

/// Draws the program name, the tabs and the account.
fn header(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let mut spans = vec![Span::styled(" convite ", theme.title())];
    let width = usize::from(area.width);
    if model.login.is_none() {
        let is_wide = width >= 72;
        for (screen, place) in Screen::ALL.into_iter().zip(1..) {
            let is_shown = screen == model.screen;
            let open = match screen {
                Screen::Transfers => model.downloads.unfinished_count(),
                _ => 0,
            };
            let mut label = format!(" {place} ");
            if is_wide || is_shown {
                label.push_str(screen.title());
                label.push(' ');
            }
            if open > 0 {
                label.push_str(&format!("({open}) "));
            }
            let style = match (is_shown, open) {
                (true, _) => theme.selected(),
                (false, 0) => theme.dim(),
                (false, _) => theme.accent(),
            };
            spans.push(Span::styled(label, style));
        }
    }
    let tabs = Line::from(spans);
    let room = width.saturating_sub(tabs.width() + 2);
    frame.render_widget(tabs, area);
    let (mark, style) = match &model.peer {
        _ if model.login.is_some() => return,
        Some(peer) if peer.online && !model.is_directory_unreachable() => ("●", theme.success()),
        Some(_) => ("○", theme.warning()),
        None => ("○", theme.dim()),
    };
    let user = text::fit(&model.account.user, room.saturating_sub(2));
    let who = Line::from(vec![
        Span::styled(format!("{user} "), theme.dim()),
        Span::styled(mark, style),
        Span::raw(" "),
    ]);
    if room >= 3 {
        frame.render_widget(who.right_aligned(), area);
    }
}

/// The maximum lines of a notice in a window below [`TALL_ROWS`] rows, and in a taller one.
const NOTICE_LINES_MAX: (usize, usize) = (3, 4);
/// The number of rows of a tall window.
const TALL_ROWS: u16 = 20;

/// Returns the notice, wrapped so that its hint is visible.
fn notice_lines(model: &Model, area: Rect) -> Vec<String> {
    let Some(notice) = model.notice.as_ref().filter(|_| !model.leaving) else {
        return Vec::new();
    };
    let mark = if notice.is_problem { "✗ " } else { "" };
    let mut text = format!("{mark}{}", notice.text);
    if let Some(hint) = &notice.hint {
        text.push_str(" — ");
        text.push_str(hint);
    }
    let most = if area.height < TALL_ROWS {
        NOTICE_LINES_MAX.0
    } else {
        NOTICE_LINES_MAX.1
    };
    text::wrapped(&text, usize::from(area.width).saturating_sub(4), most)
}

/// Draws the notice, else the state of an unreachable directory, else the rates.
fn draw_notice(
    frame: &mut Frame,
    area: Rect,
    model: &Model,
    notice_text: Vec<String>,
    theme: Theme,
) {
    widgets::rule(frame, widgets::row(area, 0), theme);
    let cut_off = "the directory does not answer; retrying";
    let (lines, style) = match &model.notice {
        _ if model.leaving => (vec!["leaving the network…".to_owned()], theme.accent()),
        Some(notice) if notice.is_problem => (notice_text, theme.error()),
        Some(_) => (notice_text, theme.success()),
        None if model.is_directory_unreachable() && model.login.is_none() => {
            let room = usize::from(area.width).saturating_sub(4);
            (vec![text::fit(cut_off, room)], theme.warning())
        }
        None => return rates(frame, area, model, theme),
    };
    for (line, at) in lines.into_iter().zip(0u16..) {
        let line = Line::styled(format!(" {line} "), style);
        frame.render_widget(line, widgets::inside(widgets::row(area, at)));
    }
}

fn rates(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let (received, sent) = (model.downloads.rate(), model.sent.rate());
    if received + sent == 0 {
        return;
    }
    let line = Line::from(vec![
        Span::styled(
            format!(" ↓ {}/s ", display::format_bytes(received)),
            theme.accent(),
        ),
        Span::styled(
            format!(" ↑ {}/s ", display::format_bytes(sent)),
            theme.success(),
        ),
    ]);
    frame.render_widget(line.right_aligned(), widgets::inside(area));
}

/// Draws as many keys as fit; the last two, such as help and quit, are always shown.
fn footer(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let all = keys::available(model);
    let wide = |key: &keys::Key| text::width(key.0) + text::width(key.1) + 3;
    let (first, last) = all.split_at(all.len().saturating_sub(2));
    let needed: usize = last.iter().map(wide).sum();
    let mut room = usize::from(area.width).saturating_sub(needed);
    let mut shown: Vec<&keys::Key> = Vec::new();
    for key in first {
        if wide(key) <= room {
            room -= wide(key);
            shown.push(key);
        }
    }
    shown.extend(last);
    let mut spans = vec![Span::raw(" ")];
    for (key, what) in shown {
        spans.push(Span::styled(*key, theme.key()));
        spans.push(Span::styled(format!(" {what}  "), theme.dim()));
    }
    frame.render_widget(Line::from(spans), area);
}
