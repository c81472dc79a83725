//! Keys of the search screen.

use convite_core::file_kind::FileKind;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::keys::{edited, moved};
use super::transfers::FileChoice;
use super::{remote_fetches, transfers};
use crate::menu::message::Effect;
use crate::menu::model::{Focus, Model, RemoteFetchDialog};

pub(super) fn pressed(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if control && key.code == KeyCode::Char('t') {
        return cycle_kind(model, 1, effects);
    }
    match model.search.focus {
        Focus::Words => typed(model, key, effects),
        Focus::Results => chosen(model, key, effects),
    }
}

fn typed(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    match key.code {
        KeyCode::Down | KeyCode::Enter | KeyCode::PageDown => {
            if !model.search.hits.is_empty() {
                model.search.focus = Focus::Results;
            }
        }
        KeyCode::Esc => {
            if model.search.words.is_empty() {
                model.search.focus = Focus::Results;
            } else {
                model.search.clear();
            }
        }
        _ => {
            if edited(&mut model.search.words, key) {
                ask(model, effects);
            }
        }
    }
}

fn chosen(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    let search = &mut model.search;
    match key.code {
        KeyCode::Up | KeyCode::Char('k') if search.chosen.at() == 0 => {
            search.focus = Focus::Words;
        }
        KeyCode::Esc | KeyCode::Backspace => search.focus = Focus::Words,
        KeyCode::Right | KeyCode::Char('t') => cycle_kind(model, 1, effects),
        KeyCode::Left => cycle_kind(model, FileKind::ALL.len(), effects),
        KeyCode::Enter => {
            if let Some(wanted) = search.hit().map(FileChoice::of) {
                transfers::open_dialog(model, wanted, model.suggested_folder());
            }
        }
        KeyCode::Char('l') => {
            if let Some(hit) = search.hit() {
                let load = RemoteFetchDialog::of(hit);
                remote_fetches::open_dialog(model, load, effects);
            }
        }
        KeyCode::Char('g') => {
            if let Some(wanted) = search.hit().map(FileChoice::of) {
                let folder = model.suggested_folder();
                transfers::get(model, wanted, folder, effects);
            }
        }
        _ => {
            let len = search.hits.len();
            if moved(&mut search.chosen, key, len) {
                ask_for_more(model, effects);
            }
        }
    }
}

/// Filters by the next kind; after the last kind, removes the filter.
fn cycle_kind(model: &mut Model, steps: usize, effects: &mut Vec<Effect>) {
    let all = FileKind::ALL.len() + 1;
    let kind = model.search.kind;
    let at = kind.and_then(|kind| FileKind::ALL.iter().position(|other| *other == kind));
    let next = (at.map_or(0, |at| at + 1) + steps) % all;
    model.search.kind = next.checked_sub(1).map(|place| FileKind::ALL[place]);
    ask(model, effects);
}

/// Starts a search for the typed words; it replaces a pending search.
pub(super) fn ask(model: &mut Model, effects: &mut Vec<Effect>) {
    let words = model.search.words.text().trim().to_owned();
    if words.is_empty() {
        let (focus, typed) = (model.search.focus, model.search.words.clone());
        model.search.clear();
        model.search.focus = focus;
        model.search.words = typed;
        return;
    }
    let ticket = model.ticket();
    model.search.pending = Some(ticket);
    effects.push(Effect::Search {
        ticket,
        words,
        kind: model.search.kind,
        cursor: None,
    });
}

/// Requests the next page when the selection is near the end.
fn ask_for_more(model: &mut Model, effects: &mut Vec<Effect>) {
    let search = &model.search;
    let near = search.chosen.at() + 5 >= search.hits.len();
    if !near || search.pending.is_some() {
        return;
    }
    let Some(cursor) = search.next_cursor.clone() else {
        return;
    };
    let ticket = model.ticket();
    model.search.pending = Some(ticket);
    effects.push(Effect::Search {
        ticket,
        words: model.search.words.text().trim().to_owned(),
        kind: model.search.kind,
        cursor: Some(cursor),
    });
}
