//! The network screen: peers, or the folders and files of one peer.

use convite_core::display;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::text;
use super::theme::Theme;
use super::widgets::{self, List};
use crate::menu::model::{Model, NetworkList, Row};

pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    match model.network.shown_list() {
        NetworkList::Peers => peers(frame, area, model, theme),
        NetworkList::Files => files(frame, area, model, theme),
    }
}

fn peers(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let network = &model.network;
    if let Some(problem) = &network.problem
        && network.peers.is_empty()
    {
        return widgets::draw_problem(frame, area, problem, theme);
    }
    if network.peers.is_empty() {
        let lines: &[&str] = if network.is_loaded {
            &[
                "No peer is online",
                "",
                "Online peers appear here; r refreshes.",
            ]
        } else {
            &["Loading peers…"]
        };
        return widgets::centered(frame, area, lines, theme);
    }
    let room = usize::from(area.width).saturating_sub(2);
    let (files, address) = (14, if room >= 70 { 21 } else { 0 });
    let user = (room / 5).min(20);
    let id = room.saturating_sub(files + address + user + 3);
    let online = network.peers.len() as u64;
    let title = if model.is_directory_unreachable() || network.problem.is_some() {
        text::count(online, "peer was online", "peers were online")
    } else {
        text::count(online, "peer online", "peers online")
    };
    let head = format!(
        "{} {} {} {}",
        text::pad_end(&title, id),
        text::pad_end("user", user),
        text::pad_start("files", files),
        text::pad_start("address", address),
    );
    frame.render_widget(Line::styled(head, theme.dim()), widgets::row(area, 0));
    let list = List {
        len: network.peers.len(),
        tall: 1,
        chosen: &network.chosen_peer,
        is_active: true,
    };
    list.draw(frame, widgets::below(area, 1), theme, |place| {
        let peer = &network.peers[place];
        let own = if peer.id.as_str() == model.account.peer {
            " (this one)"
        } else {
            ""
        };
        let at = peer.addresses.first().map(ToString::to_string);
        let at = text::pad_start(&at.unwrap_or_default(), address);
        let count = text::count(peer.files, "file", "files");
        let user = text::pad_end(peer.user.as_str(), user);
        vec![Line::from(vec![
            Span::raw(text::pad_end(&format!("{}{own}", peer.id), id)),
            Span::styled(format!(" {user} "), theme.dim()),
            Span::raw(text::pad_start(&count, files)),
            Span::styled(format!(" {at}"), theme.dim()),
        ])]
    });
}

fn files(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let network = &model.network;
    let room = usize::from(area.width).saturating_sub(2);
    let peer = network.open_peer.as_ref().map(ToString::to_string);
    let mut path = peer.unwrap_or_default();
    for part in &network.folder {
        path.push_str(" › ");
        path.push_str(part);
    }
    let state = if model.is_directory_unreachable() {
        "last known state".to_owned()
    } else if network.pending.is_some() {
        "loading…".to_owned()
    } else if network.is_truncated {
        format!("first {} files; search finds all", network.files.len())
    } else {
        text::count(
            network.files.len() as u64,
            "file in total",
            "files in total",
        )
    };
    let path_room = room.saturating_sub(text::width(&state) + 1);
    let head = Line::from(vec![
        Span::styled(text::pad_end_name(&path, path_room), theme.title()),
        Span::styled(format!(" {state}"), theme.dim()),
    ]);
    frame.render_widget(head, widgets::row(area, 0));
    let body = widgets::below(area, 1);
    if let Some(problem) = &network.problem
        && network.rows.is_empty()
    {
        return widgets::draw_problem(frame, body, problem, theme);
    }
    if network.rows.is_empty() {
        let line = if network.pending.is_some() {
            "Loading…"
        } else {
            "No files that you can see"
        };
        return widgets::centered(frame, body, &[line], theme);
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
                let folder = text::pad_end_name(&format!("{folder}/"), name);
                Line::from(vec![
                    Span::styled(folder, theme.accent()),
                    Span::styled(format!(" {} ", text::pad_start(&count, files)), theme.dim()),
                    Span::styled(
                        text::pad_start(&display::format_bytes(*bytes), size),
                        theme.dim(),
                    ),
                ])
            }
            Row::File(file) => {
                let file = network.files.get(*file);
                let (shown, bytes) = file.map_or(("", 0), |f| (f.path.file_name(), f.size));
                let bytes = text::pad_start(&display::format_bytes(bytes), size);
                Line::from(vec![
                    Span::raw(text::pad_end_name(shown, name + files + 1)),
                    Span::styled(format!(" {bytes}"), theme.dim()),
                ])
            }
        };
        vec![line]
    });
}
