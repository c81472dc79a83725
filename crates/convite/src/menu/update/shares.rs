//! Keys of the shares screen.

use convite_core::Problem;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::keys::{edited, moved};
use crate::menu::message::Effect;
use crate::menu::model::{Confirm, ConfirmedAction, Dialog, Model, ShareDialog};

pub(super) fn pressed(model: &mut Model, key: KeyEvent) {
    match key.code {
        KeyCode::Char('a' | '+') => model.dialog = Some(Dialog::Share(ShareDialog::default())),
        KeyCode::Char('x' | 'd') | KeyCode::Delete => {
            if let Some(share) = model.shares.share() {
                model.dialog = Some(Dialog::Confirm(Confirm {
                    question: format!("Stop sharing {}?", share.folder),
                    detail: "The files stay in place; others can no longer download them."
                        .to_owned(),
                    yes: "Stop sharing",
                    no: "Keep",
                    is_yes: false,
                    then: ConfirmedAction::Unshare(share.folder.clone()),
                }));
            }
        }
        _ => {
            let len = model.shares.all.len();
            moved(&mut model.shares.chosen, key, len);
        }
    }
}

/// Handles keys in the share dialog.
pub(super) fn share_dialog_pressed(
    model: &mut Model,
    mut share: ShareDialog,
    key: KeyEvent,
    effects: &mut Vec<Effect>,
) {
    if key.code == KeyCode::Enter {
        let folder = share.folder.text().trim();
        if !folder.is_empty() && !share.busy {
            effects.push(Effect::Share(model.paths.absolute(folder)));
            share.busy = true;
            share.problem = None;
        }
    } else if edited(&mut share.folder, key) {
        share.problem = None;
        share.busy = false;
    }
    model.dialog = Some(Dialog::Share(share));
}

/// Handles the result of sharing or unsharing. After an error the share dialog stays open.
pub(super) fn shared(model: &mut Model, answer: Result<String, Problem>) {
    match (answer, &mut model.dialog) {
        (Err(problem), Some(Dialog::Share(share))) if share.busy => {
            share.busy = false;
            share.problem = Some(problem);
        }
        (Err(problem), _) => model.show_problem(&problem),
        (Ok(text), dialog) => {
            if matches!(dialog, Some(Dialog::Share(share)) if share.busy) {
                *dialog = None;
            }
            model.notify(text);
        }
    }
}
