//! Downloads: start, pause, cancel, resume.

use convite_core::ContentHash;
use convite_core::model::SearchHit;
use convite_peer::download::DownloadProgress;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::keys::moved;
use crate::menu::message::Effect;
use crate::menu::model::{
    Confirm, ConfirmedAction, Dialog, DownloadState, GetDialog, Model, TextField, TransferId,
};
use crate::output::location::location;

pub(super) fn pressed(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    match key.code {
        KeyCode::Char('p' | ' ') | KeyCode::Enter => {
            if let Some(id) = model.downloads.transfer().map(|transfer| transfer.id) {
                toggle(model, id, effects);
            }
        }
        KeyCode::Char('c' | 'd') | KeyCode::Delete => ask_to_cancel(model),
        KeyCode::Char('r') => {
            let Some(transfer) = model.downloads.transfer() else {
                return;
            };
            if matches!(transfer.state, DownloadState::Failed(_)) {
                // The folder may be the cause.
                let wanted = FileChoice {
                    hash: transfer.hash,
                    name: transfer.name.clone(),
                    size: transfer.size,
                    found: String::new(),
                };
                let folder = transfer.folder.clone();
                return open_dialog(model, wanted, folder);
            }
            let id = transfer.id;
            retry(model, id, effects);
        }
        KeyCode::Char('x') => {
            model.uploads.clear();
            if model.downloads.clear() > 0 {
                effects.push(Effect::Save(model.saved_state()));
            }
        }
        _ => {
            let len = model.downloads.all.len();
            moved(&mut model.downloads.chosen, key, len);
        }
    }
}

/// Pauses a running download; resumes or retries others.
fn toggle(model: &mut Model, id: TransferId, effects: &mut Vec<Effect>) {
    let Some(transfer) = model.downloads.get(id) else {
        return;
    };
    match transfer.state {
        DownloadState::Running => {
            transfer.state = DownloadState::Paused;
            transfer.meter.reset();
            effects.push(Effect::Pause(id));
        }
        DownloadState::Waiting => transfer.state = DownloadState::Paused,
        DownloadState::Paused => {
            transfer.state = DownloadState::Waiting;
            transfer.meter.reset();
        }
        DownloadState::Stopped | DownloadState::Failed(_) => return retry(model, id, effects),
        DownloadState::Done { .. } => {}
    }
    schedule(model, effects);
}

/// Retries a failed or cancelled download, which resumes from the kept parts.
fn retry(model: &mut Model, id: TransferId, effects: &mut Vec<Effect>) {
    if let Some(transfer) = model.downloads.get(id)
        && matches!(
            transfer.state,
            DownloadState::Stopped | DownloadState::Failed(_)
        )
    {
        transfer.state = DownloadState::Waiting;
        transfer.meter.reset();
        schedule(model, effects);
    }
}

fn ask_to_cancel(model: &mut Model) {
    let Some(transfer) = model.downloads.transfer() else {
        return;
    };
    if transfer.state.is_over() {
        return;
    }
    let (id, name) = (transfer.id, transfer.name.clone());
    model.dialog = Some(Dialog::Confirm(Confirm {
        question: format!("Cancel the download of {name}?"),
        detail: "Downloaded parts are kept; r resumes the download.".to_owned(),
        yes: "Cancel download",
        no: "Continue",
        is_yes: false,
        then: ConfirmedAction::Cancel(id),
    }));
}

/// Cancels a download.
pub(super) fn cancel(model: &mut Model, id: TransferId, effects: &mut Vec<Effect>) {
    let Some(transfer) = model.downloads.get(id) else {
        return;
    };
    if transfer.has_task {
        // The task reports its end.
        effects.push(Effect::Cancel(id));
    } else if !transfer.state.is_over() {
        transfer.state = DownloadState::Stopped;
        effects.push(Effect::Save(model.saved_state()));
    }
}

/// A file to download.
pub(super) struct FileChoice {
    pub hash: ContentHash,
    pub name: String,
    pub size: u64,
    /// The folder and the peer of the file, if known.
    pub found: String,
}

impl FileChoice {
    /// Converts a search hit.
    pub fn of(hit: &SearchHit) -> Self {
        Self {
            hash: hit.hash,
            name: hit.name.clone(),
            size: hit.size,
            found: location(hit),
        }
    }
}

/// Opens the dialog that asks for the target folder, with `folder` as the suggestion.
pub(super) fn open_dialog(model: &mut Model, wanted: FileChoice, folder: String) {
    model.dialog = Some(Dialog::Get(GetDialog {
        hash: wanted.hash,
        name: wanted.name,
        size: wanted.size,
        found: wanted.found,
        folder: TextField::with(folder),
    }));
}

/// Downloads a file to a folder, given as an absolute path.
pub(super) fn get(
    model: &mut Model,
    wanted: FileChoice,
    folder: String,
    effects: &mut Vec<Effect>,
) {
    let FileChoice {
        hash, name, size, ..
    } = wanted;
    if let Some(known) = model.downloads.unfinished_of(&hash) {
        let (id, is_over) = (known.id, known.state.is_over());
        if is_over {
            known.folder.clone_from(&folder);
            retry(model, id, effects);
            model.notify(format!("resuming {name} in {folder}"));
            model.pending_folder = Some((id, folder));
        } else {
            model.notify(format!("{name} is already in the transfers"));
        }
        return;
    }
    model.notify(format!("downloading {name} to {folder} (3 shows progress)"));
    let id = model.downloads.add(name, size, hash, folder.clone());
    model.pending_folder = Some((id, folder));
    schedule(model, effects);
    effects.push(Effect::Save(model.saved_state()));
}

/// Starts or resumes waiting downloads, up to the maximum.
fn schedule(model: &mut Model, effects: &mut Vec<Effect>) {
    while let Some(next) = model.downloads.start_next() {
        if std::mem::replace(&mut next.has_task, true) {
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

pub(super) fn progressed(model: &mut Model, id: TransferId, progress: DownloadProgress) {
    let now = model.now;
    let Some(transfer) = model.downloads.get(id) else {
        return;
    };
    if transfer.state.is_over() {
        return;
    }
    // Resumed bytes do not count for the rate.
    if transfer.progress.resumed != progress.resumed {
        transfer.meter.reset();
    }
    if progress.size > 0 {
        transfer.size = progress.size;
        if transfer.state == DownloadState::Running {
            transfer.meter.note(now, progress.verified);
        }
    }
    transfer.progress = progress;
}

pub(super) fn ended(
    model: &mut Model,
    id: TransferId,
    state: DownloadState,
    effects: &mut Vec<Effect>,
) {
    let Some(transfer) = model.downloads.get(id) else {
        return;
    };
    if !transfer.has_task || !state.is_over() {
        return;
    }
    transfer.has_task = false;
    transfer.meter.reset();
    transfer.progress.providers = 0;
    if matches!(state, DownloadState::Done { .. }) {
        transfer.progress.verified = transfer.size;
    }
    if let Some((_, folder)) = model.pending_folder.take_if(|(tried, _)| *tried == id)
        && matches!(state, DownloadState::Done { .. })
    {
        model.folder = folder;
    }
    let told = match &state {
        DownloadState::Done { place, .. } => Ok(format!("done: {place}")),
        DownloadState::Failed(problem) => Err(problem.clone()),
        _ => Ok(format!("stopped: {}", transfer.name)),
    };
    transfer.state = state;
    match told {
        Ok(text) => model.notify(text),
        Err(problem) => model.show_problem(&problem),
    }
    if model.leaving {
        return;
    }
    schedule(model, effects);
    effects.push(Effect::Save(model.saved_state()));
}
