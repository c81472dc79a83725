//! Keys of the network screen.

use convite_core::model::FileEntry;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::keys::moved;
use super::transfers::FileChoice;
use super::{remote_fetches, transfers, uploads};
use crate::menu::message::Effect;
use crate::menu::model::{Model, NetworkList, RemoteFetchDialog};

pub(super) fn pressed(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    match model.network.shown_list() {
        NetworkList::Peers => at_peers(model, key, effects),
        NetworkList::Files => at_files(model, key, effects),
    }
}

fn at_peers(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    match key.code {
        KeyCode::Enter | KeyCode::Right => {
            if let Some(peer) = model.network.peer().map(|peer| peer.id.clone()) {
                let ticket = model.ticket();
                model.network.enter(peer.clone(), ticket);
                effects.push(Effect::ListFiles {
                    ticket,
                    peer,
                    cursor: None,
                });
            }
        }
        KeyCode::Char('r') => effects.push(Effect::ListPeers),
        KeyCode::Char('u') => uploads::open_dialog(model),
        _ => {
            let len = model.network.peers.len();
            moved(&mut model.network.chosen_peer, key, len);
        }
    }
}

fn at_files(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    match key.code {
        KeyCode::Enter | KeyCode::Right => {
            if let Some(file) = model.network.open() {
                let wanted = wanted(model, &file);
                transfers::open_dialog(model, wanted, model.suggested_folder());
            }
        }
        KeyCode::Char('l') => {
            if let Some(file) = model.network.file() {
                let load = RemoteFetchDialog {
                    hash: file.hash,
                    name: file.path.file_name().to_owned(),
                    size: file.size,
                    holders: model.network.open_peer.clone().into_iter().collect(),
                    chosen: None,
                };
                remote_fetches::open_dialog(model, load, effects);
            }
        }
        KeyCode::Char('g') => {
            if let Some(file) = model.network.file() {
                let (wanted, folder) = (wanted(model, file), model.suggested_folder());
                transfers::get(model, wanted, folder, effects);
            }
        }
        KeyCode::Esc | KeyCode::Left | KeyCode::Backspace => {
            model.network.leave();
            if model.network.shown_list() == NetworkList::Peers {
                effects.push(Effect::ListPeers);
            }
        }
        KeyCode::Char('r') => {
            if let Some(peer) = model.network.open_peer.clone() {
                let ticket = model.ticket();
                let folder = std::mem::take(&mut model.network.folder);
                model.network.enter(peer.clone(), ticket);
                model.network.folder = folder;
                effects.push(Effect::ListFiles {
                    ticket,
                    peer,
                    cursor: None,
                });
            }
        }
        _ => {
            let len = model.network.rows.len();
            moved(&mut model.network.chosen, key, len);
        }
    }
}

fn wanted(model: &Model, file: &FileEntry) -> FileChoice {
    let path = file.path.as_str();
    let peer = model.network.open_peer.as_ref().map(ToString::to_string);
    let parts = [
        path.rsplit_once('/').map(|(folder, _)| folder),
        peer.as_deref(),
    ];
    FileChoice {
        hash: file.hash,
        name: file.path.file_name().to_owned(),
        size: file.size,
        found: parts.into_iter().flatten().collect::<Vec<_>>().join(" · "),
    }
}
