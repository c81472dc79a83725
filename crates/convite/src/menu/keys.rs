//! The keys, as shown at the bottom of each screen and in the help.

use super::model::{Dialog, DownloadState, Focus, Model, NetworkList, Screen, Upload, UploadState};

/// A key and its action.
pub type Key = (&'static str, &'static str);

/// Returns the keys that are available now, the most useful ones first.
pub fn available(model: &Model) -> Vec<Key> {
    if let Some(dialog) = &model.dialog {
        return match dialog {
            Dialog::Help(_) => vec![("↑↓", "scroll"), ("esc", "close")],
            Dialog::Invitation => vec![("esc", "close")],
            Dialog::Get(_) => vec![("enter", "download"), ("esc", "cancel")],
            Dialog::RemoteFetch(load) if model.willing_peers(load).is_empty() => {
                vec![("esc", "close")]
            }
            Dialog::RemoteFetch(_) => vec![("↑↓", "select"), ("enter", "start"), ("esc", "cancel")],
            Dialog::Upload(_) => vec![("enter", "upload"), ("esc", "cancel")],
            Dialog::Share(_) => vec![("enter", "share"), ("esc", "cancel")],
            Dialog::Confirm(_) => {
                vec![
                    ("←→", "select"),
                    ("enter", "confirm"),
                    ("y", "yes"),
                    ("esc", "no"),
                ]
            }
        };
    }
    if model.login.is_some() {
        return vec![
            ("enter", "submit"),
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
                ("g", "get now"),
                ("l", "remote download"),
                ("←→", "kind"),
                ("/", "words"),
            ],
        },
        Screen::Network => match model.network.shown_list() {
            NetworkList::Peers => {
                let takes = model.network.peer().is_some_and(|peer| peer.uploads);
                let mut keys = vec![("enter", "open"), ("r", "refresh")];
                if takes {
                    keys.insert(1, ("u", "upload a file"));
                }
                keys
            }
            NetworkList::Files => vec![
                ("enter", "open, get"),
                ("g", "get now"),
                ("esc", "back"),
                ("r", "refresh"),
            ],
        },
        Screen::Transfers => {
            let chosen = model.downloads.all.get(model.downloads.chosen.at());
            let mut keys = match chosen.map(|transfer| &transfer.state) {
                Some(DownloadState::Running | DownloadState::Waiting) => {
                    vec![("p", "pause"), ("c", "cancel")]
                }
                Some(DownloadState::Paused) => vec![("p", "resume"), ("c", "cancel")],
                Some(DownloadState::Stopped) => vec![("r", "resume")],
                Some(DownloadState::Failed(_)) => vec![("p", "retry"), ("r", "other folder")],
                _ => Vec::new(),
            };
            let is_over = |upload: &Upload| upload.state != UploadState::Sending;
            if model.downloads.all.iter().any(|t| t.state.is_over())
                || model.uploads.all.iter().any(is_over)
            {
                keys.push(("x", "clear finished"));
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
            ("1-5", "select a screen"),
            ("alt+1-5", "the same while typing"),
            ("↑↓ jk", "select"),
            ("enter", "open, get, confirm"),
            ("esc", "back, cancel"),
            ("/", "search"),
            ("i", "invite (only with `up`)"),
            ("?", "this help"),
            ("q, ^c", "quit"),
            ("^z", "suspend (`fg` resumes)"),
        ],
    ),
    (
        "Search, Network",
        &[
            ("enter", "get: choose a folder"),
            ("g", "get now"),
            ("l", "remote download"),
            ("u", "upload to a peer"),
            ("^t, ←→", "kind of file"),
            ("r", "refresh"),
        ],
    ),
    (
        "Transfers",
        &[
            ("p, space", "pause, resume, retry"),
            ("c", "cancel (parts are kept)"),
            ("r", "resume; other folder"),
            ("x", "clear finished"),
        ],
    ),
    ("Shares", &[("a", "share a folder"), ("x", "stop sharing")]),
];
