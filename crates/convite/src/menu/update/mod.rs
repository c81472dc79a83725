//! The update function: changes the model for a message and returns effects. Pure.

mod dialog;
mod keys;
mod login;
mod network;
mod remote_fetches;
mod search;
mod shares;
#[cfg(test)]
mod tests;
mod transfers;
mod uploads;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::message::{Effect, Message};
use super::model::{Confirm, ConfirmedAction, Dialog, Focus, LoginForm, Model, Screen, Scroll};
use keys::{leave, moved};

/// Applies a message to the model and returns the effects to perform.
pub fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    let mut effects = Vec::new();
    match message {
        Message::Key(key) if key.kind != KeyEventKind::Release => {
            pressed(model, key, &mut effects);
        }
        Message::Key(_) => {}
        Message::Pasted(text) => pasted(model, &text, &mut effects),
        Message::Tick(now) => model.advance_time(now),
        Message::Stop => leave(model, &mut effects),
        Message::SearchResult {
            ticket,
            more,
            answer,
        } => {
            model.record_answer(&answer);
            model.search.apply(ticket, more, answer);
        }
        Message::Peers(answer) => {
            model.record_answer(&answer);
            model.network.set_peers(answer);
        }
        Message::Files { ticket, answer } => {
            model.record_answer(&answer);
            let next = model.network.add_files(ticket, answer);
            if let (Some(cursor), Some(peer)) = (next, model.network.open_peer.clone()) {
                effects.push(Effect::ListFiles {
                    ticket,
                    peer,
                    cursor: Some(cursor),
                });
            }
        }
        Message::Progress(id, progress) => transfers::progressed(model, id, progress),
        Message::Ended(id, state) => transfers::ended(model, id, state, &mut effects),
        Message::RemoteFetches(loads) => model.remote_fetches.all = loads,
        Message::UploadProgress(id, progress) => uploads::progressed(model, id, progress),
        Message::UploadEnded(id, done) => uploads::ended(model, id, done),
        Message::RemoteFetchRequested(Ok(text)) => {
            model.notify(text);
            effects.push(Effect::ListRemoteFetches);
        }
        Message::RemoteFetchRequested(Err(problem)) => model.show_problem(&problem),
        Message::Status(status) => {
            model.sent.note(model.now, status.bytes_served);
            model.shares.take(status.shares.clone());
            model.peer = Some(status);
        }
        Message::LogLines(lines) => model.log(lines),
        Message::LoggedIn(answer) => login::entered(model, answer, &mut effects),
        Message::ShareResult(answer) => shares::shared(model, answer),
    }
    effects
}

fn pressed(model: &mut Model, key: KeyEvent, effects: &mut Vec<Effect>) {
    if model.leaving {
        return;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c' | 'q') if control => return ask_to_quit(model, effects),
        KeyCode::Char('z') if control => return effects.push(Effect::Suspend),
        KeyCode::Char('l') if control => return effects.push(Effect::Redraw),
        _ => {}
    }
    model.notice = None;
    if model.dialog.is_some() {
        return dialog::pressed(model, key, effects);
    }
    if model.login.is_some() {
        return login::pressed(model, key, effects);
    }
    match key.code {
        KeyCode::F(1) | KeyCode::Char('?') => {
            return model.dialog = Some(Dialog::Help(Scroll::default()));
        }
        KeyCode::Tab => return show(model, model.screen.offset_by(1), effects),
        KeyCode::BackTab => {
            let left = model.screen.offset_by(Screen::ALL.len() - 1);
            return show(model, left, effects);
        }
        _ => {}
    }
    // While typing, a digit is text, except with alt.
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    if let KeyCode::Char(digit @ '1'..='5') = key.code
        && (alt || !model.is_typing())
    {
        let place = digit as usize - '1' as usize;
        return show(model, Screen::ALL[place], effects);
    }
    if !model.is_typing() && !control {
        match key.code {
            KeyCode::Char('q') => return ask_to_quit(model, effects),
            KeyCode::Char('/') => {
                model.search.focus = Focus::Words;
                return show(model, Screen::Search, effects);
            }
            KeyCode::Char('i') if model.invitation.is_some() => {
                return model.dialog = Some(Dialog::Invitation);
            }
            _ => {}
        }
    }
    match model.screen {
        Screen::Search => search::pressed(model, key, effects),
        Screen::Network => network::pressed(model, key, effects),
        Screen::Transfers => transfers::pressed(model, key, effects),
        Screen::Shares => shares::pressed(model, key),
        Screen::Activity => {
            let lines = model.lines.len();
            moved(&mut model.activity, key, lines);
            model.is_following_log = model.activity.at() + 1 >= lines;
        }
    }
}

/// Shows a screen.
fn show(model: &mut Model, screen: Screen, effects: &mut Vec<Effect>) {
    model.screen = screen;
    if screen == Screen::Network {
        effects.push(Effect::ListPeers);
    }
    if screen == Screen::Transfers {
        effects.push(Effect::ListRemoteFetches);
    }
}

fn pasted(model: &mut Model, text: &str, effects: &mut Vec<Effect>) {
    let text = text.trim();
    if let Some(dialog) = &mut model.dialog {
        if let Some(input) = dialog.input() {
            input.insert(text);
        }
    } else if let Some(login) = &mut model.login {
        if !login.busy {
            login.input().insert(text);
            login.problem = None;
        }
    } else if model.screen == Screen::Search {
        model.search.focus = Focus::Words;
        if model.search.words.insert(text) {
            search::ask(model, effects);
        }
    }
}

/// Quits if no transfer is open, else asks for confirmation.
fn ask_to_quit(model: &mut Model, effects: &mut Vec<Effect>) {
    let open = model.downloads.unfinished_count() + model.uploads.unfinished_count();
    let asked = matches!(
        &model.dialog,
        Some(Dialog::Confirm(confirm)) if confirm.then == ConfirmedAction::Quit
    );
    if open == 0 || asked {
        return leave(model, effects);
    }
    let transfers = match open {
        1 => "1 transfer is".to_owned(),
        open => format!("{open} transfers are"),
    };
    model.dialog = Some(Dialog::Confirm(Confirm {
        question: format!("{transfers} not finished. Leave the network?"),
        detail: "Downloaded parts are kept and resume next time.".to_owned(),
        yes: "Leave",
        no: "Stay",
        is_yes: false,
        then: ConfirmedAction::Quit,
    }));
}

/// Shows the login form, for a home without a session.
pub fn show_login(model: &mut Model, needs_link: bool, user: &str) {
    model.login = Some(LoginForm::new(needs_link, user));
}
