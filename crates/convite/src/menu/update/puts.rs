//! Uploads: a file is named, and goes to a peer's inbox.

use convite_core::Problem;
use convite_peer::put::{Done, Progress};

use crate::menu::message::Effect;
use crate::menu::model::{Dialog, Input, Model, PutDialog, PutState, TransferId};

/// Asks which file goes to the chosen peer.
pub(super) fn ask_what(model: &mut Model) {
    let Some(peer) = model.network.peer() else {
        return;
    };
    let id = peer.id.clone();
    if peer.uploads {
        model.dialog = Some(Dialog::Put(PutDialog {
            peer: id,
            file: Input::default(),
        }));
    } else {
        model.tell(format!(
            "{id} takes no uploads from you: its owner lets you with --allow-uploads"
        ));
    }
}

/// The file is named.
pub(super) fn begin(model: &mut Model, put: PutDialog, effects: &mut Vec<Effect>) {
    let file = put.file.text().trim();
    if file.is_empty() {
        model.tell("name the file to upload");
        model.dialog = Some(Dialog::Put(put));
        return;
    }
    let file = model.paths.absolute(file);
    model.tell(format!("uploading to {} (3 shows how it goes)", put.peer));
    let id = model.puts.add(file.clone(), put.peer.clone());
    effects.push(Effect::Put {
        id,
        peer: put.peer,
        file,
    });
}

pub(super) fn progressed(model: &mut Model, id: TransferId, progress: Progress) {
    let now = model.now;
    if let Some(put) = model.puts.get(id)
        && put.state == PutState::Sending
    {
        // What was there before did not go just now.
        if put.progress.resumed != progress.resumed {
            put.meter.reset();
        }
        put.meter.note(now, progress.sent);
        put.progress = progress;
    }
}

pub(super) fn ended(model: &mut Model, id: TransferId, ended: Result<Done, Problem>) {
    let Some(put) = model.puts.get(id) else {
        return;
    };
    put.meter.reset();
    match ended {
        Ok(done) => {
            put.progress.sent = done.bytes;
            let text = format!("uploaded: it is {} at {}", done.path, put.peer);
            put.state = PutState::Done {
                place: done.path,
                took: done.took,
            };
            model.tell(text);
        }
        Err(problem) => {
            put.state = PutState::Failed(problem.clone());
            model.complain(&problem);
        }
    }
}
