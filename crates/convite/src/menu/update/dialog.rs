//! Keys of what stands in front.

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::{edited, leave, loads, puts, transfers};
use crate::menu::message::Effect;
use crate::menu::model::{Confirm, Consequence, Dialog, Model};

pub(super) fn pressed(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    let Some(dialog) = model.dialog.take() else {
        return;
    };
    if key.code == KeyCode::Esc {
        return;
    }
    match dialog {
        Dialog::Help | Dialog::Invitation => {
            let closes = matches!(
                key.code,
                KeyCode::Enter | KeyCode::F(1) | KeyCode::Char('?' | 'q' | 'i' | ' ')
            );
            if !closes {
                model.dialog = Some(dialog);
            }
        }
        Dialog::Confirm(confirm) => confirmed(model, confirm, key, effects),
        Dialog::Load(load) => loads::pressed(model, load, key, effects),
        Dialog::Get(get) if key.code == KeyCode::Enter => {
            let folder = get.folder.text().trim().to_owned();
            if folder.is_empty() {
                model.tell("name the folder that it goes to");
                model.dialog = Some(Dialog::Get(get));
                return;
            }
            model.folder.clone_from(&folder);
            transfers::get(model, get.hash, get.name, get.size, folder, effects);
        }
        Dialog::Put(put) if key.code == KeyCode::Enter => puts::begin(model, put, effects),
        Dialog::Share(path) if key.code == KeyCode::Enter => {
            if path.is_empty() {
                model.dialog = Some(Dialog::Share(path));
            } else {
                effects.push(Effect::Share(path.text().trim().to_owned()));
            }
        }
        mut other => {
            if let Some(input) = other.input() {
                edited(input, key);
            }
            model.dialog = Some(other);
        }
    }
}

fn confirmed(model: &mut Model, mut confirm: Confirm, key: KeyEvent, effects: &mut Vec<Effect>) {
    let yes = match key.code {
        KeyCode::Char('y') => true,
        KeyCode::Char('n' | 'q') => return,
        KeyCode::Enter => confirm.is_yes,
        KeyCode::Left | KeyCode::Right | KeyCode::Tab | KeyCode::BackTab => {
            confirm.is_yes = !confirm.is_yes;
            return model.dialog = Some(Dialog::Confirm(confirm));
        }
        _ => return model.dialog = Some(Dialog::Confirm(confirm)),
    };
    if !yes {
        return;
    }
    match confirm.then {
        Consequence::Quit => leave(model, effects),
        Consequence::Unshare(folder) => effects.push(Effect::Unshare(folder)),
        Consequence::Cancel(id) => transfers::cancel(model, id, effects),
    }
}
