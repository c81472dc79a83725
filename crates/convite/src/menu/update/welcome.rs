//! Keys of the form that lets a newcomer in.

use convite_core::Problem;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::edited;
use crate::menu::message::Effect;
use crate::menu::model::{Dialog, Identity, Model, Scroll};

pub(super) fn pressed(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    let Some(welcome) = &mut model.welcome else {
        return;
    };
    if welcome.busy {
        return;
    }
    let fields = welcome.fields().len();
    let leaves = matches!(
        key.code,
        KeyCode::Tab | KeyCode::BackTab | KeyCode::Down | KeyCode::Up | KeyCode::Enter
    );
    // What is wrong is said where it is typed, not at the end.
    if leaves && welcome.object() {
        return;
    }
    match key.code {
        KeyCode::F(1) => model.dialog = Some(Dialog::Help(Scroll::default())),
        KeyCode::Tab | KeyCode::Down => welcome.step(1),
        KeyCode::BackTab | KeyCode::Up => welcome.step(fields - 1),
        KeyCode::Esc => super::leave(model, effects),
        KeyCode::Enter => match welcome.missing() {
            // The next one first, from wherever Enter was pressed.
            Some(missing) => welcome.field = missing,
            None => {
                welcome.busy = true;
                welcome.problem = None;
                effects.push(Effect::Enter {
                    link: welcome
                        .wants_link
                        .then(|| welcome.link.text().trim().to_owned()),
                    user: welcome.user.text().trim().to_owned(),
                    password: welcome.password(),
                });
            }
        },
        _ => {
            if edited(welcome.input(), key) {
                welcome.problem = None;
            }
        }
    }
}

pub(super) fn entered(
    model: &mut Model,
    answer: Result<Identity, Problem>,
    effects: &mut Vec<Effect>,
) {
    match (answer, &mut model.welcome) {
        (Ok(identity), welcome) => {
            if welcome.take().is_some() {
                model.tell(format!("welcome, {}", identity.user));
            }
            model.identity = identity;
            effects.push(Effect::ListPeers);
        }
        (Err(problem), Some(welcome)) => {
            welcome.refused(problem);
        }
        (Err(problem), None) => model.complain(&problem),
    }
}
