//! Keys of the form that lets a newcomer in.

use convite_core::Problem;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::edited;
use crate::menu::message::Effect;
use crate::menu::model::{Dialog, Field, Identity, Model};

pub(super) fn pressed(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    let Some(welcome) = &mut model.welcome else {
        return;
    };
    if welcome.busy {
        return;
    }
    let fields = welcome.fields().len();
    match key.code {
        KeyCode::F(1) => model.dialog = Some(Dialog::Help),
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
            let about_link = problem.code == convite_core::ErrorCode::InviteInvalid;
            welcome.refused(problem);
            if about_link && welcome.wants_link {
                welcome.field = Field::Link;
            }
        }
        (Err(problem), None) => model.complain(&problem),
    }
}
