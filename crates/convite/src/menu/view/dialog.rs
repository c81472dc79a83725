//! What stands in front of a screen.

use convite_core::display;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear};

use super::theme::Theme;
use super::{help, pieces, text};
use crate::menu::model::{Confirm, Dialog, Input, LoadDialog, Model, ShareDialog};

pub fn draw(frame: &mut Frame, area: Rect, model: &Model, dialog: &Dialog, theme: Theme) {
    match dialog {
        Dialog::Help(scroll) => help::draw(frame, area, scroll, theme),
        Dialog::Invitation => invitation(frame, area, model, theme),
        Dialog::Confirm(confirm) => question(frame, area, confirm, theme),
        Dialog::Get(get) => {
            let inside = open(frame, area, "Get a file", 6, theme);
            let room = usize::from(inside.width);
            let mut about = display::bytes(get.size);
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
                remark("A name that is taken there gets a number.", room, theme),
            ];
            write(frame, inside, lines);
        }
        Dialog::Put(put) => {
            let inside = open(frame, area, "Upload a file", 5, theme);
            let room = usize::from(inside.width);
            let to = format!("to the inbox of {}", put.peer);
            let lines = vec![
                Line::styled(text::fit(&to, room), theme.strong()),
                Line::raw(""),
                labelled("File  ", &put.file, room, true, theme),
                Line::raw(""),
                remark(
                    "It is shared from there; a name that is taken gets a number.",
                    room,
                    theme,
                ),
            ];
            write(frame, inside, lines);
        }
        Dialog::Load(load) => on_a_peer(frame, area, model, load, theme),
        Dialog::Share(share) => to_share(frame, area, share, theme),
    }
}

fn to_share(frame: &mut Frame, area: Rect, share: &ShareDialog, theme: Theme) {
    let room = usize::from(width(area)).saturating_sub(4);
    let below = match &share.problem {
        Some(problem) => pieces::told(problem, room, theme),
        None => vec![remark(
            "It is shared in place; nothing is copied.",
            room,
            theme,
        )],
    };
    let rows = below.len() as u16 + 2;
    let inside = open(frame, area, "Share a folder", rows, theme);
    let mut lines = vec![
        labelled("Folder  ", &share.folder, room, !share.busy, theme),
        Line::raw(""),
    ];
    lines.extend(below);
    write(frame, inside, lines);
}

/// Peers that are shown of those that may be chosen.
const HOSTS: usize = 8;

fn on_a_peer(frame: &mut Frame, area: Rect, model: &Model, load: &LoadDialog, theme: Theme) {
    let hosts = model.hosts(load);
    let rows = hosts.len().clamp(1, HOSTS);
    let inside = open(frame, area, "Load on a peer", rows as u16 + 3, theme);
    let room = usize::from(inside.width);
    let mut lines = vec![
        Line::styled(text::fit_name(&load.name, room), theme.strong()),
        Line::styled(display::bytes(load.size), theme.dim()),
        Line::raw(""),
    ];
    if hosts.is_empty() {
        let none = match model.network.known {
            true => "No other peer online loads for you and lacks it.",
            false => "asking who is online…",
        };
        lines.push(remark(none, room, theme));
    }
    let at = load.at(&hosts);
    let first = (at + 1).saturating_sub(HOSTS);
    for (place, peer) in hosts.iter().enumerate().skip(first).take(HOSTS) {
        let style = match place == at {
            true => theme.chosen(),
            false => theme.plain(),
        };
        let line = format!("{}  {}", text::left(peer.id.as_str(), 32), peer.user);
        lines.push(Line::styled(text::left(&line, room), style));
    }
    write(frame, inside, lines);
}

fn remark(remark: &'static str, room: usize, theme: Theme) -> Line<'static> {
    Line::styled(text::fit(remark, room), theme.dim())
}

fn labelled(
    label: &'static str,
    input: &Input,
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
    spans.extend(pieces::typed(input, room, is_active, theme));
    Line::from(spans)
}

/// How wide dialogs are, their frames included.
fn width(area: Rect) -> u16 {
    area.width.saturating_sub(4).min(76)
}

/// A frame in the middle for `rows` lines; what is inside it. The last two lines of the screen, with
/// the keys, stay in sight.
pub fn open(frame: &mut Frame, area: Rect, title: &str, rows: u16, theme: Theme) -> Rect {
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
    let inside = pieces::inside(block.inner(place));
    // One column more on both sides: half of a wide character would be left there.
    let around = Rect {
        x: place.x - 1,
        width: place.width + 2,
        ..place
    };
    frame.render_widget(Clear, around);
    frame.render_widget(block, place);
    inside
}

/// Lines from the top on, as many as there is room for.
pub fn write(frame: &mut Frame, area: Rect, lines: Vec<Line<'_>>) {
    for (line, at) in lines.into_iter().zip(0u16..) {
        frame.render_widget(line, pieces::row(area, at));
    }
}

fn question(frame: &mut Frame, area: Rect, confirm: &Confirm, theme: Theme) {
    let room = usize::from(width(area)).saturating_sub(4);
    let said = text::wrapped(&confirm.question, room, 3);
    let detail = text::wrapped(&confirm.detail, room, 3);
    let rows = (said.len() + detail.len() + 2) as u16;
    let inside = open(frame, area, "Are you sure?", rows, theme);
    let button = |label: &str, is_chosen: bool| {
        let style = if is_chosen {
            theme.chosen()
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
    write(frame, inside, lines);
}

fn invitation(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let Some(invitation) = &model.invitation else {
        return;
    };
    let width = usize::from(width(area)).saturating_sub(4);
    let link: Vec<char> = invitation.link.chars().collect();
    let mut lines = vec![
        Line::styled("Web address", theme.dim()),
        Line::raw(text::fit(&invitation.web, width)),
        Line::raw(""),
        Line::styled("Invite link", theme.dim()),
    ];
    // In pieces, so that all of it can be copied.
    for part in link.chunks(width.max(1)) {
        let part: String = part.iter().collect();
        lines.push(Line::styled(part, theme.strong()));
    }
    lines.extend([
        Line::raw(""),
        remark(
            "On the other machine: `convite peer`, and paste it.",
            width,
            theme,
        ),
        remark(
            "Whoever has it can join, so send it privately.",
            width,
            theme,
        ),
    ]);
    let inside = open(frame, area, "Let others in", lines.len() as u16, theme);
    write(frame, inside, lines);
}
