//! The network: peers, then the folders and files of one.

use convite_core::display;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::pieces::{self, List};
use super::text;
use super::theme::Theme;
use crate::menu::model::{Level, Model, Row};

pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    match model.network.level() {
        Level::Peers => peers(frame, area, model, theme),
        Level::Files => files(frame, area, model, theme),
    }
}

fn peers(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let network = &model.network;
    if let Some(problem) = &network.problem
        && network.peers.is_empty()
    {
        return pieces::problem(frame, area, problem, theme);
    }
    if network.peers.is_empty() {
        let lines: &[&str] = if network.known {
            &[
                "Nobody is online",
                "",
                "Peers appear here as they come: r looks again.",
            ]
        } else {
            &["Asking who is online…"]
        };
        return pieces::advice(frame, area, lines, theme);
    }
    let room = usize::from(area.width).saturating_sub(2);
    let (files, address) = (14, if room >= 70 { 21 } else { 0 });
    let user = (room / 5).min(20);
    let id = room.saturating_sub(files + address + user + 3);
    let online = network.peers.len() as u64;
    let title = match model.is_cut_off() || network.problem.is_some() {
        true => text::count(online, "peer was online", "peers were online"),
        false => text::count(online, "peer online", "peers online"),
    };
    let head = format!(
        "{} {} {} {}",
        text::left(&title, id),
        text::left("of", user),
        text::right("shares", files),
        text::right("at", address),
    );
    frame.render_widget(Line::styled(head, theme.dim()), pieces::row(area, 0));
    let list = List {
        len: network.peers.len(),
        tall: 1,
        chosen: &network.chosen_peer,
        is_active: true,
    };
    list.draw(frame, pieces::below(area, 1), theme, |place| {
        let peer = &network.peers[place];
        let own = if peer.id.as_str() == model.identity.peer {
            " (this one)"
        } else {
            ""
        };
        let at = peer.addresses.first().map(ToString::to_string);
        let at = text::right(&at.unwrap_or_default(), address);
        let count = text::count(peer.files, "file", "files");
        let user = text::left(peer.user.as_str(), user);
        vec![Line::from(vec![
            Span::raw(text::left(&format!("{}{own}", peer.id), id)),
            Span::styled(format!(" {user} "), theme.dim()),
            Span::raw(text::right(&count, files)),
            Span::styled(format!(" {at}"), theme.dim()),
        ])]
    });
}

fn files(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let network = &model.network;
    let room = usize::from(area.width).saturating_sub(2);
    let peer = network.inside.as_ref().map(ToString::to_string);
    let mut path = peer.unwrap_or_default();
    for part in &network.folder {
        path.push_str(" › ");
        path.push_str(part);
    }
    let state = if model.is_cut_off() {
        "as it was heard last".to_owned()
    } else if network.awaited.is_some() {
        "reading…".to_owned()
    } else if network.cut {
        format!("the first {} files; search finds all", network.files.len())
    } else {
        text::count(network.files.len() as u64, "file in all", "files in all")
    };
    let path_room = room.saturating_sub(text::width(&state) + 1);
    let head = Line::from(vec![
        Span::styled(text::left_name(&path, path_room), theme.title()),
        Span::styled(format!(" {state}"), theme.dim()),
    ]);
    frame.render_widget(head, pieces::row(area, 0));
    let body = pieces::below(area, 1);
    if let Some(problem) = &network.problem
        && network.rows.is_empty()
    {
        return pieces::problem(frame, body, problem, theme);
    }
    if network.rows.is_empty() {
        let line = if network.awaited.is_some() {
            "Reading…"
        } else {
            "Nothing here that you may see"
        };
        return pieces::advice(frame, body, &[line], theme);
    }
    let (size, files) = (10, 14);
    let name = room.saturating_sub(size + files + 2);
    let list = List {
        len: network.rows.len(),
        tall: 1,
        chosen: &network.chosen,
        is_active: true,
    };
    list.draw(frame, body, theme, |place| {
        let line = match &network.rows[place] {
            Row::Folder {
                name: folder,
                files: count,
                bytes,
            } => {
                let count = text::count(*count as u64, "file", "files");
                let folder = text::left_name(&format!("{folder}/"), name);
                Line::from(vec![
                    Span::styled(folder, theme.accent()),
                    Span::styled(format!(" {} ", text::right(&count, files)), theme.dim()),
                    Span::styled(text::right(&display::bytes(*bytes), size), theme.dim()),
                ])
            }
            Row::File(file) => {
                let file = network.files.get(*file);
                let (shown, bytes) = file.map_or(("", 0), |f| (f.path.file_name(), f.size));
                let bytes = text::right(&display::bytes(bytes), size);
                Line::from(vec![
                    Span::raw(text::left_name(shown, name + files + 1)),
                    Span::styled(format!(" {bytes}"), theme.dim()),
                ])
            }
        };
        vec![line]
    });
}
