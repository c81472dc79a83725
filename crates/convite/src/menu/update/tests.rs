//! Tests of the update function, without a terminal.

use std::time::Duration;

use convite_client::Found;
use convite_core::model::{FileEntry, HitPeer, IndexEntry, Page, PeerSummary, SearchHit};
use convite_core::remote_fetch::{LoadId, LoadState, LoadSummary};
use convite_core::{ContentHash, EntryKind, ErrorCode, Problem};
use convite_peer::Status;
use convite_peer::download::DownloadProgress;
use convite_peer::put;
use convite_wire::v1::ShareStatus;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{show_login, update};
use crate::menu::message::{Effect, Message};
use crate::menu::model::{Dialog, DownloadState, Field, Focus, Model, SavedState, Screen};
use crate::session::AccountInfo;

mod properties;
mod typing;

fn key(code: KeyCode) -> Message {
    Message::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn control(c: char) -> Message {
    Message::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL))
}

fn press(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    update(model, key(code))
}

fn typed(model: &mut Model, text: &str) -> Vec<Effect> {
    let keys = text.chars().map(KeyCode::Char);
    keys.flat_map(|code| press(model, code)).collect()
}

fn hit(name: &str) -> SearchHit {
    SearchHit {
        folder: String::new(),
        hash: ContentHash::of(name.as_bytes()),
        kind: EntryKind::File,
        files: None,
        name: name.to_owned(),
        matches: vec![[0, 3], [2, 90]],
        names: vec![name.to_owned()],
        size: 10,
        providers: 1,
        peers: vec![HitPeer {
            id: "ben-0".parse().unwrap(),
            addresses: Vec::new(),
        }],
        score: 1.0,
        spaces: Vec::new(),
    }
}

fn found(names: &[&str], next: Option<&str>) -> Result<Found, Problem> {
    Ok(Found {
        items: names.iter().map(|name| hit(name)).collect(),
        next_cursor: next.map(str::to_owned),
        indexing: false,
    })
}

fn ready() -> Model {
    let mut model = Model::new(SavedState::default(), "/downloads".to_owned());
    let account = AccountInfo {
        user: "ana".to_owned(),
        peer: "ana-desk".to_owned(),
        directory: String::new(),
    };
    update(&mut model, Message::LoggedIn(Ok(account)));
    model
}

/// A model with these search results.
fn with_hits(names: &[&str]) -> Model {
    let mut model = ready();
    typed(&mut model, "x");
    let ticket = model.search.pending.unwrap();
    let answer = found(names, None);
    update(
        &mut model,
        Message::SearchResult {
            ticket,
            more: false,
            answer,
        },
    );
    model
}

fn gets(effects: &[Effect]) -> Vec<u64> {
    let get = |effect: &Effect| match effect {
        Effect::Get { id, .. } => Some(*id),
        _ => None,
    };
    effects.iter().filter_map(get).collect()
}

fn done(place: &str) -> DownloadState {
    DownloadState::Done {
        place: place.to_owned(),
        took: Duration::from_secs(1),
        providers: 1,
        was_there: false,
    }
}

fn load(name: &str) -> LoadSummary {
    LoadSummary {
        load: LoadId(1),
        peer: "ben-1".parse().unwrap(),
        hash: ContentHash::of(name.as_bytes()),
        name: name.to_owned(),
        size: 10,
        state: LoadState::Waiting,
        bytes: 0,
        rate: 0,
        message: None,
        created_at: 0,
    }
}

#[test]
fn a_remote_fetch_is_started_on_the_selected_peer() {
    let mut model = with_hits(&["film"]);
    press(&mut model, KeyCode::Down);
    let effects = press(&mut model, KeyCode::Char('l'));
    assert_eq!(effects, [Effect::ListPeers]);
    // No peer can be selected yet, so Enter does nothing.
    assert_eq!(press(&mut model, KeyCode::Enter), []);
    let peer = |id: &str, loads| PeerSummary {
        id: id.parse().unwrap(),
        user: "ben".parse().unwrap(),
        addresses: Vec::new(),
        files: 0,
        since: 0,
        uploads: false,
        loads,
        sent_rate: 0,
        received_rate: 0,
    };
    // Not listed: the menu's own peer, a peer that does not accept requests, a peer that has the file.
    let peers = |ids: &[(&str, bool)]| {
        let peers = ids.iter().map(|(id, loads)| peer(id, *loads));
        Message::Peers(Ok(peers.collect()))
    };
    let all = [
        ("ana-desk", true),
        ("ben-0", true),
        ("ben-1", true),
        ("ben-2", false),
        ("ben-3", true),
    ];
    update(&mut model, peers(&all));
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Down);
    // The selection stays on its peer when another peer is inserted before it.
    update(
        &mut model,
        peers(&[("a-new", true), ("ben-1", true), ("ben-3", true)]),
    );
    let asked = press(&mut model, KeyCode::Enter);
    let expected = Effect::StartRemoteFetch {
        peer: "ben-3".parse().unwrap(),
        hash: ContentHash::of(b"film"),
        name: "film".to_owned(),
    };
    assert_eq!(asked, [expected]);
    assert!(model.dialog.is_none());
    let looks = update(
        &mut model,
        Message::RemoteFetchRequested(Ok("asked".to_owned())),
    );
    assert_eq!(looks, [Effect::ListRemoteFetches]);
    update(&mut model, Message::RemoteFetches(vec![load("film")]));
    assert_eq!(model.remote_fetches.unfinished_count(), 1);
}

#[test]
fn a_file_is_uploaded_to_a_willing_peer() {
    let mut model = ready();
    press(&mut model, KeyCode::Tab);
    let peer = |id: &str, uploads| PeerSummary {
        id: id.parse().unwrap(),
        user: "ben".parse().unwrap(),
        addresses: Vec::new(),
        files: 0,
        since: 0,
        uploads,
        loads: false,
        sent_rate: 0,
        received_rate: 0,
    };
    let peers = vec![peer("ben-1", false), peer("ben-2", true)];
    update(&mut model, Message::Peers(Ok(peers)));
    assert_eq!(press(&mut model, KeyCode::Char('u')), []);
    assert!(model.dialog.is_none() && model.notice.is_some());
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Char('u'));
    // An empty name is not accepted; letters are typed into the name.
    assert_eq!(press(&mut model, KeyCode::Enter), []);
    typed(&mut model, " q.txt ");
    let started = press(&mut model, KeyCode::Enter);
    let expected = Effect::Upload {
        id: 0,
        peer: "ben-2".parse().unwrap(),
        file: "q.txt".to_owned(),
    };
    assert_eq!(started, [expected]);
    let progress = put::UploadProgress {
        sent: 5,
        resumed: 0,
        size: 10,
    };
    update(&mut model, Message::UploadProgress(0, progress));
    assert_eq!(model.uploads.unfinished_count(), 1);
    // Quitting would interrupt the upload.
    press(&mut model, KeyCode::Char('q'));
    assert!(model.dialog.is_some() && !model.leaving);
    press(&mut model, KeyCode::Esc);
    let done = put::UploadResult {
        path: "inbox/ana/q.txt".to_owned(),
        hash: ContentHash::of(b"q"),
        bytes: 10,
        resumed: 0,
        took: Duration::from_secs(1),
    };
    update(&mut model, Message::UploadEnded(0, Ok(done)));
    assert_eq!(model.uploads.unfinished_count(), 0);
    press(&mut model, KeyCode::Char('3'));
    press(&mut model, KeyCode::Char('x'));
    assert!(model.uploads.all.is_empty());
}

#[test]
fn an_older_answer_never_replaces_a_newer_one() {
    let mut model = ready();
    typed(&mut model, "a");
    let first = model.search.pending.unwrap();
    typed(&mut model, "b");
    let second = model.search.pending.unwrap();
    for (ticket, name) in [(second, "new"), (first, "old")] {
        let answer = found(&[name], None);
        update(
            &mut model,
            Message::SearchResult {
                ticket,
                more: false,
                answer,
            },
        );
    }
    assert_eq!(model.search.hits[0].name, "new");
    // An answer that arrives after the words were cleared is ignored.
    typed(&mut model, "c");
    let third = model.search.pending.unwrap();
    press(&mut model, KeyCode::Esc);
    let answer = found(&["late"], None);
    update(
        &mut model,
        Message::SearchResult {
            ticket: third,
            more: false,
            answer,
        },
    );
    assert!(model.search.hits.is_empty());
}

#[test]
fn search_and_download_with_arrows_and_enter() {
    let mut model = with_hits(&["one", "two"]);
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Down);
    assert_eq!(model.search.focus, Focus::Results);
    press(&mut model, KeyCode::Enter);
    assert!(matches!(&model.dialog, Some(Dialog::Get(get)) if get.name == "two"));
    typed(&mut model, "/films");
    let effects = press(&mut model, KeyCode::Enter);
    let get = effects.iter().find_map(|effect| match effect {
        Effect::Get { name, folder, .. } => Some((name.as_str(), folder.as_str())),
        _ => None,
    });
    assert_eq!(get, Some(("two", "/downloads/films")));
    assert_eq!(
        model.suggested_folder(),
        "/downloads/films",
        "suggested for the next download"
    );
    assert_eq!(model.folder, "/downloads", "saved only after a success");
    // A second request for the same file is the same transfer.
    press(&mut model, KeyCode::Enter);
    assert!(gets(&press(&mut model, KeyCode::Enter)).is_empty());
    assert_eq!(model.downloads.all.len(), 1);
}

#[test]
fn the_next_page_is_requested_once_near_the_end() {
    let mut model = ready();
    typed(&mut model, "x");
    let ticket = model.search.pending.unwrap();
    let answer = found(&["a", "b"], Some("next"));
    update(
        &mut model,
        Message::SearchResult {
            ticket,
            more: false,
            answer,
        },
    );
    press(&mut model, KeyCode::Down);
    let effects = press(&mut model, KeyCode::Down);
    assert!(matches!(&effects[..], [Effect::Search { cursor: Some(c), .. }] if c == "next"));
    assert!(
        press(&mut model, KeyCode::Down).is_empty(),
        "already requested"
    );
    let ticket = model.search.pending.unwrap();
    let answer = found(&["b", "c"], None);
    update(
        &mut model,
        Message::SearchResult {
            ticket,
            more: true,
            answer,
        },
    );
    let names: Vec<_> = model.search.hits.iter().map(|hit| &hit.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(model.search.chosen.at(), 1);
}

#[test]
fn four_downloads_run_at_the_same_time() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut model = with_hits(&names);
    press(&mut model, KeyCode::Down);
    let mut started = Vec::new();
    for _ in names {
        started.extend(gets(&press(&mut model, KeyCode::Char('g'))));
        press(&mut model, KeyCode::Down);
    }
    assert_eq!(started, [0, 1, 2, 3]);
    let effects = update(&mut model, Message::Ended(1, done("/downloads/b")));
    assert_eq!(gets(&effects), [4]);
    // A paused download frees a slot, and is queued when it is resumed.
    press(&mut model, KeyCode::Char('3'));
    press(&mut model, KeyCode::End);
    let effects = press(&mut model, KeyCode::Char('p'));
    assert_eq!(effects[0], Effect::Pause(0));
    assert_eq!(gets(&effects), [5]);
    assert!(press(&mut model, KeyCode::Char(' ')).is_empty());
    let effects = update(&mut model, Message::Ended(2, DownloadState::Stopped));
    assert_eq!(effects[0], Effect::Resume(0));
}

#[test]
fn a_cancelled_download_is_kept_and_resumes() {
    let mut model = with_hits(&["a"]);
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Char('g'));
    let progress = DownloadProgress {
        verified: 4,
        size: 10,
        ..DownloadProgress::default()
    };
    update(&mut model, Message::Progress(0, progress));
    press(&mut model, KeyCode::Char('3'));
    press(&mut model, KeyCode::Char('c'));
    assert!(
        press(&mut model, KeyCode::Enter).is_empty(),
        "no is the default"
    );
    press(&mut model, KeyCode::Char('c'));
    press(&mut model, KeyCode::Right);
    assert_eq!(press(&mut model, KeyCode::Enter), [Effect::Cancel(0)]);
    let effects = update(&mut model, Message::Ended(0, DownloadState::Stopped));
    let [Effect::Save(saved)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(saved.unfinished[0].verified, 4);
    // At the next start it is listed and can be resumed.
    let mut later = Model::new(saved.clone(), "/elsewhere".to_owned());
    assert_eq!(later.folder, "/downloads");
    later.screen = Screen::Transfers;
    assert_eq!(gets(&press(&mut later, KeyCode::Char('r'))), [0]);
}

#[test]
fn quitting_asks_only_during_transfers() {
    let mut model = ready();
    let effects = update(&mut model, control('c'));
    assert!(effects.contains(&Effect::Quit));

    let mut model = with_hits(&["a"]);
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Char('g'));
    assert!(press(&mut model, KeyCode::Char('q')).is_empty());
    assert!(press(&mut model, KeyCode::Enter).is_empty());
    assert!(!model.leaving);
    press(&mut model, KeyCode::Char('q'));
    let effects = press(&mut model, KeyCode::Char('y'));
    assert!(
        matches!(&effects[..], [Effect::Save(saved), Effect::Quit] if saved.unfinished.len() == 1)
    );
    // A signal needs no confirmation.
    let mut model = with_hits(&["a"]);
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Char('g'));
    assert!(update(&mut model, Message::Stop).contains(&Effect::Quit));
}
