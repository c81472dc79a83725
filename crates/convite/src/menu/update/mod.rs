//! What follows from what happens: the model changes, and effects are returned. Pure.

mod dialog;
mod loads;
mod network;
mod puts;
mod search;
mod shares;
#[cfg(test)]
mod tests;
mod transfers;
mod welcome;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::message::{Effect, Message};
use super::model::{
    Confirm, Consequence, Dialog, Input, Model, Screen, Scroll, Selection, Welcome,
};

/// Rows that a page key goes.
const PAGE: usize = 10;

/// Takes a message, and says what is to be done.
pub fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    let mut effects = Vec::new();
    match message {
        Message::Key(key) if key.kind != KeyEventKind::Release => {
            pressed(model, key, &mut effects);
        }
        Message::Key(_) => {}
        Message::Pasted(text) => pasted(model, &text, &mut effects),
        Message::Tick(now) => model.age(now),
        Message::Stop => leave(model, &mut effects),
        Message::Found {
            ticket,
            more,
            answer,
        } => {
            model.heard(&answer);
            model.search.take(ticket, more, answer);
        }
        Message::Peers(answer) => {
            model.heard(&answer);
            model.network.take_peers(answer);
        }
        Message::Files { ticket, answer } => {
            model.heard(&answer);
            let next = model.network.take_files(ticket, answer);
            if let (Some(cursor), Some(peer)) = (next, model.network.inside.clone()) {
                effects.push(Effect::ListFiles {
                    ticket,
                    peer,
                    cursor: Some(cursor),
                });
            }
        }
        Message::Progress(id, progress) => transfers::progressed(model, id, progress),
        Message::Ended(id, state) => transfers::ended(model, id, state, &mut effects),
        Message::Loads(loads) => model.loads.all = loads,
        Message::PutProgress(id, progress) => puts::progressed(model, id, progress),
        Message::PutEnded(id, done) => puts::ended(model, id, done),
        Message::Asked(Ok(text)) => {
            model.tell(text);
            effects.push(Effect::ListLoads);
        }
        Message::Asked(Err(problem)) => model.complain(&problem),
        Message::Status(status) => {
            model.sent.note(model.now, status.bytes_served);
            model.shares.take(status.shares.clone());
            model.peer = Some(status);
        }
        Message::Logged(lines) => model.log(lines),
        Message::Entered(answer) => welcome::entered(model, answer, &mut effects),
        Message::Shared(answer) => shares::shared(model, answer),
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
    if model.welcome.is_some() {
        return welcome::pressed(model, key, effects);
    }
    match key.code {
        KeyCode::F(1) | KeyCode::Char('?') => {
            return model.dialog = Some(Dialog::Help(Scroll::default()));
        }
        KeyCode::Tab => return show(model, model.screen.beside(1), effects),
        KeyCode::BackTab => {
            let left = model.screen.beside(Screen::ALL.len() - 1);
            return show(model, left, effects);
        }
        _ => {}
    }
    // A search may begin with a digit.
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
                model.search.focus = super::model::Focus::Words;
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
            model.follows = model.activity.at() + 1 >= lines;
        }
    }
}

/// Turns to a screen.
fn show(model: &mut Model, screen: Screen, effects: &mut Vec<Effect>) {
    model.screen = screen;
    if screen == Screen::Network {
        effects.push(Effect::ListPeers);
    }
    if screen == Screen::Transfers {
        effects.push(Effect::ListLoads);
    }
}

/// Moves in a list, if the key is for that.
fn moved(selection: &mut Selection, key: KeyEvent, len: usize) -> bool {
    match key.code {
        KeyCode::Up | KeyCode::Char('k') => selection.up(1),
        KeyCode::Down | KeyCode::Char('j') => selection.down(1, len),
        KeyCode::PageUp => selection.up(PAGE),
        KeyCode::PageDown => selection.down(PAGE, len),
        KeyCode::Home => selection.choose(0, len),
        KeyCode::End | KeyCode::Char('G') => selection.end(len),
        _ => return false,
    }
    true
}

/// Edits a line; whether its text changed.
fn edited(input: &mut Input, key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    match key.code {
        KeyCode::Char('u') if control => return input.clear(),
        KeyCode::Char('w') if control => return input.delete_word(),
        KeyCode::Char('a') if control => input.home(),
        KeyCode::Char('e') if control => input.end(),
        KeyCode::Char(c) if !control && !alt => return input.insert(c.encode_utf8(&mut [0; 4])),
        KeyCode::Backspace if control || alt => return input.delete_word(),
        KeyCode::Backspace => return input.backspace(),
        KeyCode::Delete => return input.delete(),
        KeyCode::Left => input.left(),
        KeyCode::Right => input.right(),
        KeyCode::Home => input.home(),
        KeyCode::End => input.end(),
        _ => {}
    }
    false
}

fn pasted(model: &mut Model, text: &str, effects: &mut Vec<Effect>) {
    let text = text.trim();
    if let Some(dialog) = &mut model.dialog {
        if let Some(input) = dialog.input() {
            input.insert(text);
        }
    } else if let Some(welcome) = &mut model.welcome {
        if !welcome.busy {
            welcome.input().insert(text);
            welcome.problem = None;
        }
    } else if model.screen == Screen::Search {
        model.search.focus = super::model::Focus::Words;
        if model.search.words.insert(text) {
            search::ask(model, effects);
        }
    }
}

/// Ends at once if nothing would be interrupted, else asks.
fn ask_to_quit(model: &mut Model, effects: &mut Vec<Effect>) {
    let open = model.transfers.open() + model.puts.open();
    let asked = matches!(
        &model.dialog,
        Some(Dialog::Confirm(confirm)) if confirm.then == Consequence::Quit
    );
    if open == 0 || asked {
        return leave(model, effects);
    }
    let transfers = match open {
        1 => "1 transfer is".to_owned(),
        open => format!("{open} transfers are"),
    };
    model.dialog = Some(Dialog::Confirm(Confirm {
        question: format!("{transfers} not done. Leave the network?"),
        detail: "What came over is kept, and goes on from there the next time.".to_owned(),
        yes: "Leave",
        no: "Stay",
        is_yes: false,
        then: Consequence::Quit,
    }));
}

fn leave(model: &mut Model, effects: &mut Vec<Effect>) {
    if !model.leaving {
        model.leaving = true;
        model.dialog = None;
        if model.welcome.is_none() {
            effects.push(Effect::Remember(model.memory()));
        }
        effects.push(Effect::Quit);
    }
}

/// The menu of a home that is in no session.
pub fn begin_outside(model: &mut Model, wants_link: bool, user: &str) {
    model.welcome = Some(Welcome::new(wants_link, user));
}
