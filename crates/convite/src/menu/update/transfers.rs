//! Transfers: begun, paused, given up, gone on with.

use convite_core::ContentHash;
use convite_core::model::SearchHit;
use convite_peer::download::Progress;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::moved;
use crate::menu::message::Effect;
use crate::menu::model::{
    Confirm, Consequence, Dialog, GetDialog, Input, Model, State, TransferId,
};
use crate::output::place::found_in;

pub(super) fn pressed(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    match key.code {
        KeyCode::Char('p' | ' ') | KeyCode::Enter => {
            if let Some(id) = model.transfers.transfer().map(|transfer| transfer.id) {
                turn(model, id, effects);
            }
        }
        KeyCode::Char('c' | 'd') | KeyCode::Delete => ask_to_cancel(model),
        KeyCode::Char('r') => {
            let Some(transfer) = model.transfers.transfer() else {
                return;
            };
            if matches!(transfer.state, State::Failed(_)) {
                // It may have been the folder.
                let wanted = Wanted {
                    hash: transfer.hash,
                    name: transfer.name.clone(),
                    size: transfer.size,
                    found: String::new(),
                };
                let folder = transfer.folder.clone();
                return ask_where(model, wanted, folder);
            }
            let id = transfer.id;
            again(model, id, effects);
        }
        KeyCode::Char('x') => {
            model.puts.clear();
            if model.transfers.clear() > 0 {
                effects.push(Effect::Remember(model.memory()));
            }
        }
        _ => {
            let len = model.transfers.all.len();
            moved(&mut model.transfers.chosen, key, len);
        }
    }
}

/// Pauses what runs, and goes on with what does not.
fn turn(model: &mut Model, id: TransferId, effects: &mut Vec<Effect>) {
    let Some(transfer) = model.transfers.get(id) else {
        return;
    };
    match transfer.state {
        State::Running => {
            transfer.state = State::Paused;
            transfer.meter.reset();
            effects.push(Effect::Pause(id));
        }
        State::Waiting => transfer.state = State::Paused,
        State::Paused => {
            transfer.state = State::Waiting;
            transfer.meter.reset();
        }
        State::Stopped | State::Failed(_) => return again(model, id, effects),
        State::Done { .. } => {}
    }
    schedule(model, effects);
}

/// Tries once more what failed or was given up; it goes on from what is kept.
fn again(model: &mut Model, id: TransferId, effects: &mut Vec<Effect>) {
    if let Some(transfer) = model.transfers.get(id)
        && matches!(transfer.state, State::Stopped | State::Failed(_))
    {
        transfer.state = State::Waiting;
        transfer.meter.reset();
        schedule(model, effects);
    }
}

fn ask_to_cancel(model: &mut Model) {
    let Some(transfer) = model.transfers.transfer() else {
        return;
    };
    if transfer.state.is_over() {
        return;
    }
    let (id, name) = (transfer.id, transfer.name.clone());
    model.dialog = Some(Dialog::Confirm(Confirm {
        question: format!("Give up {name}?"),
        detail: "What was fetched is kept: r goes on from there.".to_owned(),
        yes: "Give up",
        no: "Go on",
        is_yes: false,
        then: Consequence::Cancel(id),
    }));
}

/// Gives a transfer up.
pub(super) fn cancel(model: &mut Model, id: TransferId, effects: &mut Vec<Effect>) {
    let Some(transfer) = model.transfers.get(id) else {
        return;
    };
    if transfer.begun {
        // It says itself when it is over.
        effects.push(Effect::Cancel(id));
    } else if !transfer.state.is_over() {
        transfer.state = State::Stopped;
        effects.push(Effect::Remember(model.memory()));
    }
}

/// A file that is to be fetched.
pub(super) struct Wanted {
    pub hash: ContentHash,
    pub name: String,
    pub size: u64,
    /// The folder and the peer that it is found in, where that is known.
    pub found: String,
}

impl Wanted {
    /// What a search found.
    pub fn of(hit: &SearchHit) -> Self {
        Self {
            hash: hit.hash,
            name: hit.name.clone(),
            size: hit.size,
            found: found_in(hit),
        }
    }
}

/// Asks where a file goes; `folder` is offered.
pub(super) fn ask_where(model: &mut Model, wanted: Wanted, folder: String) {
    model.dialog = Some(Dialog::Get(GetDialog {
        hash: wanted.hash,
        name: wanted.name,
        size: wanted.size,
        found: wanted.found,
        folder: Input::with(folder),
    }));
}

/// Fetches a file into a folder, named by its whole path.
pub(super) fn get(model: &mut Model, wanted: Wanted, folder: String, effects: &mut Vec<Effect>) {
    let Wanted {
        hash, name, size, ..
    } = wanted;
    if let Some(known) = model.transfers.of(&hash) {
        let (id, is_over) = (known.id, known.state.is_over());
        if is_over {
            known.folder.clone_from(&folder);
            again(model, id, effects);
            model.tell(format!("going on with {name}, into {folder}"));
            model.trying = Some((id, folder));
        } else {
            model.tell(format!("{name} is among the transfers already"));
        }
        return;
    }
    model.tell(format!("fetching {name} into {folder} (3 shows it)"));
    let id = model.transfers.add(name, size, hash, folder.clone());
    model.trying = Some((id, folder));
    schedule(model, effects);
    effects.push(Effect::Remember(model.memory()));
}

/// Begins what waits, as far as there is room.
fn schedule(model: &mut Model, effects: &mut Vec<Effect>) {
    while let Some(next) = model.transfers.begin_next() {
        if std::mem::replace(&mut next.begun, true) {
            effects.push(Effect::Resume(next.id));
            continue;
        }
        effects.push(Effect::Get {
            id: next.id,
            hash: next.hash,
            name: next.name.clone(),
            folder: next.folder.clone(),
        });
    }
}

pub(super) fn progressed(model: &mut Model, id: TransferId, progress: Progress) {
    let now = model.now;
    let Some(transfer) = model.transfers.get(id) else {
        return;
    };
    if transfer.state.is_over() {
        return;
    }
    // What was there before did not come just now.
    if transfer.progress.resumed != progress.resumed {
        transfer.meter.reset();
    }
    if progress.size > 0 {
        transfer.size = progress.size;
        if transfer.state == State::Running {
            transfer.meter.note(now, progress.verified);
        }
    }
    transfer.progress = progress;
}

pub(super) fn ended(model: &mut Model, id: TransferId, state: State, effects: &mut Vec<Effect>) {
    let Some(transfer) = model.transfers.get(id) else {
        return;
    };
    if !transfer.begun || !state.is_over() {
        return;
    }
    transfer.begun = false;
    transfer.meter.reset();
    transfer.progress.providers = 0;
    if matches!(state, State::Done { .. }) {
        transfer.progress.verified = transfer.size;
    }
    if let Some((_, folder)) = model.trying.take_if(|(tried, _)| *tried == id)
        && matches!(state, State::Done { .. })
    {
        model.folder = folder;
    }
    let told = match &state {
        State::Done { place, .. } => Ok(format!("done: {place}")),
        State::Failed(problem) => Err(problem.clone()),
        _ => Ok(format!("stopped: {}", transfer.name)),
    };
    transfer.state = state;
    match told {
        Ok(text) => model.tell(text),
        Err(problem) => model.complain(&problem),
    }
    if model.leaving {
        return;
    }
    schedule(model, effects);
    effects.push(Effect::Remember(model.memory()));
}
