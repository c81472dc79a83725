//! Keys of the login form.

use convite_core::Problem;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

use super::keys::{edited, leave};
use crate::menu::message::Effect;
use crate::menu::model::{Dialog, Model, Scroll};
use crate::session::AccountInfo;

pub(super) fn pressed(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    let Some(login) = &mut model.login else {
        return;
    };
    if login.busy {
        return;
    }
    let fields = login.fields().len();
    let leaves = matches!(
        key.code,
        KeyCode::Tab | KeyCode::BackTab | KeyCode::Down | KeyCode::Up | KeyCode::Enter
    );
    // An invalid field is reported when it is left, not when the form is submitted.
    if leaves && login.show_invalid() {
        return;
    }
    match key.code {
        KeyCode::F(1) => model.dialog = Some(Dialog::Help(Scroll::default())),
        KeyCode::Tab | KeyCode::Down => login.step(1),
        KeyCode::BackTab | KeyCode::Up => login.step(fields - 1),
        KeyCode::Esc => leave(model, effects),
        KeyCode::Enter => match login.first_empty() {
            // Enter moves to the first empty field.
            Some(missing) => login.field = missing,
            None => {
                login.busy = true;
                login.problem = None;
                effects.push(Effect::Login {
                    link: login
                        .needs_link
                        .then(|| login.link.text().trim().to_owned()),
                    user: login.user.text().trim().to_owned(),
                    password: login.password(),
                });
            }
        },
        _ => {
            if edited(login.input(), key) {
                login.problem = None;
            }
        }
    }
}

pub(super) fn entered(
    model: &mut Model,
    answer: Result<AccountInfo, Problem>,
    effects: &mut Vec<Effect>,
) {
    match (answer, &mut model.login) {
        (Ok(account), login) => {
            if login.take().is_some() {
                model.notify(format!("welcome, {}", account.user));
            }
            model.account = account;
            effects.push(Effect::ListPeers);
        }
        (Err(problem), Some(login)) => {
            login.show_error(problem);
        }
        (Err(problem), None) => model.show_problem(&problem),
    }
}
