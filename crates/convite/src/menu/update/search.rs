//! Keys of the search.

use convite_core::kind::Kind;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::transfers::Wanted;
use super::{edited, loads, moved, transfers};
use crate::menu::message::Effect;
use crate::menu::model::{Focus, LoadDialog, Model};

pub(super) fn pressed(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if control && key.code == KeyCode::Char('t') {
        return turn_kind(model, 1, effects);
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
        KeyCode::Right | KeyCode::Char('t') => turn_kind(model, 1, effects),
        KeyCode::Left => turn_kind(model, Kind::ALL.len(), effects),
        KeyCode::Enter => {
            if let Some(wanted) = search.hit().map(Wanted::of) {
                transfers::ask_where(model, wanted, model.offered());
            }
        }
        KeyCode::Char('l') => {
            if let Some(hit) = search.hit() {
                let load = LoadDialog::of(hit);
                loads::ask_where(model, load, effects);
            }
        }
        KeyCode::Char('g') => {
            if let Some(wanted) = search.hit().map(Wanted::of) {
                let folder = model.offered();
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

/// Only files of the next kind; all of them after the last.
fn turn_kind(model: &mut Model, steps: usize, effects: &mut Vec<Effect>) {
    let all = Kind::ALL.len() + 1;
    let kind = model.search.kind;
    let at = kind.and_then(|kind| Kind::ALL.iter().position(|other| *other == kind));
    let next = (at.map_or(0, |at| at + 1) + steps) % all;
    model.search.kind = next.checked_sub(1).map(|place| Kind::ALL[place]);
    ask(model, effects);
}

/// Asks for what is typed now; the answers to all before are old.
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
    model.search.awaited = Some(ticket);
    effects.push(Effect::Search {
        ticket,
        words,
        kind: model.search.kind,
        cursor: None,
    });
}

/// Asks for the next page when the end is near.
fn ask_for_more(model: &mut Model, effects: &mut Vec<Effect>) {
    let search = &model.search;
    let near = search.chosen.at() + 5 >= search.hits.len();
    if !near || search.awaited.is_some() {
        return;
    }
    let Some(cursor) = search.next_cursor.clone() else {
        return;
    };
    let ticket = model.ticket();
    model.search.awaited = Some(ticket);
    effects.push(Effect::Search {
        ticket,
        words: model.search.words.text().trim().to_owned(),
        kind: model.search.kind,
        cursor: Some(cursor),
    });
}
