//! Which keys do what where: shown at the bottom of each screen, and in the help.

use super::model::{Dialog, Focus, Level, Model, Put, PutState, Screen, State};

/// A key, and what it does.
pub type Key = (&'static str, &'static str);

/// The keys that are of use just now, the most useful first.
pub fn now(model: &Model) -> Vec<Key> {
    if let Some(dialog) = &model.dialog {
        return match dialog {
            Dialog::Help(_) => vec![("↑↓", "scroll"), ("esc", "close")],
            Dialog::Invitation => vec![("esc", "close")],
            Dialog::Get(_) => vec![("enter", "fetch"), ("esc", "don't")],
            Dialog::Load(load) if model.hosts(load).is_empty() => vec![("esc", "close")],
            Dialog::Load(_) => vec![("↑↓", "choose"), ("enter", "load"), ("esc", "don't")],
            Dialog::Put(_) => vec![("enter", "upload"), ("esc", "don't")],
            Dialog::Share(_) => vec![("enter", "share"), ("esc", "don't")],
            Dialog::Confirm(_) => {
                vec![
                    ("←→", "choose"),
                    ("enter", "answer"),
                    ("y", "yes"),
                    ("esc", "no"),
                ]
            }
        };
    }
    if model.welcome.is_some() {
        return vec![
            ("enter", "go on"),
            ("tab", "next field"),
            ("F1", "help"),
            ("esc", "quit"),
        ];
    }
    let mut keys = screen(model);
    keys.extend([("tab", "next screen"), ("?", "help")]);
    keys.push(if model.is_typing() {
        ("^q", "quit")
    } else {
        ("q", "quit")
    });
    keys
}

fn screen(model: &Model) -> Vec<Key> {
    match model.screen {
        Screen::Search => match model.search.focus {
            Focus::Words if model.search.words.is_empty() => {
                vec![("^t", "kind"), ("alt+1-5", "screens")]
            }
            Focus::Words => vec![("↓", "results"), ("^t", "kind"), ("esc", "clear")],
            Focus::Results => vec![
                ("enter", "get"),
                ("g", "get at once"),
                ("l", "load on a peer"),
                ("←→", "kind"),
                ("/", "words"),
            ],
        },
        Screen::Network => match model.network.level() {
            Level::Peers => {
                let takes = model.network.peer().is_some_and(|peer| peer.uploads);
                let mut keys = vec![("enter", "open"), ("r", "refresh")];
                if takes {
                    keys.insert(1, ("u", "upload a file"));
                }
                keys
            }
            Level::Files => vec![
                ("enter", "open, get"),
                ("g", "get at once"),
                ("esc", "back"),
                ("r", "refresh"),
            ],
        },
        Screen::Transfers => {
            let chosen = model.transfers.all.get(model.transfers.chosen.at());
            let mut keys = match chosen.map(|transfer| &transfer.state) {
                Some(State::Running | State::Waiting) => vec![("p", "pause"), ("c", "give up")],
                Some(State::Paused) => vec![("p", "go on"), ("c", "give up")],
                Some(State::Stopped) => vec![("r", "go on")],
                Some(State::Failed(_)) => vec![("p", "try again"), ("r", "elsewhere")],
                _ => Vec::new(),
            };
            let is_over = |put: &Put| put.state != PutState::Sending;
            if model.transfers.all.iter().any(|t| t.state.is_over())
                || model.puts.all.iter().any(is_over)
            {
                keys.push(("x", "clear ended"));
            }
            keys
        }
        Screen::Shares => {
            let mut keys = vec![("a", "share a folder")];
            if !model.shares.all.is_empty() {
                keys.push(("x", "stop sharing"));
            }
            if model.invitation.is_some() {
                keys.push(("i", "invite"));
            }
            keys
        }
        Screen::Activity => vec![("↑↓", "scroll"), ("end", "newest")],
    }
}

/// All keys, in groups.
pub const HELP: &[(&str, &[Key])] = &[
    (
        "Everywhere",
        &[
            ("tab", "next screen"),
            ("1-5", "screens; alt+1-5 too"),
            ("alt+1-5", "while you type"),
            ("↑↓ jk", "choose"),
            ("enter", "open, get, answer"),
            ("esc", "back, no"),
            ("/", "search"),
            ("i", "invite (after `up`)"),
            ("?", "this help"),
            ("q, ^c", "leave and quit"),
            ("^z", "shell; fg comes back"),
        ],
    ),
    (
        "Search, Network",
        &[
            ("enter", "get: choose where to"),
            ("g", "get at once"),
            ("l", "load on another peer"),
            ("u", "upload to a peer"),
            ("^t, ←→", "kind of file"),
            ("r", "refresh"),
        ],
    ),
    (
        "Transfers",
        &[
            ("p, space", "pause, go on"),
            ("c", "give up, keep the part"),
            ("r", "go on; elsewhere"),
            ("x", "clear what ended"),
        ],
    ),
    (
        "Shares",
        &[("a", "share a folder"), ("x", "stop sharing one")],
    ),
];
