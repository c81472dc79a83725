//! The search: words, kinds, what was found.

use convite_core::display;
use convite_core::kind::Kind;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::pieces::{self, List};
use super::text;
use super::theme::Theme;
use crate::menu::model::{Focus, Model};
use crate::output::place::found_in;

/// The fewest columns in which a place says something.
const PLACE: usize = 8;

pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let search = &model.search;
    let room = usize::from(area.width);
    let typing = search.focus == Focus::Words && model.dialog.is_none();
    let style = if typing { theme.title() } else { theme.dim() };
    let mut line = vec![Span::styled("Find  ", style)];
    if search.words.is_empty() && !typing {
        line.push(Span::styled("press / and type", theme.dim()));
    } else {
        let typed = pieces::typed(&search.words, room.saturating_sub(6), typing, theme);
        line.extend(typed.spans);
    }
    frame.render_widget(Line::from(line), pieces::row(area, 0));
    frame.render_widget(kinds(model, room, theme), pieces::row(area, 1));
    pieces::rule(frame, pieces::row(area, 2), theme);
    let body = pieces::below(area, 3);
    let is_stale = model.is_cut_off() && !search.hits.is_empty();
    if let Some(problem) = search.problem.as_ref().filter(|_| !is_stale) {
        pieces::problem(frame, body, problem, theme);
    } else if search.hits.is_empty() {
        nothing(frame, body, model, theme);
    } else {
        found(frame, body, model, theme);
    }
}

fn kinds(model: &Model, room: usize, theme: Theme) -> Line<'static> {
    let style = |chosen: bool| if chosen { theme.chosen() } else { theme.dim() };
    let kind = model.search.kind;
    let mut spans = vec![
        Span::styled("Kind ", theme.dim()),
        Span::styled(" all ", style(kind.is_none())),
    ];
    for other in Kind::ALL {
        let label = format!(" {} ", other.name());
        spans.push(Span::styled(label, style(kind == Some(other))));
    }
    let line = Line::from(spans);
    if line.width() <= room {
        return line;
    }
    // Too narrow for all of them.
    let name = kind.map_or("all", Kind::name);
    Line::from(vec![
        Span::styled("Kind ", theme.dim()),
        Span::styled(format!(" ‹ {name} › "), theme.chosen()),
    ])
}

fn nothing(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let search = &model.search;
    if search.words.text().trim().is_empty() {
        let online = match (model.network.known, model.network.peers.len()) {
            (true, 1) => "1 peer is online: tab shows what it shares.".to_owned(),
            (true, peers) => format!("{peers} peers are online: tab shows what they share."),
            (false, _) => "Tab shows who is online and what they share.".to_owned(),
        };
        let lines = [
            "Type words of a name",
            "",
            "In any order; beginnings will do, a typo is forgiven.",
            "\"two words\" that follow each other, -word to leave out.",
            "",
            online.as_str(),
        ];
        return pieces::advice(frame, area, &lines, theme);
    }
    if search.awaited.is_some() || search.answered.is_none() {
        return pieces::advice(frame, area, &["Searching…"], theme);
    }
    let kind = match search.kind {
        Some(kind) => format!(
            "Only {} files were looked for: ^t changes that.",
            kind.name()
        ),
        None => "Fewer or shorter words find more.".to_owned(),
    };
    let why = if search.indexing {
        "The directory is still building its index: more may come."
    } else {
        "Those who have it may be offline."
    };
    let lines = ["Nobody online shares that", "", kind.as_str(), why];
    pieces::advice(frame, area, &lines, theme);
}

fn found(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let search = &model.search;
    let room = usize::from(area.width).saturating_sub(2);
    let is_wide = room >= 60;
    let (size, providers) = (10, if is_wide { 13 } else { 5 });
    let name = room.saturating_sub(size + providers + 2);
    let more = if search.next_cursor.is_some() {
        "+"
    } else {
        ""
    };
    let title = match (search.awaited, search.indexing) {
        _ if model.is_cut_off() => format!("{}{more} found before", search.hits.len()),
        (Some(_), _) => "searching…".to_owned(),
        (None, true) => "the index is being built: more may come".to_owned(),
        (None, false) => format!("{}{more} found", search.hits.len()),
    };
    let head = format!(
        "{} {} {}",
        text::left(&title, name),
        text::right("size", size),
        text::right(if is_wide { "providers" } else { "peers" }, providers)
    );
    frame.render_widget(Line::styled(head, theme.dim()), pieces::row(area, 0));
    let list = List {
        len: search.hits.len(),
        tall: 1,
        chosen: &search.chosen,
        is_active: search.focus == Focus::Results,
    };
    list.draw(frame, pieces::below(area, 1), theme, |place| {
        let hit = &search.hits[place];
        let (plain, mark) = (theme.plain(), theme.matching());
        // Its folder and a peer after it, quietly, where there is room: names alone do not tell
        // two files apart.
        let found = found_in(hit);
        let own = text::width(&display::escape(&hit.name)) + 2;
        let (name, rest) = match name.saturating_sub(own) {
            rest if rest >= PLACE && !found.is_empty() => (own, rest),
            _ => (name, 0),
        };
        let mut spans = text::marked(&hit.name, &hit.matches, name, plain, mark);
        if rest > 0 {
            spans.push(Span::styled(text::left_name(&found, rest), theme.dim()));
        }
        let size = text::right(&display::bytes(hit.size), size);
        spans.push(Span::styled(format!(" {size}"), theme.dim()));
        let from = if is_wide {
            text::count(hit.providers, "provider", "providers")
        } else {
            hit.providers.to_string()
        };
        let style = if hit.providers > 1 {
            theme.good()
        } else {
            theme.dim()
        };
        let from = text::right(&from, providers);
        spans.push(Span::styled(format!(" {from}"), style));
        vec![Line::from(spans)]
    });
}
