//! Keys of the shares.

use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::moved;
use crate::menu::model::{Confirm, Consequence, Dialog, Input, Model};

pub(super) fn pressed(model: &mut Model, key: KeyEvent) {
    match key.code {
        KeyCode::Char('a' | '+') => model.dialog = Some(Dialog::Share(Input::default())),
        KeyCode::Char('x' | 'd') | KeyCode::Delete => {
            if let Some(share) = model.shares.share() {
                model.dialog = Some(Dialog::Confirm(Confirm {
                    question: format!("Stop sharing {}?", share.folder),
                    detail: "The files stay where they are; others can't fetch them any more."
                        .to_owned(),
                    yes: "Stop sharing",
                    no: "Keep",
                    is_yes: false,
                    then: Consequence::Unshare(share.folder.clone()),
                }));
            }
        }
        _ => {
            let len = model.shares.all.len();
            moved(&mut model.shares.chosen, key, len);
        }
    }
}
