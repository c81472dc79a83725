//! Snapshots of the screens in three sizes, with and without colours.

use std::time::Duration;

use convite_client::Found;
use convite_core::model::{FileEntry, IndexEntry, Page, PeerSummary, SearchHit};
use convite_core::remote_fetch::{LoadId, LoadState, LoadSummary};
use convite_core::{ContentHash, EntryKind, ErrorCode, Problem};
use convite_peer::Status;
use convite_peer::download::DownloadProgress;
use convite_peer::put;
use convite_wire::v1::{ShareStatus, Transfer};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::{Theme, draw};
use crate::menu::message::Message;
use crate::menu::model::{DownloadState, Invitation, Model, SavedState};
use crate::menu::update::{show_login, update};
use crate::session::AccountInfo;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (50, 15)];

fn hash(text: &str) -> ContentHash {
    ContentHash::of(text.as_bytes())
}

fn drawn(model: &Model, size: (u16, u16), color: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    let theme = Theme::new(color);
    terminal.draw(|frame| draw(frame, model, theme)).unwrap();
    terminal.backend().buffer().clone()
}

fn shown(model: &Model, size: (u16, u16)) -> String {
    let buffer = drawn(model, size, false);
    let mut text = String::new();
    for y in 0..size.1 {
        let mut line = String::new();
        let mut x = 0;
        while x < size.0 {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            // The second half of a wide character is an empty cell.
            x += super::text::width(symbol).max(1) as u16;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Snapshots a model at all sizes, and checks that a coloured drawing has the same text.
fn look(name: &str, model: &Model) {
    for size in SIZES {
        let text = shown(model, size);
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), text);
        let (plain, colored) = (drawn(model, size, false), drawn(model, size, true));
        let mut any = false;
        for (plain, colored) in plain.content.iter().zip(&colored.content) {
            assert_eq!(plain.symbol(), colored.symbol());
            assert!(plain.fg == Color::Reset && plain.bg == Color::Reset);
            any |= colored.fg != Color::Reset;
        }
        assert!(any, "no colours");
    }
}

fn press(model: &mut Model, codes: &[KeyCode]) {
    for code in codes {
        let key = KeyEvent::new(*code, KeyModifiers::NONE);
        update(model, Message::Key(key));
    }
}

fn kind(model: &mut Model, text: &str) {
    for c in text.chars() {
        press(model, &[KeyCode::Char(c)]);
    }
}

fn hit(name: &str, size: u64, providers: u64) -> SearchHit {
    SearchHit {
        hash: hash(name),
        kind: EntryKind::File,
        files: None,
        name: name.to_owned(),
        matches: Vec::new(),
        names: vec![name.to_owned()],
        folder: "media/films".to_owned(),
        size,
        providers,
        peers: Vec::new(),
        score: 1.0,
        spaces: Vec::new(),
    }
}

fn ready() -> Model {
    let mut model = Model::new(SavedState::default(), "/home/ana/Downloads".to_owned());
    let account = AccountInfo {
        user: "ana".to_owned(),
        peer: "ana-desk".to_owned(),
        directory: "192.0.2.7:50051".to_owned(),
    };
    update(&mut model, Message::LoggedIn(Ok(account)));
    let peer = |id: &str, user: &str, files| PeerSummary {
        id: id.parse().unwrap(),
        user: user.parse().unwrap(),
        addresses: vec!["192.0.2.9:5001".parse().unwrap()],
        files,
        since: 0,
        uploads: false,
        loads: true,
        sent_rate: 0,
        received_rate: 0,
    };
    let peers = vec![
        peer("ana-desk", "ana", 12),
        peer("ben-laptop", "ben", 1),
        peer("render-node-17", "studio", 48_211),
    ];
    update(&mut model, Message::Peers(Ok(peers)));
    let share = |name: &str, folder: &str, files, trouble: &str| ShareStatus {
        name: name.to_owned(),
        folder: folder.to_owned(),
        files,
        trouble: trouble.to_owned(),
        space: match name {
            "usb" => "lab".to_owned(),
            _ => String::new(),
        },
        hint: String::new(),
        skipped: Vec::new(),
    };
    let status = Status {
        id: "ana-desk".to_owned(),
        user: "ana".to_owned(),
        online: true,
        files: 12,
        bytes: 7 << 30,
        to_hash: 3,
        shares: vec![
            share("photos", "/home/ana/photos", 11, ""),
            share("usb", "/media/usb", 0, "it is not there: is it mounted?"),
        ],
        uploads: vec![Transfer {
            name: "summer.mkv".to_owned(),
            user: "ben".to_owned(),
            bytes: 5 << 20,
            ..Transfer::default()
        }],
        ..Status::default()
    };
    update(&mut model, Message::Status(Box::new(status)));
    model
}

fn searched() -> Model {
    let mut model = ready();
    kind(&mut model, "film");
    let mut first = hit("holiday film 2026.mkv", 3 << 30, 3);
    first.matches = vec![[8, 12]];
    let hits = vec![
        first,
        hit(
            "映画フィルム文字化けしない名前の長いファイル.mp4",
            734_003_200,
            1,
        ),
        hit("film\u{1b}[2J\u{202e}gpj.exe", 4_711, 1),
        hit(&format!("{} film.tar.gz", "very ".repeat(20)), 90 << 30, 12),
    ];
    let answer = Ok(Found {
        items: hits,
        next_cursor: None,
        indexing: false,
    });
    let ticket = model.search.pending.unwrap();
    let found = Message::SearchResult {
        ticket,
        more: false,
        answer,
    };
    update(&mut model, found);
    model
}

/// A remote download on `ben-laptop`.
fn load(name: &str, state: LoadState, bytes: u64) -> LoadSummary {
    LoadSummary {
        load: LoadId(bytes),
        peer: "ben-laptop".parse().unwrap(),
        hash: hash(name),
        name: name.to_owned(),
        size: 3 << 30,
        state,
        bytes,
        rate: 5 << 20,
        message: (state == LoadState::Failed).then(|| "no \u{1b}[31mroom".to_owned()),
        created_at: 0,
    }
}

fn transferring() -> Model {
    let mut model = searched();
    press(&mut model, &[KeyCode::Down]);
    for down in [0, 1, 1, 1] {
        press(&mut model, &vec![KeyCode::Down; down]);
        press(&mut model, &[KeyCode::Char('g')]);
    }
    let at = |verified: u64, size| DownloadProgress {
        verified,
        size,
        providers: 3,
        ..DownloadProgress::default()
    };
    for second in 0..5u64 {
        update(&mut model, Message::Tick(Duration::from_secs(second)));
        let verified = (900 + 20 * second) << 20;
        update(&mut model, Message::Progress(0, at(verified, 3 << 30)));
    }
    update(&mut model, Message::Progress(1, at(300 << 20, 734_003_200)));
    let done = DownloadState::Done {
        place: "/home/ana/Downloads/film gpj.exe".to_owned(),
        took: Duration::from_millis(1_400),
        providers: 1,
        was_there: false,
    };
    update(&mut model, Message::Ended(2, done));
    let problem = Problem::new(ErrorCode::NoSpace, "/home has no space for the file")
        .hint("free some space, or use another folder");
    update(
        &mut model,
        Message::Ended(3, DownloadState::Failed(problem)),
    );
    press(
        &mut model,
        &[
            KeyCode::Char('3'),
            KeyCode::End,
            KeyCode::Up,
            KeyCode::Char('p'),
            KeyCode::Home,
        ],
    );
    model
}

#[test]
fn the_search_before_during_and_after() {
    look("search_empty", &ready());
    let mut model = ready();
    kind(&mut model, "film");
    look("search_asking", &model);
    look("search_found", &searched());
    let mut model = searched();
    press(&mut model, &[KeyCode::Down, KeyCode::Down, KeyCode::Enter]);
    look("get", &model);
    let mut model = searched();
    press(
        &mut model,
        &[KeyCode::Down, KeyCode::Char('l'), KeyCode::Down],
    );
    look("load", &model);
    let mut model = ready();
    kind(&mut model, "nothing like it");
    let ticket = model.search.pending.unwrap();
    let answer = Err(
        Problem::new(ErrorCode::Unavailable, "the directory cannot be reached")
            .hint("is it running?"),
    );
    let found = Message::SearchResult {
        ticket,
        more: false,
        answer,
    };
    update(&mut model, found);
    look("search_failed", &model);
}

#[test]
fn the_network_from_peers_to_files() {
    let mut model = ready();
    press(&mut model, &[KeyCode::Tab, KeyCode::Down]);
    look("network_peers", &model);
    press(&mut model, &[KeyCode::Enter]);
    let entry = |path: &str, size| IndexEntry {
        peer: "ben-laptop".parse().unwrap(),
        file: FileEntry::file(path.parse().unwrap(), size, hash(path)),
    };
    let ticket = model.network.pending.unwrap();
    let answer = Ok(Page {
        items: vec![
            entry("lab/results/run-1.csv", 9_000),
            entry("lab/results/run-2.csv", 9_100),
            entry("lab/notes\u{7}.txt", 120),
            entry("lab/論文.pdf", 2 << 20),
        ],
        next_cursor: None,
    });
    update(&mut model, Message::Files { ticket, answer });
    press(&mut model, &[KeyCode::Enter, KeyCode::Down]);
    look("network_files", &model);
}

#[test]
fn uploads_from_the_dialog_to_the_end() {
    let mut model = ready();
    let takes = |mut peer: PeerSummary| {
        peer.uploads = true;
        peer
    };
    let peers = model.network.peers.iter().cloned().map(takes).collect();
    update(&mut model, Message::Peers(Ok(peers)));
    press(&mut model, &[KeyCode::Tab]);
    for file in ["films/summer\u{1b}[2J.mkv", "~/notes.txt", "big.iso"] {
        press(
            &mut model,
            &[KeyCode::Home, KeyCode::Down, KeyCode::Char('u')],
        );
        kind(&mut model, file);
        if file == "big.iso" {
            look("put", &model);
        }
        press(&mut model, &[KeyCode::Enter]);
    }
    for second in 0..5u64 {
        update(&mut model, Message::Tick(Duration::from_secs(second)));
        let progress = put::UploadProgress {
            sent: (30 * second) << 20,
            resumed: 0,
            size: 600 << 20,
        };
        update(&mut model, Message::UploadProgress(0, progress));
    }
    let done = put::UploadResult {
        path: "inbox/ana/notes.txt".to_owned(),
        hash: hash("notes"),
        bytes: 12,
        resumed: 0,
        took: Duration::from_millis(300),
    };
    update(&mut model, Message::UploadEnded(1, Ok(done)));
    let full = Problem::new(
        ErrorCode::TooLarge,
        "your part of this peer's inbox is full",
    );
    update(&mut model, Message::UploadEnded(2, Err(full)));
    press(&mut model, &[KeyCode::Char('3')]);
    look("puts", &model);
}

#[test]
fn transfers_shares_and_activity() {
    let mut model = transferring();
    look("transfers", &model);
    let loads = vec![
        load("holiday film 2026.mkv", LoadState::Running, 1 << 30),
        load("film\u{1b}[2J\u{202e}gpj.exe", LoadState::Waiting, 0),
        load("old film.mkv", LoadState::Failed, 1),
        load("論文.pdf", LoadState::Done, 3 << 30),
    ];
    let mut with_loads = transferring();
    update(&mut with_loads, Message::RemoteFetches(loads));
    look("transfers_loads", &with_loads);
    press(&mut model, &[KeyCode::Char('q')]);
    look("quit", &model);
    press(&mut model, &[KeyCode::Esc, KeyCode::Char('4')]);
    look("shares", &model);
    press(&mut model, &[KeyCode::Char('a')]);
    kind(&mut model, "/srv/data");
    look("share", &model);
    press(&mut model, &[KeyCode::Esc, KeyCode::Char('5')]);
    let line = |number: u32| format!("2026-11-21T07:00:{number:02}Z  INFO peer: line {number}");
    let mut lines: Vec<String> = (0..60).map(line).collect();
    lines.push("2026-11-21T07:01:00Z  WARN peer: \u{1b}[31ma name of a stranger".to_owned());
    update(&mut model, Message::LogLines(lines));
    look("activity", &model);
}

#[test]
fn problems_and_an_unreachable_directory_are_shown() {
    let mut model = searched();
    let silent = Problem::new(ErrorCode::Unavailable, "the directory does not answer");
    update(&mut model, Message::Peers(Err(silent)));
    look("cut_off", &model);
    let problem = Problem::new(
        ErrorCode::Internal,
        "cannot create /media/a disk that is not there any more/films: no such file or directory",
    )
    .hint("press r to choose another folder");
    update(&mut model, Message::RemoteFetchRequested(Err(problem)));
    look("said_whole", &model);
}

#[test]
fn login_invitation_and_help() {
    let mut model = Model::new(SavedState::default(), "/tmp".to_owned());
    show_login(&mut model, true, "ana");
    look("welcome", &model);
    let fingerprint = "a1b2c3d4".repeat(8);
    let link = format!("convite://192.0.2.7:50051/abcdefgh23456789?ca={fingerprint}");
    update(&mut model, Message::Pasted(link.clone()));
    press(&mut model, &[KeyCode::Enter]);
    kind(&mut model, "secret 8316");
    look("welcome_filled", &model);
    assert!(!shown(&model, (80, 24)).contains("8316"));
    press(&mut model, &[KeyCode::Enter]);
    let refused = Problem::new(
        ErrorCode::UserTaken,
        "'ana' already exists, and that is not its password",
    )
    .hint("choose another name, or use the password of that account");
    update(&mut model, Message::LoggedIn(Err(refused)));
    look("welcome_refused", &model);

    let mut model = ready();
    press(&mut model, &[KeyCode::Char('?')]);
    look("help", &model);
    press(&mut model, &[KeyCode::Esc]);
    model.invitation = Some(Invitation {
        link,
        web: "https://192.0.2.7:50051".to_owned(),
    });
    press(&mut model, &[KeyCode::Esc, KeyCode::Char('i')]);
    look("invitation", &model);
}

#[test]
fn a_small_window_shows_a_message_and_any_size_can_be_drawn() {
    let mut models = vec![ready(), searched(), transferring()];
    let mut asked = transferring();
    press(&mut asked, &[KeyCode::Char('q')]);
    models.push(asked);
    let mut help = ready();
    press(&mut help, &[KeyCode::Char('?')]);
    models.push(help);
    for model in &models {
        for width in (1..=100).step_by(3) {
            for height in 1..=30 {
                let text = shown(model, (width, height));
                if (width, height) == (31, 9) {
                    assert!(text.contains("needs 40×10"), "{text}");
                }
            }
        }
    }
}

#[test]
fn untrusted_text_is_escaped_in_the_menu() {
    for model in [searched(), transferring()] {
        let text = shown(&model, (120, 40)).replace('\n', "");
        assert_eq!(convite_core::display::escape(&text), text);
    }
    let text = shown(&searched(), (120, 40));
    assert!(text.contains("\\u{1b}[2J\\u{202e}gpj.exe"), "{text}");
}
