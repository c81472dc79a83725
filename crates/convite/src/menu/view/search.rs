//! The search screen: words, kinds, results.

use convite_core::display;
use convite_core::file_kind::FileKind;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::text;
use super::theme::Theme;
use super::widgets::{self, List};
use crate::menu::model::{Focus, Model};
use crate::output::location::location;

/// The minimum columns for the location of a file.
const LOCATION_WIDTH_MIN: usize = 8;

pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let search = &model.search;
    let room = usize::from(area.width);
    let typing = search.focus == Focus::Words && model.dialog.is_none();
    let style = if typing { theme.title() } else { theme.dim() };
    let mut line = vec![Span::styled("Find  ", style)];
    if search.words.is_empty() && !typing {
        line.push(Span::styled("press / and type", theme.dim()));
    } else {
        let typed = widgets::text_field(&search.words, room.saturating_sub(6), typing, theme);
        line.extend(typed.spans);
    }
    frame.render_widget(Line::from(line), widgets::row(area, 0));
    frame.render_widget(kinds(model, room, theme), widgets::row(area, 1));
    widgets::rule(frame, widgets::row(area, 2), theme);
    let body = widgets::below(area, 3);
    let is_stale = model.is_directory_unreachable() && !search.hits.is_empty();
    if let Some(problem) = search.problem.as_ref().filter(|_| !is_stale) {
        widgets::draw_problem(frame, body, problem, theme);
    } else if search.hits.is_empty() {
        no_results(frame, body, model, theme);
    } else {
        results(frame, body, model, theme);
    }
}

fn kinds(model: &Model, room: usize, theme: Theme) -> Line<'static> {
    let style = |chosen: bool| {
        if chosen {
            theme.selected()
        } else {
            theme.dim()
        }
    };
    let kind = model.search.kind;
    let mut spans = vec![
        Span::styled("Kind ", theme.dim()),
        Span::styled(" all ", style(kind.is_none())),
    ];
    for other in FileKind::ALL {
        let label = format!(" {} ", other.name());
        spans.push(Span::styled(label, style(kind == Some(other))));
    }
    let line = Line::from(spans);
    if line.width() <= room {
        return line;
    }
    // All kinds do not fit.
    let name = kind.map_or("all", FileKind::name);
    Line::from(vec![
        Span::styled("Kind ", theme.dim()),
        Span::styled(format!(" ‹ {name} › "), theme.selected()),
    ])
}

fn no_results(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let search = &model.search;
    if search.words.text().trim().is_empty() {
        let online = match (model.network.is_loaded, model.network.peers.len()) {
            (true, 1) => "1 peer is online; tab shows its files.".to_owned(),
            (true, peers) => format!("{peers} peers are online; tab shows their files."),
            (false, _) => "Tab shows the peers online and their files.".to_owned(),
        };
        let lines = [
            "Type words of a file name",
            "",
            "Any order; prefixes match; one typo is allowed.",
            "\"two words\" for a phrase, -word excludes a word.",
            "",
            online.as_str(),
        ];
        return widgets::centered(frame, area, &lines, theme);
    }
    if search.pending.is_some() || search.answered_words.is_none() {
        return widgets::centered(frame, area, &["Searching…"], theme);
    }
    let kind = match search.kind {
        Some(kind) => format!(
            "Only {} files were searched; ^t changes the kind.",
            kind.name()
        ),
        None => "Fewer or shorter words find more.".to_owned(),
    };
    let why = if search.indexing {
        "The directory is building its index; more results may follow."
    } else {
        "Peers that have the file may be offline."
    };
    let lines = ["No files found", "", kind.as_str(), why];
    widgets::centered(frame, area, &lines, theme);
}

fn results(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
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
    let title = match (search.pending, search.indexing) {
        _ if model.is_directory_unreachable() => {
            format!("{}{more} found earlier", search.hits.len())
        }
        (Some(_), _) => "searching…".to_owned(),
        (None, true) => "building the index; more may follow".to_owned(),
        (None, false) => format!("{}{more} found", search.hits.len()),
    };
    let head = format!(
        "{} {} {}",
        text::pad_end(&title, name),
        text::pad_start("size", size),
        text::pad_start(if is_wide { "sources" } else { "peers" }, providers)
    );
    frame.render_widget(Line::styled(head, theme.dim()), widgets::row(area, 0));
    let list = List {
        len: search.hits.len(),
        tall: 1,
        chosen: &search.chosen,
        is_active: search.focus == Focus::Results,
    };
    list.draw(frame, widgets::below(area, 1), theme, |place| {
        let hit = &search.hits[place];
        let (plain, mark) = (theme.plain(), theme.highlight());
        // The folder and a peer follow the name if there is room, because names are not unique.
        let found = location(hit);
        let own = text::width(&display::escape(&hit.name)) + 2;
        let (name, rest) = match name.saturating_sub(own) {
            rest if rest >= LOCATION_WIDTH_MIN && !found.is_empty() => (own, rest),
            _ => (name, 0),
        };
        let mut spans = text::marked(&hit.name, &hit.matches, name, plain, mark);
        if rest > 0 {
            spans.push(Span::styled(text::pad_end_name(&found, rest), theme.dim()));
        }
        let size = text::pad_start(&display::format_bytes(hit.size), size);
        spans.push(Span::styled(format!(" {size}"), theme.dim()));
        let from = if is_wide {
            text::count(hit.providers, "source", "sources")
        } else {
            hit.providers.to_string()
        };
        let style = if hit.providers > 1 {
            theme.success()
        } else {
            theme.dim()
        };
        let from = text::pad_start(&from, providers);
        spans.push(Span::styled(format!(" {from}"), style));
        vec![Line::from(spans)]
    });
}
