//! The dialogs.

use convite_core::display;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::theme::Theme;
use super::widgets::{self, draw_lines};
use super::window::{frame_for, width};
use super::{help, text};
use crate::menu::model::{Confirm, Dialog, Model, RemoteFetchDialog, ShareDialog, TextField};

pub fn draw(frame: &mut Frame, area: Rect, model: &Model, dialog: &Dialog, theme: Theme) {
    match dialog {
        Dialog::Help(scroll) => help::draw(frame, area, scroll, theme),
        Dialog::Invitation => invitation(frame, area, model, theme),
        Dialog::Confirm(confirm) => confirmation(frame, area, confirm, theme),
        Dialog::Get(get) => {
            let inside = frame_for(frame, area, "Get a file", 6, theme);
            let room = usize::from(inside.width);
            let mut about = display::format_bytes(get.size);
            if !get.found.is_empty() {
                about.push_str("  ");
                let left = room.saturating_sub(text::width(&about));
                about.push_str(&text::fit_name(&get.found, left));
            }
            let lines = vec![
                Line::styled(text::fit_name(&get.name, room), theme.strong()),
                Line::styled(about, theme.dim()),
                Line::raw(""),
                labelled("Into  ", &get.folder, room, true, theme),
                Line::raw(""),
                remark("If the name exists, a number is added.", room, theme),
            ];
            draw_lines(frame, inside, lines);
        }
        Dialog::Upload(upload) => {
            let inside = frame_for(frame, area, "Upload a file", 5, theme);
            let room = usize::from(inside.width);
            let to = format!("to the inbox of {}", upload.peer);
            let lines = vec![
                Line::styled(text::fit(&to, room), theme.strong()),
                Line::raw(""),
                labelled("File  ", &upload.file, room, true, theme),
                Line::raw(""),
                remark(
                    "The peer shares it. If the name exists, a number is added.",
                    room,
                    theme,
                ),
            ];
            draw_lines(frame, inside, lines);
        }
        Dialog::RemoteFetch(load) => remote_fetch(frame, area, model, load, theme),
        Dialog::Share(share) => share_folder(frame, area, share, theme),
    }
}

fn share_folder(frame: &mut Frame, area: Rect, share: &ShareDialog, theme: Theme) {
    let room = usize::from(width(area)).saturating_sub(4);
    let below = match &share.problem {
        Some(problem) => widgets::problem_lines(problem, room, theme),
        None => vec![remark("Shared in place; nothing is copied.", room, theme)],
    };
    let rows = below.len() as u16 + 2;
    let inside = frame_for(frame, area, "Share a folder", rows, theme);
    let mut lines = vec![
        labelled("Folder  ", &share.folder, room, !share.busy, theme),
        Line::raw(""),
    ];
    lines.extend(below);
    draw_lines(frame, inside, lines);
}

/// The number of peers shown at the same time.
const VISIBLE_PEERS: usize = 8;

fn remote_fetch(
    frame: &mut Frame,
    area: Rect,
    model: &Model,
    load: &RemoteFetchDialog,
    theme: Theme,
) {
    let hosts = model.willing_peers(load);
    let rows = hosts.len().clamp(1, VISIBLE_PEERS);
    let inside = frame_for(frame, area, "Remote download", rows as u16 + 3, theme);
    let room = usize::from(inside.width);
    let mut lines = vec![
        Line::styled(text::fit_name(&load.name, room), theme.strong()),
        Line::styled(display::format_bytes(load.size), theme.dim()),
        Line::raw(""),
    ];
    if hosts.is_empty() {
        let none = if model.network.is_loaded {
            "No other online peer accepts remote downloads of this file."
        } else {
            "Loading peers…"
        };
        lines.push(remark(none, room, theme));
    }
    let at = load.at(&hosts);
    let first = (at + 1).saturating_sub(VISIBLE_PEERS);
    for (place, peer) in hosts.iter().enumerate().skip(first).take(VISIBLE_PEERS) {
        let style = if place == at {
            theme.selected()
        } else {
            theme.plain()
        };
        let line = format!("{}  {}", text::pad_end(peer.id.as_str(), 32), peer.user);
        lines.push(Line::styled(text::pad_end(&line, room), style));
    }
    draw_lines(frame, inside, lines);
}

fn remark(remark: &'static str, room: usize, theme: Theme) -> Line<'static> {
    Line::styled(text::fit(remark, room), theme.dim())
}

fn labelled(
    label: &'static str,
    input: &TextField,
    room: usize,
    is_active: bool,
    theme: Theme,
) -> Line<'static> {
    let style = if is_active {
        theme.title()
    } else {
        theme.dim()
    };
    let mut spans = vec![Span::styled(label, style)];
    let room = room.saturating_sub(text::width(label));
    spans.extend(widgets::text_field(input, room, is_active, theme));
    Line::from(spans)
}

fn confirmation(frame: &mut Frame, area: Rect, confirm: &Confirm, theme: Theme) {
    let room = usize::from(width(area)).saturating_sub(4);
    let said = text::wrapped(&confirm.question, room, 3);
    let detail = text::wrapped(&confirm.detail, room, 3);
    let rows = (said.len() + detail.len() + 2) as u16;
    let inside = frame_for(frame, area, "Are you sure?", rows, theme);
    let button = |label: &str, is_chosen: bool| {
        let style = if is_chosen {
            theme.selected()
        } else {
            theme.dim()
        };
        Span::styled(format!("  {label}  "), style)
    };
    let said = said
        .into_iter()
        .map(|line| Line::styled(line, theme.strong()));
    let detail = detail
        .into_iter()
        .map(|line| Line::styled(line, theme.dim()));
    let mut lines: Vec<Line> = said.chain(detail).collect();
    lines.push(Line::raw(""));
    lines.push(Line::from(vec![
        button(confirm.no, !confirm.is_yes),
        Span::raw("   "),
        button(confirm.yes, confirm.is_yes),
    ]));
    draw_lines(frame, inside, lines);
}

fn invitation(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let Some(invitation) = &model.invitation else {
        return;
    };
    let room = usize::from(width(area)).saturating_sub(4);
    let link: Vec<char> = invitation.link.chars().collect();
    let mut lines = vec![
        Line::styled("Web address", theme.dim()),
        Line::raw(text::fit(&invitation.web, room)),
        Line::raw(""),
        Line::styled("Invite link", theme.dim()),
    ];
    // Wrapped, so that the whole link can be copied.
    for part in link.chunks(room.max(1)) {
        let part: String = part.iter().collect();
        lines.push(Line::styled(part, theme.strong()));
    }
    lines.extend([
        Line::raw(""),
        remark("On the other machine: run `convite peer`.", room, theme),
        remark(
            "Anyone with this link can join; send it privately.",
            room,
            theme,
        ),
    ]);
    let inside = frame_for(frame, area, "Invite others", lines.len() as u16, theme);
    draw_lines(frame, inside, lines);
}
