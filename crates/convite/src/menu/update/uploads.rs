//! Uploads: the dialog and the progress.

use convite_core::Problem;
use convite_peer::put::{UploadProgress, UploadResult};

use crate::menu::message::Effect;
use crate::menu::model::{Dialog, Model, TextField, TransferId, UploadDialog, UploadState};

/// Opens the dialog that asks for the file, if the selected peer accepts uploads.
pub(super) fn open_dialog(model: &mut Model) {
    let Some(peer) = model.network.peer() else {
        return;
    };
    let id = peer.id.clone();
    if peer.uploads {
        model.dialog = Some(Dialog::Upload(UploadDialog {
            peer: id,
            file: TextField::default(),
        }));
    } else {
        model.notify(format!(
            "{id} does not accept uploads from you; its owner can allow it with --allow-uploads"
        ));
    }
}

/// Starts the upload of the entered file.
pub(super) fn start(model: &mut Model, upload: UploadDialog, effects: &mut Vec<Effect>) {
    let file = upload.file.text().trim();
    if file.is_empty() {
        model.notify("enter the file to upload");
        model.dialog = Some(Dialog::Upload(upload));
        return;
    }
    let file = model.paths.absolute(file);
    model.notify(format!("uploading to {} (3 shows progress)", upload.peer));
    let id = model.uploads.add(file.clone(), upload.peer.clone());
    effects.push(Effect::Upload {
        id,
        peer: upload.peer,
        file,
    });
}

pub(super) fn progressed(model: &mut Model, id: TransferId, progress: UploadProgress) {
    let now = model.now;
    if let Some(upload) = model.uploads.get(id)
        && upload.state == UploadState::Sending
    {
        // Resumed bytes do not count for the rate.
        if upload.progress.resumed != progress.resumed {
            upload.meter.reset();
        }
        upload.meter.note(now, progress.sent);
        upload.progress = progress;
    }
}

pub(super) fn ended(model: &mut Model, id: TransferId, ended: Result<UploadResult, Problem>) {
    let Some(upload) = model.uploads.get(id) else {
        return;
    };
    upload.meter.reset();
    match ended {
        Ok(done) => {
            upload.progress.sent = done.bytes;
            let text = format!("uploaded as {} on {}", done.path, upload.peer);
            upload.state = UploadState::Done {
                place: done.path,
                took: done.took,
            };
            model.notify(text);
        }
        Err(problem) => {
            upload.state = UploadState::Failed(problem.clone());
            model.show_problem(&problem);
        }
    }
}
