//! Loads: a peer is chosen, and asked.

use convite_core::model::PeerSummary;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use crate::menu::message::Effect;
use crate::menu::model::{Dialog, LoadDialog, Model};

/// Asks on which peer a file is to be loaded.
pub(super) fn ask_where(model: &mut Model, load: LoadDialog, effects: &mut Vec<Effect>) {
    model.dialog = Some(Dialog::Load(load));
    effects.push(Effect::ListPeers);
}

pub(super) fn pressed(
    model: &mut Model,
    mut load: LoadDialog,
    key: KeyEvent,
    effects: &mut Vec<Effect>,
) {
    let hosts = model.hosts(&load);
    let at = load.at(&hosts);
    let choose = |at: usize| hosts.get(at).map(|peer: &&PeerSummary| peer.id.clone());
    match key.code {
        KeyCode::Enter => {
            if let Some(peer) = choose(at) {
                model.tell(format!("asking {peer} to load {}", load.name));
                return effects.push(Effect::Load {
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
    model.dialog = Some(Dialog::Load(load));
}
