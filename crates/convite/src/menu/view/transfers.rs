//! The transfers screen: downloads, uploads, remote downloads, and files being sent.

use convite_core::display;
use convite_core::remote_fetch::LoadState;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::text;
use super::theme::Theme;
use super::widgets::{self, List};
use crate::menu::model::{Download, DownloadState, Model, UploadState};
use crate::output::progress::percent;
use crate::output::remote_fetches::format_state_short;
use crate::units;

/// The maximum number of files being sent that are shown.
const SENT_ROWS: usize = 5;
/// The maximum number of uploads shown.
const UPLOAD_ROWS: usize = 4;
/// The maximum number of remote downloads shown.
const REMOTE_FETCH_ROWS: usize = 6;

pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let sent = model.peer.as_ref().map_or(0, |peer| peer.uploads.len());
    let below = match sent {
        0 => 0,
        some => (some.min(SENT_ROWS) as u16 + 1).min(area.height / 2),
    };
    let asked = match model.remote_fetches.all.len() {
        0 => 0,
        some => (some.min(REMOTE_FETCH_ROWS) as u16 + 1).min((area.height - below) / 2),
    };
    let put = match model.uploads.all.len() {
        0 => 0,
        some => (some.min(UPLOAD_ROWS) as u16 + 1).min((area.height - below - asked) / 2),
    };
    let here = Rect {
        height: area.height - below - asked - put,
        ..area
    };
    draw_uploads(frame, widgets::below(area, here.height), put, model, theme);
    let after = widgets::below(area, here.height + put);
    draw_remote_fetches(frame, after, asked, model, theme);
    if model.downloads.all.is_empty() {
        let lines = [
            "No downloads",
            "",
            "Find a file in Search (1) or Network (2)",
            "and press enter.",
        ];
        widgets::centered(frame, here, &lines, theme);
    } else {
        let all = &model.downloads.all;
        let room = usize::from(area.width).saturating_sub(2);
        let list = List {
            len: all.len(),
            tall: 2,
            chosen: &model.downloads.chosen,
            is_active: true,
        };
        list.draw(frame, here, theme, |place| {
            vec![
                title_line(&all[place], room, theme),
                detail_line(&all[place], room, theme),
            ]
        });
    }
    if below > 0 {
        draw_sent_files(
            frame,
            widgets::below(area, area.height - below),
            model,
            theme,
        );
    }
}

/// Draws the uploads to other peers in `rows` rows.
fn draw_uploads(frame: &mut Frame, area: Rect, rows: u16, model: &Model, theme: Theme) {
    if rows == 0 {
        return;
    }
    frame.render_widget(
        Line::styled("uploads to peers", theme.dim()),
        widgets::row(area, 0),
    );
    let room = usize::from(area.width);
    for (put, at) in model.uploads.all.iter().zip(1..rows) {
        let (mark, style, said) = match &put.state {
            UploadState::Sending => {
                let done = percent(put.progress.sent, put.progress.size);
                let rate = display::format_bytes(put.meter.rate());
                ("↑", theme.accent(), format!("{done} %  {rate}/s"))
            }
            UploadState::Done { took, .. } => {
                let said = format!("in {}, verified", units::format_elapsed(*took));
                ("✓", theme.success(), said)
            }
            UploadState::Failed(problem) => ("✗", theme.error(), problem.message.clone()),
        };
        let (peer, told) = if room < 70 { (10, 16) } else { (16, 28) };
        let name = room.saturating_sub(peer + told + 6);
        let line = Line::from(vec![
            Span::styled(format!("{mark} "), style),
            Span::raw(text::pad_end_name(last_part(&put.file), name)),
            Span::styled(
                format!("  {}", text::pad_end(put.peer.as_str(), peer)),
                theme.dim(),
            ),
            Span::styled(format!("  {}", text::pad_end(&said, told)), style),
        ]);
        frame.render_widget(line, widgets::row(area, at));
    }
}

/// Returns the file name of an absolute path.
fn last_part(path: &str) -> &str {
    path.rsplit(std::path::MAIN_SEPARATOR)
        .next()
        .unwrap_or(path)
}

/// Draws the remote downloads in `rows` rows.
fn draw_remote_fetches(frame: &mut Frame, area: Rect, rows: u16, model: &Model, theme: Theme) {
    if rows == 0 {
        return;
    }
    frame.render_widget(
        Line::styled("remote downloads", theme.dim()),
        widgets::row(area, 0),
    );
    let room = usize::from(area.width);
    for (load, at) in model.remote_fetches.all.iter().zip(1..rows) {
        let (mark, style) = match load.state {
            LoadState::Waiting => ("·", theme.dim()),
            LoadState::Running => ("⇣", theme.accent()),
            LoadState::Done => ("✓", theme.success()),
            LoadState::Failed => ("✗", theme.error()),
        };
        let (peer, said) = if room < 70 { (10, 14) } else { (16, 26) };
        let name = room.saturating_sub(peer + said + 6);
        let line = Line::from(vec![
            Span::styled(format!("{mark} "), style),
            Span::raw(text::pad_end_name(&load.name, name)),
            Span::styled(
                format!("  {}", text::pad_end(load.peer.as_str(), peer)),
                theme.dim(),
            ),
            Span::styled(
                format!("  {}", text::pad_end(&format_state_short(load), said)),
                style,
            ),
        ]);
        frame.render_widget(line, widgets::row(area, at));
    }
}

fn draw_sent_files(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let Some(peer) = &model.peer else {
        return;
    };
    let sent = &peer.uploads;
    let title = text::count(sent.len() as u64, "file being sent", "files being sent");
    frame.render_widget(Line::styled(title, theme.dim()), widgets::row(area, 0));
    let room = usize::from(area.width);
    for (upload, at) in sent.iter().take(SENT_ROWS).zip(1u16..) {
        let done = text::pad_start(&display::format_bytes(upload.bytes), 10);
        let to = text::pad_end(&upload.user, 14);
        let line = Line::from(vec![
            Span::styled("↑ ", theme.success()),
            Span::raw(text::pad_end_name(&upload.name, room.saturating_sub(31))),
            Span::styled(format!(" to {to} {done}"), theme.dim()),
        ]);
        frame.render_widget(line, widgets::row(area, at));
    }
}

fn title_line(transfer: &Download, room: usize, theme: Theme) -> Line<'static> {
    let (mark, style) = match &transfer.state {
        DownloadState::Done { .. } => ("✓", theme.success()),
        DownloadState::Failed(_) => ("✗", theme.error()),
        DownloadState::Paused => ("‖", theme.warning()),
        DownloadState::Stopped => ("■", theme.dim()),
        DownloadState::Waiting => ("·", theme.dim()),
        DownloadState::Running => ("↓", theme.accent()),
    };
    let size = match transfer.size {
        0 => String::new(),
        size => display::format_bytes(size),
    };
    let name = room.saturating_sub(text::width(&size) + 3);
    Line::from(vec![
        Span::styled(format!("{mark} "), style),
        Span::styled(text::pad_end_name(&transfer.name, name), theme.strong()),
        Span::styled(format!(" {size}"), theme.dim()),
    ])
}

fn detail_line(transfer: &Download, room: usize, theme: Theme) -> Line<'static> {
    let indented = |text: String, style| {
        let text = text::fit(&text, room.saturating_sub(2));
        Line::styled(format!("  {text}"), style)
    };
    match &transfer.state {
        DownloadState::Done {
            place,
            took,
            providers,
            was_there,
        } => {
            let took = units::format_elapsed(*took);
            let how = if *was_there {
                "already there, verified".to_owned()
            } else {
                let from = text::count(*providers as u64, "source", "sources");
                format!("in {took} from {from}, verified")
            };
            let place_room = room.saturating_sub(text::width(&how) + 4);
            indented(
                format!("{}  {how}", text::fit_name(place, place_room)),
                theme.dim(),
            )
        }
        DownloadState::Failed(problem) => {
            let hint = problem.hint.as_deref().unwrap_or("press p to retry");
            indented(format!("{} — {hint}", problem.message), theme.error())
        }
        _ => progress_line(transfer, room, theme),
    }
}

/// Returns the bar and the state of an unfinished download.
fn progress_line(transfer: &Download, room: usize, theme: Theme) -> Line<'static> {
    let (done, size) = (transfer.progress.verified, transfer.size);
    let percent = percent(done, size);
    let said = match &transfer.state {
        DownloadState::Waiting => "queued".to_owned(),
        DownloadState::Paused => format!("paused at {}", display::format_bytes(done)),
        DownloadState::Stopped => format!("{} kept; r resumes", display::format_bytes(done)),
        _ if transfer.progress.providers == 0 => "looking for sources".to_owned(),
        _ => {
            let rate = display::format_bytes(transfer.meter.rate());
            let left = match transfer.meter.time_for(size.saturating_sub(done)) {
                Some(left) => format!("{} left", units::format_estimate(left)),
                None => "waiting".to_owned(),
            };
            let from = transfer.progress.providers as u64;
            let from = text::count(from, "source", "sources");
            format!("{rate}/s  {left}  {from}")
        }
    };
    let said = text::fit(&said, room.saturating_sub(18));
    // All bars have the same length, independent of the text beside them.
    let bar_room = room.saturating_sub(46).clamp(8, 60);
    let mut spans = vec![Span::raw("  ")];
    spans.extend(widgets::bar(done, size, bar_room, theme));
    spans.push(Span::raw(format!(" {percent:>3}%  ")));
    let style = match transfer.state {
        DownloadState::Paused => theme.warning(),
        _ => theme.dim(),
    };
    spans.push(Span::styled(said, style));
    Line::from(spans)
}
