//! Keys of the dialogs.

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::keys::{PAGE_ROWS, edited, leave};
use super::{remote_fetches, shares, transfers, uploads};
use crate::menu::message::Effect;
use crate::menu::model::{Confirm, ConfirmedAction, Dialog, Model};

pub(super) fn pressed(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    let Some(dialog) = model.dialog.take() else {
        return;
    };
    if key.code == KeyCode::Esc {
        return;
    }
    match dialog {
        Dialog::Help(scroll) => {
            match key.code {
                KeyCode::Enter | KeyCode::F(1) | KeyCode::Char('?' | 'q' | ' ') => return,
                KeyCode::Up | KeyCode::Char('k') => scroll.up(1),
                KeyCode::Down | KeyCode::Char('j') => scroll.down(1),
                KeyCode::PageUp | KeyCode::Home => scroll.up(PAGE_ROWS),
                KeyCode::PageDown | KeyCode::End => scroll.down(PAGE_ROWS),
                _ => {}
            }
            model.dialog = Some(Dialog::Help(scroll));
        }
        Dialog::Invitation => {
            let closes = matches!(
                key.code,
                KeyCode::Enter | KeyCode::F(1) | KeyCode::Char('?' | 'q' | 'i' | ' ')
            );
            if !closes {
                model.dialog = Some(dialog);
            }
        }
        Dialog::Confirm(confirm) => confirmed(model, confirm, key, effects),
        Dialog::RemoteFetch(load) => remote_fetches::pressed(model, load, key, effects),
        Dialog::Get(get) if key.code == KeyCode::Enter => {
            let folder = get.folder.text().trim();
            if folder.is_empty() {
                model.notify("enter the target folder");
                model.dialog = Some(Dialog::Get(get));
                return;
            }
            let folder = model.paths.absolute(folder);
            let wanted = transfers::FileChoice {
                hash: get.hash,
                name: get.name,
                size: get.size,
                found: get.found,
            };
            transfers::get(model, wanted, folder, effects);
        }
        Dialog::Upload(upload) if key.code == KeyCode::Enter => {
            uploads::start(model, upload, effects)
        }
        Dialog::Share(share) => shares::share_dialog_pressed(model, share, key, effects),
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
        ConfirmedAction::Quit => leave(model, effects),
        ConfirmedAction::Unshare(folder) => effects.push(Effect::Unshare(folder)),
        ConfirmedAction::Cancel(id) => transfers::cancel(model, id, effects),
    }
}
