//! What the model looks like: a file a screen. Nothing here changes anything.

mod activity;
mod dialog;
mod help;
mod network;
mod pieces;
mod search;
mod shares;
#[cfg(test)]
mod tests;
mod text;
mod theme;
mod transfers;
mod welcome;

use convite_core::display;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::keys;
use super::model::{Model, Screen};

pub use theme::Theme;

/// Below this many columns and rows there is nothing to see.
const SMALLEST: (u16, u16) = (40, 10);

/// Draws all of it.
pub fn draw(frame: &mut Frame, model: &Model, theme: Theme) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return too_small(frame, area);
    }
    let said = said(model, area);
    let [top, rule, body, notice, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(said.len().max(1) as u16),
        Constraint::Length(1),
    ])
    .areas(area);
    header(frame, top, model, theme);
    pieces::rule(frame, rule, theme);
    let body = pieces::inside(body);
    if model.welcome.is_some() {
        welcome::draw(frame, body, model, theme);
    } else {
        match model.screen {
            Screen::Search => search::draw(frame, body, model, theme),
            Screen::Network => network::draw(frame, body, model, theme),
            Screen::Transfers => transfers::draw(frame, body, model, theme),
            Screen::Shares => shares::draw(frame, body, model, theme),
            Screen::Activity => activity::draw(frame, body, model, theme),
        }
    }
    told(frame, notice, model, said, theme);
    footer(frame, bottom, model, theme);
    if let Some(dialog) = &model.dialog {
        dialog::draw(frame, area, model, dialog, theme);
    }
}

fn too_small(frame: &mut Frame, area: Rect) {
    let (width, height) = SMALLEST;
    let lines = [
        "too small a window:".to_owned(),
        format!("{width}×{height} wanted,"),
        format!("{}×{} here", area.width, area.height),
    ];
    for (at, line) in lines.into_iter().enumerate() {
        frame.render_widget(Line::raw(line), pieces::row(area, at as u16));
    }
}

/// The name, the tabs, and who this is.
fn header(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let mut spans = vec![Span::styled(" convite ", theme.title())];
    let width = usize::from(area.width);
    if model.welcome.is_none() {
        let is_wide = width >= 72;
        for (screen, place) in Screen::ALL.into_iter().zip(1..) {
            let is_shown = screen == model.screen;
            let open = match screen {
                Screen::Transfers => model.transfers.open(),
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
                (true, _) => theme.chosen(),
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
        _ if model.welcome.is_some() => return,
        Some(peer) if peer.online && !model.is_cut_off() => ("●", theme.good()),
        Some(_) => ("○", theme.warning()),
        None => ("○", theme.dim()),
    };
    let user = text::fit(&model.identity.user, room.saturating_sub(2));
    let who = Line::from(vec![
        Span::styled(format!("{user} "), theme.dim()),
        Span::styled(mark, style),
        Span::raw(" "),
    ]);
    if room >= 3 {
        frame.render_widget(who.right_aligned(), area);
    }
}

/// Lines that what was said last may take where rows are few, and where there are enough.
const SAID: (usize, usize) = (3, 4);
/// From so many rows on there are enough.
const TALL: u16 = 20;

/// What was said last, in as many lines as it needs: a hint that is cut off is no help.
fn said(model: &Model, area: Rect) -> Vec<String> {
    let Some(notice) = model.notice.as_ref().filter(|_| !model.leaving) else {
        return Vec::new();
    };
    let mark = if notice.is_problem { "✗ " } else { "" };
    let mut text = format!("{mark}{}", notice.text);
    if let Some(hint) = &notice.hint {
        text.push_str(" — ");
        text.push_str(hint);
    }
    let most = if area.height < TALL { SAID.0 } else { SAID.1 };
    text::wrapped(&text, usize::from(area.width).saturating_sub(4), most)
}

/// What was said last; else what is the matter with the directory, else the rates.
fn told(frame: &mut Frame, area: Rect, model: &Model, said: Vec<String>, theme: Theme) {
    pieces::rule(frame, pieces::row(area, 0), theme);
    let cut_off = "the directory does not answer; trying again";
    let (lines, style) = match &model.notice {
        _ if model.leaving => (vec!["leaving the network…".to_owned()], theme.accent()),
        Some(notice) if notice.is_problem => (said, theme.bad()),
        Some(_) => (said, theme.good()),
        None if model.is_cut_off() && model.welcome.is_none() => {
            let room = usize::from(area.width).saturating_sub(4);
            (vec![text::fit(cut_off, room)], theme.warning())
        }
        None => return rates(frame, area, model, theme),
    };
    for (line, at) in lines.into_iter().zip(0u16..) {
        let line = Line::styled(format!(" {line} "), style);
        frame.render_widget(line, pieces::inside(pieces::row(area, at)));
    }
}

fn rates(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let (received, sent) = (model.transfers.rate(), model.sent.rate());
    if received + sent == 0 {
        return;
    }
    let line = Line::from(vec![
        Span::styled(
            format!(" ↓ {}/s ", display::bytes(received)),
            theme.accent(),
        ),
        Span::styled(format!(" ↑ {}/s ", display::bytes(sent)), theme.good()),
    ]);
    frame.render_widget(line.right_aligned(), pieces::inside(area));
}

/// The keys, as many as there is room for; help and quitting are never left out.
fn footer(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let all = keys::now(model);
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
