//! What the menu does, whatever happens to it: no terminal is needed.

use std::time::Duration;

use convite_client::Found;
use convite_core::loads::{LoadId, LoadState, LoadSummary};
use convite_core::model::{FileEntry, HitPeer, IndexEntry, Page, PeerSummary, SearchHit};
use convite_core::{ContentHash, ErrorCode, Problem};
use convite_peer::Status;
use convite_peer::download::Progress;
use convite_peer::put;
use convite_wire::v1::ShareStatus;
use proptest::prelude::*;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{begin_outside, update};
use crate::menu::message::{Effect, Message};
use crate::menu::model::{Dialog, Field, Focus, Identity, Memory, Model, Screen, State};

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
    let mut model = Model::new(Memory::default(), "/downloads".to_owned());
    let identity = Identity {
        user: "ana".to_owned(),
        peer: "ana-desk".to_owned(),
        directory: String::new(),
    };
    update(&mut model, Message::Entered(Ok(identity)));
    model
}

/// A model that shows these as found.
fn with_hits(names: &[&str]) -> Model {
    let mut model = ready();
    typed(&mut model, "x");
    let ticket = model.search.awaited.unwrap();
    let answer = found(names, None);
    update(
        &mut model,
        Message::Found {
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

fn done(place: &str) -> State {
    State::Done {
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
fn another_peer_is_chosen_and_asked() {
    let mut model = with_hits(&["film"]);
    press(&mut model, KeyCode::Down);
    let effects = press(&mut model, KeyCode::Char('l'));
    assert_eq!(effects, [Effect::ListPeers]);
    // Nobody may be asked yet, and Enter asks nobody.
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
    // Neither this menu's own peer nor one that does not load, nor one that has it.
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
    // The one that is chosen stays so when another comes before it.
    update(
        &mut model,
        peers(&[("a-new", true), ("ben-1", true), ("ben-3", true)]),
    );
    let asked = press(&mut model, KeyCode::Enter);
    let expected = Effect::Load {
        peer: "ben-3".parse().unwrap(),
        hash: ContentHash::of(b"film"),
        name: "film".to_owned(),
    };
    assert_eq!(asked, [expected]);
    assert!(model.dialog.is_none());
    let looks = update(&mut model, Message::Asked(Ok("asked".to_owned())));
    assert_eq!(looks, [Effect::ListLoads]);
    update(&mut model, Message::Loads(vec![load("film")]));
    assert_eq!(model.loads.open(), 1);
}

#[test]
fn a_file_goes_to_a_peer_that_takes_it() {
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
    // No file is none, and letters are its name.
    assert_eq!(press(&mut model, KeyCode::Enter), []);
    typed(&mut model, " q.txt ");
    let begun = press(&mut model, KeyCode::Enter);
    let expected = Effect::Put {
        id: 0,
        peer: "ben-2".parse().unwrap(),
        file: "q.txt".to_owned(),
    };
    assert_eq!(begun, [expected]);
    let progress = put::Progress {
        sent: 5,
        resumed: 0,
        size: 10,
    };
    update(&mut model, Message::PutProgress(0, progress));
    assert_eq!(model.puts.open(), 1);
    // It would be interrupted.
    press(&mut model, KeyCode::Char('q'));
    assert!(model.dialog.is_some() && !model.leaving);
    press(&mut model, KeyCode::Esc);
    let done = put::Done {
        path: "inbox/ana/q.txt".to_owned(),
        hash: ContentHash::of(b"q"),
        bytes: 10,
        resumed: 0,
        took: Duration::from_secs(1),
    };
    update(&mut model, Message::PutEnded(0, Ok(done)));
    assert_eq!(model.puts.open(), 0);
    press(&mut model, KeyCode::Char('3'));
    press(&mut model, KeyCode::Char('x'));
    assert!(model.puts.all.is_empty());
}

#[test]
fn an_older_answer_never_replaces_a_newer_one() {
    let mut model = ready();
    typed(&mut model, "a");
    let first = model.search.awaited.unwrap();
    typed(&mut model, "b");
    let second = model.search.awaited.unwrap();
    for (ticket, name) in [(second, "new"), (first, "old")] {
        let answer = found(&[name], None);
        update(
            &mut model,
            Message::Found {
                ticket,
                more: false,
                answer,
            },
        );
    }
    assert_eq!(model.search.hits[0].name, "new");
    // Nor does one that comes after the words are gone.
    typed(&mut model, "c");
    let third = model.search.awaited.unwrap();
    press(&mut model, KeyCode::Esc);
    let answer = found(&["late"], None);
    update(
        &mut model,
        Message::Found {
            ticket: third,
            more: false,
            answer,
        },
    );
    assert!(model.search.hits.is_empty());
}

#[test]
fn one_finds_and_fetches_with_arrows_and_enter_alone() {
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
        model.offered(),
        "/downloads/films",
        "it is the next one's too"
    );
    assert_eq!(model.folder, "/downloads", "and kept once it was good");
    // The same again is the same transfer.
    press(&mut model, KeyCode::Enter);
    assert!(gets(&press(&mut model, KeyCode::Enter)).is_empty());
    assert_eq!(model.transfers.all.len(), 1);
}

#[test]
fn more_results_are_asked_for_near_the_end_once() {
    let mut model = ready();
    typed(&mut model, "x");
    let ticket = model.search.awaited.unwrap();
    let answer = found(&["a", "b"], Some("next"));
    update(
        &mut model,
        Message::Found {
            ticket,
            more: false,
            answer,
        },
    );
    press(&mut model, KeyCode::Down);
    let effects = press(&mut model, KeyCode::Down);
    assert!(matches!(&effects[..], [Effect::Search { cursor: Some(c), .. }] if c == "next"));
    assert!(press(&mut model, KeyCode::Down).is_empty(), "asked already");
    let ticket = model.search.awaited.unwrap();
    let answer = found(&["b", "c"], None);
    update(
        &mut model,
        Message::Found {
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
fn four_downloads_run_at_once_and_the_next_follows() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let mut model = with_hits(&names);
    press(&mut model, KeyCode::Down);
    let mut begun = Vec::new();
    for _ in names {
        begun.extend(gets(&press(&mut model, KeyCode::Char('g'))));
        press(&mut model, KeyCode::Down);
    }
    assert_eq!(begun, [0, 1, 2, 3]);
    let effects = update(&mut model, Message::Ended(1, done("/downloads/b")));
    assert_eq!(gets(&effects), [4]);
    // A paused one makes room too, and waits for its turn when it is to go on.
    press(&mut model, KeyCode::Char('3'));
    press(&mut model, KeyCode::End);
    let effects = press(&mut model, KeyCode::Char('p'));
    assert_eq!(effects[0], Effect::Pause(0));
    assert_eq!(gets(&effects), [5]);
    assert!(press(&mut model, KeyCode::Char(' ')).is_empty());
    let effects = update(&mut model, Message::Ended(2, State::Stopped));
    assert_eq!(effects[0], Effect::Resume(0));
}

#[test]
fn what_is_given_up_is_kept_and_goes_on() {
    let mut model = with_hits(&["a"]);
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Char('g'));
    let progress = Progress {
        verified: 4,
        size: 10,
        ..Progress::default()
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
    let effects = update(&mut model, Message::Ended(0, State::Stopped));
    let [Effect::Remember(memory)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(memory.unfinished[0].verified, 4);
    // The next time it is there, and goes on.
    let mut later = Model::new(memory.clone(), "/elsewhere".to_owned());
    assert_eq!(later.folder, "/downloads");
    later.screen = Screen::Transfers;
    assert_eq!(gets(&press(&mut later, KeyCode::Char('r'))), [0]);
}

#[test]
fn leaving_asks_only_while_something_runs() {
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
        matches!(&effects[..], [Effect::Remember(memory), Effect::Quit] if memory.unfinished.len() == 1)
    );
    // A signal asks nobody.
    let mut model = with_hits(&["a"]);
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Char('g'));
    assert!(update(&mut model, Message::Stop).contains(&Effect::Quit));
}

const LINK: &str = "convite://192.0.2.7:1/abc?ca=\
                    00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

#[test]
fn a_newcomer_gives_a_link_a_name_and_a_password() {
    let mut model = Model::new(Memory::default(), "/d".to_owned());
    begin_outside(&mut model, true, "ana");
    // What is no link is said where it is typed.
    typed(&mut model, "convite://x");
    assert!(press(&mut model, KeyCode::Tab).is_empty());
    let welcome = model.welcome.as_ref().unwrap();
    assert_eq!(welcome.field, Field::Link);
    let hint = welcome.problem.as_ref().unwrap().hint.as_deref();
    assert!(!hint.unwrap().contains("quotes"), "there is no shell here");
    update(&mut model, control('u'));
    let quoted = format!("'{LINK}'");
    update(&mut model, Message::Pasted(format!(" '{LINK}' \n")));
    assert!(
        press(&mut model, KeyCode::Enter).is_empty(),
        "no password yet"
    );
    typed(&mut model, "q1?/");
    let effects = press(&mut model, KeyCode::Enter);
    let [
        Effect::Enter {
            link,
            user,
            password,
        },
    ] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!(
        (link.as_deref(), user.as_str(), password.0.as_str()),
        (Some(&*quoted), "ana", "q1?/")
    );
    assert!(!format!("{effects:?} {model:?}").contains("q1?/"));
    assert!(
        press(&mut model, KeyCode::Enter).is_empty(),
        "asked already"
    );
    let taken = Problem::new(ErrorCode::UserTaken, "taken");
    update(&mut model, Message::Entered(Err(taken)));
    assert_eq!(model.welcome.as_ref().unwrap().field, Field::User);
    update(&mut model, Message::Entered(Ok(Identity::default())));
    assert!(model.welcome.is_none());
}

#[test]
fn letters_are_text_where_text_is_typed() {
    let mut model = ready();
    typed(&mut model, "q1jk/");
    assert_eq!(model.search.words.text(), "q1jk/");
    assert_eq!(model.screen, Screen::Search);
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Char('4'));
    assert_eq!(model.screen, Screen::Shares);
    press(&mut model, KeyCode::Char('a'));
    typed(&mut model, "/q?1");
    assert_eq!(
        press(&mut model, KeyCode::Enter),
        [Effect::Share("/q?1".to_owned())]
    );
    // It stays until it is known to be shared, and is corrected otherwise.
    assert_eq!(press(&mut model, KeyCode::Enter), [], "asked once");
    let refused = Problem::not_found("there is no /q?1");
    update(&mut model, Message::Shared(Err(refused)));
    assert!(matches!(&model.dialog, Some(Dialog::Share(share)) if share.problem.is_some()));
    press(&mut model, KeyCode::Backspace);
    let again = press(&mut model, KeyCode::Enter);
    assert_eq!(again, [Effect::Share("/q?".to_owned())]);
    update(
        &mut model,
        Message::Shared(Ok("sharing /q? as q".to_owned())),
    );
    assert!(model.dialog.is_none());
}

#[test]
fn alt_and_a_digit_turn_to_a_screen_while_one_types() {
    let mut model = ready();
    let key = KeyEvent::new(KeyCode::Char('3'), KeyModifiers::ALT);
    update(&mut model, Message::Key(key));
    assert_eq!(model.screen, Screen::Transfers);
    assert!(model.search.words.is_empty());
}

#[test]
fn folders_are_whole_and_one_that_failed_is_not_kept() {
    let mut model = with_hits(&["one"]);
    model.paths.here = "/work".into();
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Enter);
    update(&mut model, control('u'));
    typed(&mut model, "out");
    let effects = press(&mut model, KeyCode::Enter);
    let folder = effects.iter().find_map(|effect| match effect {
        Effect::Get { folder, .. } => Some(folder.as_str()),
        _ => None,
    });
    assert_eq!(folder, Some("/work/out"));
    let failed = State::Failed(Problem::new(ErrorCode::Internal, "cannot make /work/out"));
    let effects = update(&mut model, Message::Ended(0, failed));
    let [Effect::Remember(memory)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(memory.folder.as_deref(), Some("/downloads"));
    assert_eq!(memory.unfinished[0].folder, "/work/out");
    // Another folder is given to the same transfer.
    press(&mut model, KeyCode::Char('3'));
    assert_eq!(press(&mut model, KeyCode::Char('r')), []);
    assert!(matches!(&model.dialog, Some(Dialog::Get(get)) if get.folder.text() == "/work/out"));
    typed(&mut model, "2");
    assert_eq!(gets(&press(&mut model, KeyCode::Enter)), [0]);
    update(&mut model, Message::Ended(0, done("/work/out2/one")));
    assert_eq!(model.folder, "/work/out2");
}

#[test]
fn the_directory_is_known_to_be_silent_until_it_answers() {
    let mut model = with_hits(&["one"]);
    let silent = Problem::new(ErrorCode::Unavailable, "the directory does not answer");
    update(&mut model, Message::Peers(Err(silent)));
    assert!(model.is_cut_off());
    update(&mut model, Message::Peers(Ok(Vec::new())));
    assert!(!model.is_cut_off());
}

#[test]
fn a_share_ends_only_when_that_is_confirmed() {
    let mut model = ready();
    let share = |folder: &str| ShareStatus {
        folder: folder.to_owned(),
        ..ShareStatus::default()
    };
    let status = Status {
        shares: vec![share("/a"), share("/b")],
        ..Status::default()
    };
    update(&mut model, Message::Status(Box::new(status)));
    press(&mut model, KeyCode::Esc);
    press(&mut model, KeyCode::Char('4'));
    press(&mut model, KeyCode::Down);
    // The question stands at "Keep".
    press(&mut model, KeyCode::Char('x'));
    assert!(matches!(model.dialog, Some(Dialog::Confirm(_))));
    assert_eq!(press(&mut model, KeyCode::Enter), []);
    assert!(model.dialog.is_none());
    press(&mut model, KeyCode::Delete);
    press(&mut model, KeyCode::Left);
    assert_eq!(
        press(&mut model, KeyCode::Enter),
        [Effect::Unshare("/b".to_owned())]
    );
    press(&mut model, KeyCode::Char('x'));
    assert_eq!(press(&mut model, KeyCode::Esc), []);
    assert!(model.dialog.is_none());
}

fn any_key() -> impl Strategy<Value = Message> {
    let code = prop_oneof![
        4 => prop::char::range(' ', '~').prop_map(KeyCode::Char),
        1 => any::<char>().prop_map(KeyCode::Char),
        4 => prop::sample::select(vec![
            KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::BackTab, KeyCode::Up,
            KeyCode::Down, KeyCode::Left, KeyCode::Right, KeyCode::Home, KeyCode::End,
            KeyCode::PageUp, KeyCode::PageDown, KeyCode::Backspace, KeyCode::Delete, KeyCode::F(1),
        ]),
    ];
    let modifiers = prop_oneof![
        6 => Just(KeyModifiers::NONE),
        1 => Just(KeyModifiers::CONTROL),
        1 => Just(KeyModifiers::ALT),
    ];
    (code, modifiers).prop_map(|(code, modifiers)| Message::Key(KeyEvent::new(code, modifiers)))
}

fn entry(path: &str) -> IndexEntry {
    IndexEntry {
        peer: "p".parse().unwrap(),
        file: FileEntry {
            path: path.parse().unwrap(),
            size: 1,
            hash: ContentHash::of(path.as_bytes()),
            modified: 0,
            space: None,
        },
    }
}

fn any_message() -> impl Strategy<Value = Message> {
    let problem = || Problem::new(ErrorCode::Unavailable, "gone");
    let names = prop::collection::vec("[a-z\u{202e}文]{0,30}", 0..40);
    let tickets = 0..8u64;
    let searched = (tickets.clone(), any::<bool>(), names.clone(), any::<bool>()).prop_map(
        move |(ticket, more, names, ok)| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            Message::Found {
                ticket,
                more,
                answer: if ok {
                    found(&names, names.first().copied())
                } else {
                    Err(problem())
                },
            }
        },
    );
    let peers = (0..40u32).prop_map(|count| {
        let peer = |at: u32| PeerSummary {
            id: format!("p{at}").parse().unwrap(),
            user: "u".parse().unwrap(),
            addresses: Vec::new(),
            files: 0,
            since: 0,
            uploads: false,
            loads: at.is_multiple_of(2),
            sent_rate: 0,
            received_rate: 0,
        };
        Message::Peers(Ok((0..count).map(peer).collect()))
    });
    let loads = prop::collection::vec((0..4usize, any::<u64>(), any::<String>()), 0..9);
    let loads = loads.prop_map(|loads| {
        let loads = loads.into_iter().map(|(state, bytes, name)| LoadSummary {
            state: LoadState::ALL[state],
            bytes,
            name,
            ..load("x")
        });
        Message::Loads(loads.collect())
    });
    let paths = prop::collection::vec("[a-c](/[a-c]){0,3}", 0..30);
    let files = (tickets, paths, any::<bool>()).prop_map(|(ticket, paths, more)| Message::Files {
        ticket,
        answer: Ok(Page {
            items: paths.iter().map(|path| entry(path)).collect(),
            next_cursor: more.then(|| "c".to_owned()),
        }),
    });
    let progress = (0..8u64, any::<u64>(), any::<u64>()).prop_map(|(id, verified, size)| {
        Message::Progress(
            id,
            Progress {
                verified,
                size,
                ..Progress::default()
            },
        )
    });
    let states = prop_oneof![
        Just(done("/x")),
        Just(State::Stopped),
        Just(State::Failed(Problem::invalid("x"))),
        Just(State::Running),
    ];
    let ended = (0..8u64, states).prop_map(|(id, state)| Message::Ended(id, state));
    prop_oneof![
        12 => any_key(),
        2 => searched,
        1 => peers,
        1 => loads,
        1 => files,
        1 => progress,
        1 => ended,
        1 => (0..10_000u64).prop_map(|ms| Message::Tick(Duration::from_millis(ms))),
        1 => any::<String>().prop_map(Message::Pasted),
        1 => prop::collection::vec(any::<String>(), 0..50).prop_map(Message::Logged),
        1 => any::<u64>().prop_map(|served| Message::Status(Box::new(Status {
            bytes_served: served,
            shares: vec![Default::default(); (served % 5) as usize],
            ..Status::default()
        }))),
        1 => Just(Message::Entered(Ok(Identity::default()))),
        1 => Just(Message::Entered(Err(Problem::invalid("x")))),
        1 => Just(Message::Shared(Err(Problem::invalid("x")))),
    ]
}

/// What holds at any time.
fn check(model: &Model) {
    let within = |at: usize, len: usize| at < len.max(1);
    assert!(within(model.search.chosen.at(), model.search.hits.len()));
    assert!(within(
        model.network.chosen_peer.at(),
        model.network.peers.len()
    ));
    assert!(within(model.network.chosen.at(), model.network.rows.len()));
    assert!(within(
        model.transfers.chosen.at(),
        model.transfers.all.len()
    ));
    assert!(within(model.shares.chosen.at(), model.shares.all.len()));
    assert!(within(model.activity.at(), model.lines.len()));
    assert!(model.transfers.running() <= 4);
    assert!(model.lines.len() <= 2_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_happens_the_model_stays_whole_and_can_be_drawn(
        messages in prop::collection::vec(any_message(), 0..120),
        outside in any::<bool>(),
        size in (1..130u16, 1..45u16),
    ) {
        let mut model = Model::new(Memory::default(), "/d".to_owned());
        if outside {
            begin_outside(&mut model, true, "ana");
        }
        let backend = ratatui::backend::TestBackend::new(size.0, size.1);
        let mut terminal = ratatui::Terminal::new(backend).unwrap();
        for (at, message) in messages.into_iter().enumerate() {
            update(&mut model, message);
            check(&model);
            if at % 8 == 0 {
                let theme = crate::menu::view::Theme::new(true);
                let draw = |frame: &mut ratatui::Frame| crate::menu::view::draw(frame, &model, theme);
                terminal.draw(draw).unwrap();
            }
        }
    }
}
