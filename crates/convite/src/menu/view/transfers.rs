//! Transfers: what comes and goes, with bars.

use convite_core::display;
use convite_core::loads::LoadState;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::pieces::{self, List};
use super::text;
use super::theme::Theme;
use crate::menu::model::{Model, PutState, State, Transfer};
use crate::output::loads::stands;
use crate::output::progress::percent;
use crate::units;

/// Files going out that are shown below the transfers.
const SENT: usize = 5;
/// Files for inboxes of other peers that are.
const PUT: usize = 4;
/// Loads on other peers that are.
const ASKED: usize = 6;

pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let sent = model.peer.as_ref().map_or(0, |peer| peer.uploads.len());
    let below = match sent {
        0 => 0,
        some => (some.min(SENT) as u16 + 1).min(area.height / 2),
    };
    let asked = match model.loads.all.len() {
        0 => 0,
        some => (some.min(ASKED) as u16 + 1).min((area.height - below) / 2),
    };
    let put = match model.puts.all.len() {
        0 => 0,
        some => (some.min(PUT) as u16 + 1).min((area.height - below - asked) / 2),
    };
    let here = Rect {
        height: area.height - below - asked - put,
        ..area
    };
    to_inboxes(frame, pieces::below(area, here.height), put, model, theme);
    let after = pieces::below(area, here.height + put);
    on_peers(frame, after, asked, model, theme);
    if model.transfers.all.is_empty() {
        let lines = [
            "Nothing is being fetched",
            "",
            "Find a file (1) or look through the network (2),",
            "and press enter on it.",
        ];
        pieces::advice(frame, here, &lines, theme);
    } else {
        let all = &model.transfers.all;
        let room = usize::from(area.width).saturating_sub(2);
        let list = List {
            len: all.len(),
            tall: 2,
            chosen: &model.transfers.chosen,
            is_active: true,
        };
        list.draw(frame, here, theme, |place| {
            vec![
                first(&all[place], room, theme),
                second(&all[place], room, theme),
            ]
        });
    }
    if below > 0 {
        going_out(
            frame,
            pieces::below(area, area.height - below),
            model,
            theme,
        );
    }
}

/// What goes to inboxes of other peers, in `rows` rows.
fn to_inboxes(frame: &mut Frame, area: Rect, rows: u16, model: &Model, theme: Theme) {
    if rows == 0 {
        return;
    }
    frame.render_widget(
        Line::styled("to other peers", theme.dim()),
        pieces::row(area, 0),
    );
    let room = usize::from(area.width);
    for (put, at) in model.puts.all.iter().zip(1..rows) {
        let (mark, style, said) = match &put.state {
            PutState::Sending => {
                let done = percent(put.progress.sent, put.progress.size);
                let rate = display::bytes(put.meter.rate());
                ("↑", theme.accent(), format!("{done} %  {rate}/s"))
            }
            PutState::Done { took, .. } => {
                let said = format!("in {}, verified", units::took(*took));
                ("✓", theme.good(), said)
            }
            PutState::Failed(problem) => ("✗", theme.bad(), problem.message.clone()),
        };
        let (peer, told) = if room < 70 { (10, 16) } else { (16, 28) };
        let name = room.saturating_sub(peer + told + 6);
        let line = Line::from(vec![
            Span::styled(format!("{mark} "), style),
            Span::raw(text::left_name(last_part(&put.file), name)),
            Span::styled(
                format!("  {}", text::left(put.peer.as_str(), peer)),
                theme.dim(),
            ),
            Span::styled(format!("  {}", text::left(&said, told)), style),
        ]);
        frame.render_widget(line, pieces::row(area, at));
    }
}

/// The name of a file whose path is whole.
fn last_part(path: &str) -> &str {
    path.rsplit(std::path::MAIN_SEPARATOR)
        .next()
        .unwrap_or(path)
}

/// What other peers fetch, in `rows` rows.
fn on_peers(frame: &mut Frame, area: Rect, rows: u16, model: &Model, theme: Theme) {
    if rows == 0 {
        return;
    }
    frame.render_widget(
        Line::styled("on other peers", theme.dim()),
        pieces::row(area, 0),
    );
    let room = usize::from(area.width);
    for (load, at) in model.loads.all.iter().zip(1..rows) {
        let (mark, style) = match load.state {
            LoadState::Waiting => ("·", theme.dim()),
            LoadState::Running => ("⇣", theme.accent()),
            LoadState::Done => ("✓", theme.good()),
            LoadState::Failed => ("✗", theme.bad()),
        };
        let (peer, said) = if room < 70 { (10, 14) } else { (16, 26) };
        let name = room.saturating_sub(peer + said + 6);
        let line = Line::from(vec![
            Span::styled(format!("{mark} "), style),
            Span::raw(text::left_name(&load.name, name)),
            Span::styled(
                format!("  {}", text::left(load.peer.as_str(), peer)),
                theme.dim(),
            ),
            Span::styled(format!("  {}", text::left(&stands(load), said)), style),
        ]);
        frame.render_widget(line, pieces::row(area, at));
    }
}

fn going_out(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let Some(peer) = &model.peer else {
        return;
    };
    let sent = &peer.uploads;
    let title = text::count(sent.len() as u64, "file goes out", "files go out");
    frame.render_widget(Line::styled(title, theme.dim()), pieces::row(area, 0));
    let room = usize::from(area.width);
    for (upload, at) in sent.iter().take(SENT).zip(1u16..) {
        let done = text::right(&display::bytes(upload.bytes), 10);
        let to = text::left(&upload.user, 14);
        let line = Line::from(vec![
            Span::styled("↑ ", theme.good()),
            Span::raw(text::left_name(&upload.name, room.saturating_sub(31))),
            Span::styled(format!(" to {to} {done}"), theme.dim()),
        ]);
        frame.render_widget(line, pieces::row(area, at));
    }
}

fn first(transfer: &Transfer, room: usize, theme: Theme) -> Line<'static> {
    let (mark, style) = match &transfer.state {
        State::Done { .. } => ("✓", theme.good()),
        State::Failed(_) => ("✗", theme.bad()),
        State::Paused => ("‖", theme.warning()),
        State::Stopped => ("■", theme.dim()),
        State::Waiting => ("·", theme.dim()),
        State::Running => ("↓", theme.accent()),
    };
    let size = match transfer.size {
        0 => String::new(),
        size => display::bytes(size),
    };
    let name = room.saturating_sub(text::width(&size) + 3);
    Line::from(vec![
        Span::styled(format!("{mark} "), style),
        Span::styled(text::left_name(&transfer.name, name), theme.strong()),
        Span::styled(format!(" {size}"), theme.dim()),
    ])
}

fn second(transfer: &Transfer, room: usize, theme: Theme) -> Line<'static> {
    let indented = |text: String, style| {
        let text = text::fit(&text, room.saturating_sub(2));
        Line::styled(format!("  {text}"), style)
    };
    match &transfer.state {
        State::Done {
            place,
            took,
            providers,
            was_there,
        } => {
            let took = units::took(*took);
            let how = if *was_there {
                "was there already, verified".to_owned()
            } else {
                let from = text::count(*providers as u64, "provider", "providers");
                format!("in {took} from {from}, verified")
            };
            let place_room = room.saturating_sub(text::width(&how) + 4);
            indented(
                format!("{}  {how}", text::fit_name(place, place_room)),
                theme.dim(),
            )
        }
        State::Failed(problem) => {
            let hint = problem.hint.as_deref().unwrap_or("r tries again");
            indented(format!("{} — {hint}", problem.message), theme.bad())
        }
        _ => moving(transfer, room, theme),
    }
}

/// The bar, and what there is to say of it.
fn moving(transfer: &Transfer, room: usize, theme: Theme) -> Line<'static> {
    let (done, size) = (transfer.progress.verified, transfer.size);
    let percent = (u128::from(done) * 100 / u128::from(size.max(1))).min(100);
    let said = match &transfer.state {
        State::Waiting => "waits for its turn".to_owned(),
        State::Paused => format!("paused at {}", display::bytes(done)),
        State::Stopped => format!("{} kept: r goes on", display::bytes(done)),
        _ if transfer.progress.providers == 0 => "looking for providers".to_owned(),
        _ => {
            let rate = display::bytes(transfer.meter.rate());
            let left = match transfer.meter.time_for(size.saturating_sub(done)) {
                Some(left) => format!("{} left", units::took_about(left)),
                None => "waiting".to_owned(),
            };
            let from = transfer.progress.providers as u64;
            let from = text::count(from, "provider", "providers");
            format!("{rate}/s  {left}  {from}")
        }
    };
    let said = text::fit(&said, room.saturating_sub(18));
    // All bars are equally long, whatever is said beside them.
    let bar_room = room.saturating_sub(46).clamp(8, 60);
    let mut spans = vec![Span::raw("  ")];
    spans.extend(pieces::bar(done, size, bar_room, theme));
    spans.push(Span::raw(format!(" {percent:>3}%  ")));
    let style = match transfer.state {
        State::Paused => theme.warning(),
        _ => theme.dim(),
    };
    spans.push(Span::styled(said, style));
    Line::from(spans)
}
