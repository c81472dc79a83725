//! Keys of the remote download dialog.

use convite_core::model::PeerSummary;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use crate::menu::message::Effect;
use crate::menu::model::{Dialog, Model, RemoteFetchDialog};

/// Opens the dialog that asks for the peer.
pub(super) fn open_dialog(model: &mut Model, load: RemoteFetchDialog, effects: &mut Vec<Effect>) {
    model.dialog = Some(Dialog::RemoteFetch(load));
    effects.push(Effect::ListPeers);
}

pub(super) fn pressed(
    model: &mut Model,
    mut load: RemoteFetchDialog,
    key: KeyEvent,
    effects: &mut Vec<Effect>,
) {
    let hosts = model.willing_peers(&load);
    let at = load.at(&hosts);
    let choose = |at: usize| hosts.get(at).map(|peer: &&PeerSummary| peer.id.clone());
    match key.code {
        KeyCode::Enter => {
            if let Some(peer) = choose(at) {
                model.notify(format!("asking {peer} to download {}", load.name));
                return effects.push(Effect::StartRemoteFetch {
                    peer,
                    hash: load.hash,
                    name: load.name,
                });
            }
        }
        KeyCode::Up | KeyCode::Char('k') => load.chosen = choose(at.saturating_sub(1)),
        KeyCode::Down | KeyCode::Char('j') => {
            load.chosen = choose((at + 1).min(hosts.len().saturating_sub(1)));
        }
        _ => {}
    }
    model.dialog = Some(Dialog::RemoteFetch(load));
}
