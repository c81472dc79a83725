//! Keys and actions that several screens share.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::menu::message::Effect;
use crate::menu::model::{Model, Selection, TextField};

/// The number of rows that a page key moves.
pub const PAGE_ROWS: usize = 10;

/// Moves the selection of a list. Returns whether the key was handled.
pub fn moved(selection: &mut Selection, key: KeyEvent, len: usize) -> bool {
    match key.code {
        KeyCode::Up | KeyCode::Char('k') => selection.up(1),
        KeyCode::Down | KeyCode::Char('j') => selection.down(1, len),
        KeyCode::PageUp => selection.up(PAGE_ROWS),
        KeyCode::PageDown => selection.down(PAGE_ROWS, len),
        KeyCode::Home => selection.choose(0, len),
        KeyCode::End | KeyCode::Char('G') => selection.end(len),
        _ => return false,
    }
    true
}

/// Edits a text field. Returns whether its text changed.
pub fn edited(input: &mut TextField, key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    match key.code {
        KeyCode::Char('u') if control => return input.clear(),
        KeyCode::Char('w') if control => return input.delete_word(),
        KeyCode::Char('a') if control => input.home(),
        KeyCode::Char('e') if control => input.end(),
        KeyCode::Char(c) if !control && !alt => return input.insert(c.encode_utf8(&mut [0; 4])),
        KeyCode::Backspace if control || alt => return input.delete_word(),
        KeyCode::Backspace => return input.backspace(),
        KeyCode::Delete => return input.delete(),
        KeyCode::Left => input.left(),
        KeyCode::Right => input.right(),
        KeyCode::Home => input.home(),
        KeyCode::End => input.end(),
        _ => {}
    }
    false
}

/// Saves the state of the menu and quits.
pub fn leave(model: &mut Model, effects: &mut Vec<Effect>) {
    if !model.leaving {
        model.leaving = true;
        model.dialog = None;
        if model.login.is_none() {
            effects.push(Effect::Save(model.saved_state()));
        }
        effects.push(Effect::Quit);
    }
}
